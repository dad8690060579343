"""A directory per machine, held by whoever made it, so that a crashed owner's can be told from a living one's.

The claim is a lock of the kernel's on a file beside the directory: it ends with its owner, however that ends.
"""

import fcntl
import os
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from terraphim_runner.model.errors import InfrastructureError

_SUFFIX = ".lock"


class Claim:
    """One claimed directory. ``release`` removes it."""

    def __init__(self, path: Path, lock: int) -> None:
        self.path = path
        self._lock = lock

    def release(self) -> None:
        """Remove the directory with all that is in it, and give the claim up. Repeatable."""
        if self._lock < 0:
            return
        remove_tree(self.path)
        _lock_path(self.path).unlink(missing_ok=True)
        os.close(self._lock)
        self._lock = -1


def claim(path: Path) -> Claim:
    """Make a new directory, readable by its owner alone, and claim it. Raises ``InfrastructureError``."""
    lock = -1
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = os.open(_lock_path(path), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        path.mkdir(mode=0o700)
    except OSError as error:
        if lock >= 0:
            os.close(lock)
        raise InfrastructureError(doing=f"make the directory {str(path)!r}", reason=error.strerror or "") from error
    return Claim(path, lock)


def sweep(parent: Path, destroy: Callable[[Path], None]) -> int:
    """Call ``destroy`` on every directory below ``parent`` that nobody claims, then remove it; return how many."""
    count = 0
    for path, lock in _abandoned(parent):
        try:
            if path.is_dir():
                destroy(path)
                remove_tree(path)
                count += 1
            _lock_path(path).unlink(missing_ok=True)
        finally:
            os.close(lock)
    return count


def remove_tree(path: Path) -> None:
    """Remove a tree of the user's making, read-only directories included. Raises ``InfrastructureError``."""
    try:
        shutil.rmtree(path)
    except FileNotFoundError:
        return
    except OSError:
        for directory, _, _ in os.walk(path):
            with suppress(OSError):
                Path(directory).chmod(stat.S_IRWXU)
        shutil.rmtree(path, ignore_errors=True)
    if path.exists():
        raise InfrastructureError(
            doing=f"remove {str(path)!r}", reason="some of it belongs to another user", fix="remove it as root"
        )


def _abandoned(parent: Path) -> Iterator[tuple[Path, int]]:
    if not parent.is_dir():
        return
    names = {path.name.removesuffix(_SUFFIX) for path in parent.iterdir() if path.suffix == _SUFFIX}
    for name in sorted(names):
        path = parent / name
        try:
            lock = os.open(_lock_path(path), os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            continue
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            continue
        yield path, lock


def _lock_path(path: Path) -> Path:
    return path.with_name(path.name + _SUFFIX)
