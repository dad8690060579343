"""A file's bytes to text, for workflows and action metadata alike: what cannot be text is a diagnostic."""

import codecs

from terraphim_runner.model.source import Diagnostic, Span
from terraphim_runner.workflow.yaml import MAX_BYTES


def decode(path: str, content: bytes) -> str | Diagnostic:
    """Return the text without its byte order mark, or what is wrong: more than ``MAX_BYTES``, or no UTF-8.

    Reading one byte more than ``MAX_BYTES`` is enough to have a file refused.
    """
    if len(content) > MAX_BYTES:
        return unreadable(path, f"it is larger than {MAX_BYTES // 1024} KiB")
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return unreadable(path, "it is UTF-16 or UTF-32, expected UTF-8")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        return unreadable(path, f"byte {error.start + 1} is not UTF-8", line)


def unreadable(path: str, reason: str, line: int = 1) -> Diagnostic:
    """Return the diagnostic of a file that there is no text of."""
    message = f"the file cannot be read: {reason}"
    return Diagnostic(path=path, span=Span.at(line, 1), rule="unreadable", message=message)
