"""Masking on the host: nothing leaves a job before every known secret in it became ``***``.

The guest is not trusted with this: it may print what it wants, and what it prints passes here.
"""

import base64
import json
from collections.abc import Iterator
from urllib.parse import quote
from xml.sax.saxutils import escape

from terraphim_runner.model.secret import MASK

_SHORTEST_DERIVED = 6
"""An encoded form shorter than this is not masked: it would blank out ordinary text."""

_LONGEST_KEPT_IN_QUOTES = 8
"""A value in double quotes up to this length is hidden with its quotes only."""


class Masks:
    """A growing set of values to hide. Adding is idempotent; at most ``limit`` values are kept."""

    def __init__(self, *, limit: int = 5_000) -> None:
        self._limit = limit
        self._values: set[str] = set()
        self._ordered: tuple[str, ...] = ()

    def add(self, value: str) -> bool:
        """Hide a value, each of its lines, and the forms in which tools commonly print it.

        Returns False when the limit is reached and the value cannot be hidden: the caller has to fail the step then.
        """
        wanted = {form for form in _forms(value) if form not in self._values}
        if len(self._values) + len(wanted) > self._limit:
            return False
        if wanted:
            self._values |= wanted
            self._ordered = tuple(sorted(self._values, key=lambda item: (-len(item), item)))
        return True

    @property
    def longest(self) -> int:
        """The length of the longest hidden value, in characters; 0 without any."""
        return len(self._ordered[0]) if self._ordered else 0

    def hides(self, text: str) -> bool:
        """Tell whether the text holds anything that would be masked."""
        return any(value in text for value in self._ordered)

    def apply(self, text: str) -> str:
        """Return the text with every hidden value replaced by ``***``; overlapping and touching ones share one."""
        spans = self._spans(text)
        if not spans:
            return text
        parts: list[str] = []
        position = 0
        for start, end in spans:
            parts += [text[position:start], MASK]
            position = end
        return "".join([*parts, text[position:]])

    def cut(self, text: str) -> int:
        """Return where an endless line may be cut so that no secret is torn: everything before it can be shown.

        What follows the cut must be kept and shown with what comes next.
        """
        position = max(0, len(text) - max(0, self.longest - 1))
        for start, end in self._spans(text):
            if start < position < end:
                return start
        return position

    def _spans(self, text: str) -> list[tuple[int, int]]:
        # Occurrences are marked, never listed: a hostile job can make them as many as positions times values.
        hidden: bytearray | None = None
        for value in self._ordered:
            start = text.find(value)
            while start >= 0:
                hidden = bytearray(len(text)) if hidden is None else hidden
                end = _end_of_chain(text, value, start)
                hidden[start:end] = b"\1" * (end - start)
                start = text.find(value, end + 1)
        return [] if hidden is None else list(_runs(hidden))


def _end_of_chain(text: str, value: str, start: int) -> int:
    """Return where the occurrences end of which each overlaps or touches the one before, from ``start`` on."""
    end = start + len(value)
    while (further := text.rfind(value, start + 1, end + len(value))) >= 0:
        start, end = further, further + len(value)
    return end


def _runs(hidden: bytearray) -> Iterator[tuple[int, int]]:
    start = hidden.find(1)
    while start >= 0:
        end = hidden.find(0, start)
        if end < 0:
            end = len(hidden)
        yield start, end
        start = hidden.find(1, end)


def _forms(value: str) -> Iterator[str]:
    for part in (value, *value.splitlines()):
        plain = part.strip("\r\n")
        if not plain.strip():
            continue
        yield plain
        if plain != plain.strip():
            yield plain.strip()
        for derived in _derived(plain):
            if derived != plain and len(derived) >= _SHORTEST_DERIVED:
                yield derived


def _derived(value: str) -> Iterator[str]:
    """Yield what programs make of a value; the kinds are those of actions/runner."""
    yield value.replace("'", "''")
    yield escape(value, {'"': "&quot;", "'": "&apos;"})
    if len(value) > _LONGEST_KEPT_IN_QUOTES and value[0] == value[-1] == '"':
        yield value[1:-1]
    # PowerShell breaks a line of an error at an ampersand.
    before, _, after = value.rpartition("&")
    yield before
    yield after
    yield json.dumps(value)[1:-1]
    yield json.dumps(value, ensure_ascii=False)[1:-1]
    yield quote(value, safe="")
    yield quote(value)
    raw = value.encode("utf-8", "surrogateescape")
    for shift in range(3):
        # Base64 of "user:secret" holds the secret at one of three alignments; only the characters that
        # depend on the secret alone are stable, so the edges are cut off.
        encoded = base64.b64encode(b"\0" * shift + raw).decode()
        head = (0, 2, 3)[shift]
        tail = (0, -3, -2)[(shift + len(raw)) % 3]
        yield encoded[head : len(encoded) + tail]
        if tail:
            # At the end of what was encoded the edge is stable, too.
            yield encoded[head:]
            yield encoded[head:].rstrip("=")
