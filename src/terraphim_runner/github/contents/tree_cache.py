"""Archives of trees on disk, so that the legs of a matrix share one; the least recently used go first."""

import os
import shutil
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final

from anyio import to_thread

from terraphim_runner.github.contents.folders import private_folder
from terraphim_runner.github.contents.locks import NamedLocks
from terraphim_runner.model.errors import InfrastructureError

_STALE_S: Final = 6 * 3600
_WORK_PREFIX: Final = "building-"

Build = Callable[[Path, Path], Awaitable[None]]
"""Given a private folder to work in and the path in it where the archive is to be."""


class TreeCache:
    """At most ``max_bytes`` of archives in a private folder; the newest one stays even when it alone is larger.

    An archive that is being read may be evicted: its reader holds it open.
    """

    def __init__(self, directory: Path, *, max_bytes: int, timeout_s: float) -> None:
        self._directory = directory
        self._max_bytes = max_bytes
        self._locks = NamedLocks(directory / "locks", timeout_s=timeout_s)

    @asynccontextmanager
    async def open(self, key: str, build: Build) -> AsyncGenerator[int, None]:
        """Open the archive of ``key``, which ``build`` makes when there is none yet.

        However many ask at once, it is built once; a build that fails leaves nothing and is tried anew by the next.
        """
        path = self._directory / f"{key}.tar"
        file = _open(path)
        is_new = False
        if file is None:
            # The lock's name is one of 256: files for locks must not pile up.
            async with self._locks.hold(key[:2]):
                file = _open(path)
                if file is None:
                    await self._build(path, build)
                    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
                    is_new = True
        try:
            if is_new:
                await to_thread.run_sync(self._evict, path)
            yield file
        finally:
            os.close(file)

    async def _build(self, path: Path, build: Build) -> None:
        try:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            await to_thread.run_sync(_sweep, self._directory)
            async with private_folder(_WORK_PREFIX, self._directory) as work:
                await build(work, work / "tree.tar")
                os.rename(work / "tree.tar", path)
        except OSError as error:
            raise InfrastructureError(
                doing=f"build a tree in {str(self._directory)!r}", reason=error.strerror or str(error), retryable=True
            ) from error

    def _evict(self, newest: Path) -> None:
        kept_bytes = 0
        archives: list[tuple[Path, os.stat_result]] = []
        for path in self._directory.glob("*.tar"):
            # Another build, under the lock of its own key, may be evicting too.
            with suppress(FileNotFoundError):
                archives.append((path, path.stat()))
        for path, stat in sorted(archives, key=lambda item: (item[0] == newest, item[1].st_mtime), reverse=True):
            kept_bytes += stat.st_size
            if kept_bytes > self._max_bytes and path != newest:
                path.unlink(missing_ok=True)


def _open(path: Path) -> int | None:
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return None
    os.utime(file)
    return file


def _sweep(directory: Path) -> None:
    """Remove what crashed builds left; a living one is younger than any deadline."""
    for work in directory.glob(f"{_WORK_PREFIX}*"):
        try:
            stale = time.time() - work.stat().st_mtime > _STALE_S
        except FileNotFoundError:
            continue
        if stale:
            shutil.rmtree(work, ignore_errors=True)
