"""Files in and out. Everything is written with the rights of its owner, never with root's for somebody else."""

from __future__ import annotations

import errno
import os
import stat

from terraphim_runner.guest.accounts import Account, acting_as
from terraphim_runner.guest.port import Port
from terraphim_runner.wire import frames, messages

_WRITE_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class Taken:
    """Counts content that was consumed and hands its credit back in large pieces."""

    __slots__ = ("_count", "_port", "_stream")

    def __init__(self, port: Port, stream: int) -> None:
        self._port = port
        self._stream = stream
        self._count = 0

    def add(self, count: int) -> None:
        self._count += count
        if self._count >= frames.WINDOW // 4:
            self._port.send(frames.CREDIT, self._stream, messages.encode_number(self._count))
            self._count = 0


class FileWrite:
    """One file that is being received."""

    def __init__(self, path: str, account: Account, mode: int, size: int, taken: Taken) -> None:
        self._account = account
        self._left = size
        self._taken = taken
        with acting_as(account):
            self._fd = _create(path)
            os.fchmod(self._fd, mode)

    def data(self, payload: bytes) -> bool:
        """Write the next bytes; tell whether that was all."""
        _write_all(self._fd, payload)
        self._left -= len(payload)
        self._taken.add(len(payload))
        return self.is_complete

    @property
    def is_complete(self) -> bool:
        return self._left <= 0

    def close(self) -> None:
        os.close(self._fd)


class FileRead:
    """One file that is being sent. Raises ``OSError``; a file that grows past the limit gives ``TOO_LARGE``."""

    def __init__(self, stream: int, path: str, max_bytes: int, port: Port) -> None:
        self.is_too_large = False
        self._stream = stream
        self._port = port
        self._window = frames.Window()
        self._left = max_bytes
        # Neither a FIFO nor a terminal may block or capture the agent.
        self._fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
        if not stat.S_ISREG(os.fstat(self._fd).st_mode):
            os.close(self._fd)
            raise OSError(errno.EINVAL, "not a regular file")

    def credit(self, count: int) -> None:
        self._window.extend(count)

    def proceed(self) -> bool:
        """Send what may be sent now; tell whether the reading is over."""
        while self._window.left and not self._port.is_full:
            data = os.read(self._fd, min(frames.MAX_DATA, self._window.left))
            if not data:
                return True
            self._left -= len(data)
            if self._left < 0:
                self.is_too_large = True
                return True
            self._window.spend(len(data))
            self._port.send(frames.DATA, self._stream, data)
        return False

    def close(self) -> None:
        os.close(self._fd)


def _create(path: str) -> int:
    try:
        fd = os.open(path, _WRITE_FLAGS, 0o600)
    except FileNotFoundError:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        fd = os.open(path, _WRITE_FLAGS, 0o600)
    except OSError as error:
        if error.errno not in (errno.ELOOP, errno.EACCES, errno.ENXIO) or not os.path.lexists(path):
            raise
        # A symbolic link, a FIFO or somebody else's file is in the way: replaced, never written through.
        os.unlink(path)
        fd = os.open(path, _WRITE_FLAGS, 0o600)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise OSError(errno.EINVAL, "not a regular file")
    return fd


def _write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
