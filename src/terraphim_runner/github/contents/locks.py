"""One holder per name at a time on this machine."""

import fcntl
import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import anyio

from terraphim_runner.model.errors import InfrastructureError

_POLL_S: Final = 0.01


class NamedLocks:
    """Locks by name, files below ``directory``; names are relative paths that the caller checked (``owner/name``).

    ``flock`` tells two openings of a file apart also within a process, so that tasks of any event loop, threads and
    processes all keep each other out. A crash frees a lock with its file. Who waits asks every 10 ms.
    """

    def __init__(self, directory: Path, *, timeout_s: float) -> None:
        self._directory = directory
        self._timeout_s = timeout_s

    @asynccontextmanager
    async def hold(self, name: str) -> AsyncGenerator[None, None]:
        """Hold the lock. Raises a retryable ``InfrastructureError`` when somebody keeps it past the deadline."""
        file = await self._flock(name)
        try:
            yield
        finally:
            os.close(file)

    async def _flock(self, name: str) -> int:
        path = self._directory / f"{name}.lock"
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            with anyio.fail_after(self._timeout_s):
                while not _locked(file):  # noqa: ASYNC110 - no event tells of other processes
                    await anyio.sleep(_POLL_S)
        except TimeoutError:
            os.close(file)
            raise InfrastructureError(
                doing=f"lock {name!r}",
                reason=f"somebody holds {str(path)!r} for more than {self._timeout_s:g} s",
                retryable=True,
            ) from None
        except BaseException:
            os.close(file)
            raise
        return file


def _locked(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
