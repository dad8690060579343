"""Files of a checkout as text. Whoever wrote the repository is not trusted: no file hangs or floods the reader."""

import os
import stat
from pathlib import Path

from terraphim_runner.model.source import Diagnostic
from terraphim_runner.workflow.encoding import decode, unreadable
from terraphim_runner.workflow.yaml import MAX_BYTES


def read_source(file: Path, path: str) -> str | Diagnostic:
    """Return a file's text, or why there is none: a file that cannot be read is wrong, too. ``path`` is its name."""
    try:
        # Opened without waiting: a named pipe in a directory of workflows must not hang the command.
        descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, "rb") as stream:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                return unreadable(path, "it is no regular file")
            content = stream.read(MAX_BYTES + 1)
    except OSError as error:
        return unreadable(path, error.strerror or type(error).__name__)
    return decode(path, content)
