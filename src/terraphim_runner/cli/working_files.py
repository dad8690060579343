"""Workflow files of a checkout as they lie there, for those that call them."""

import errno
import os
import stat
from pathlib import Path
from typing import Final

from terraphim_runner.workflow.linking import CalledFile
from terraphim_runner.workflow.yaml import MAX_BYTES

FOLDER: Final = ".github/workflows"
NO_SUCH_FILE: Final = "there is no such file"
_MAX_KNOWN: Final = 100
_FOLDER_FLAGS: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# Opened without waiting: a named pipe must not hang whoever reads.
_FILE_FLAGS: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def read_working_file(directory: Path, path: str) -> CalledFile:
    """Return a workflow file of a checkout as it lies there, or why there is none.

    ``path`` is one right below ``.github/workflows``. No link is followed below the directory, so that nothing outside
    of it is ever read, and what works here works for a commit, too.
    """
    folder, _, name = path.rpartition("/")
    if folder != FOLDER or "\0" in name:
        return CalledFile(error=NO_SUCH_FILE)
    opened: list[int] = []
    try:
        opened.append(os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))
        for part in FOLDER.split("/"):
            opened.append(os.open(part, _FOLDER_FLAGS, dir_fd=opened[-1]))
        return _read(opened[-1], name)
    except (OSError, UnicodeEncodeError):
        return CalledFile(error=f"there is no folder {FOLDER!r} of which it could be a file")
    finally:
        for descriptor in opened:
            os.close(descriptor)


def _read(folder: int, name: str) -> CalledFile:
    try:
        descriptor = os.open(name, _FILE_FLAGS, dir_fd=folder)
    except FileNotFoundError:
        return CalledFile(error=NO_SUCH_FILE, known=_known(folder))
    except OSError as error:
        # What O_NOFOLLOW makes of a link.
        is_link = error.errno == errno.ELOOP
        link = "it is not a regular file: symbolic links are not followed"
        return CalledFile(error=link if is_link else f"it cannot be read: {error.strerror}")
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        return CalledFile(error="it is not a regular file")
    with open(descriptor, "rb") as stream:
        content = stream.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        return CalledFile(error=f"it has more than {MAX_BYTES} bytes")
    try:
        return CalledFile(text=content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        return CalledFile(error=f"it is not UTF-8: byte {error.start} is {error.reason}")


def _known(folder: int) -> tuple[str, ...]:
    names = sorted(name for name in os.listdir(folder) if name.endswith((".yml", ".yaml")))
    return tuple(f"{FOLDER}/{name}" for name in names[:_MAX_KNOWN])
