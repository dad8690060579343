"""Tar archives of folders: made by the system's GNU tar, read as a stream."""

import os
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Final

from anyio import to_thread

from terraphim_runner.github.contents.git import run_program
from terraphim_runner.model.errors import InfrastructureError

RUNNER_ID: Final = 1001
CHUNK_BYTES: Final = 256 * 1024

# The owner is fixed, the rest is as it lies there: modes, times, links as links. Names are relative to the folder.
_OPTIONS: Final = (
    "--create",
    "--format=gnu",
    "--numeric-owner",
    f"--owner={RUNNER_ID}",
    f"--group={RUNNER_ID}",
    "--hard-dereference",
    "--no-recursion",
    "--null",
    "--verbatim-files-from",
)
_ENVIRONMENT: Final = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LC_ALL": "C"}


async def write_archive(archive: Path, parts: Sequence[tuple[Path, Sequence[bytes]]], *, timeout_s: float) -> None:
    """Write an uncompressed tar of the named entries of each folder; a directory's name stands for itself only.

    Raises ``InfrastructureError`` when an entry cannot be read or the disk is full.
    """
    lists: list[Path] = []
    arguments: list[str] = []
    for index, (folder, names) in enumerate(parts):
        listing = archive.with_name(f"{archive.name}.{index}.names")
        await to_thread.run_sync(listing.write_bytes, b"".join(name + b"\0" for name in names))
        lists.append(listing)
        arguments += [f"--directory={folder}", f"--files-from={listing}"]
    try:
        code, _, stderr = await run_program(
            ["tar", *_OPTIONS, f"--file={archive}", "--force-local", *arguments],
            environment=_ENVIRONMENT,
            timeout_s=timeout_s,
        )
    finally:
        for listing in lists:
            listing.unlink(missing_ok=True)
    # 1 is "a file changed while it was read": a working tree is alive, and its last state is as good as its first.
    if code not in {0, 1}:
        told = stderr.decode("utf-8", "replace").strip().splitlines()[:1]
        raise InfrastructureError(doing="archive a tree", reason=(told or [f"tar ended with status {code}"])[0])


def entries_below(folder: Path) -> list[bytes]:
    """Return every file, link and directory below a folder, parents first, relative to it; links are not followed."""
    root = os.fsencode(folder)
    found: list[bytes] = []
    for place, folders, files in os.walk(root):
        folders.sort()
        inside = os.path.relpath(place, root)
        found += [name if inside == b"." else os.path.join(inside, name) for name in sorted(folders + files)]
    return found


class ArchiveStream(AsyncIterator[bytes]):
    """The bytes of an open file from its start. The file belongs to the caller, who closes it afterwards."""

    def __init__(self, file: int) -> None:
        self._file = file
        self._offset = 0

    async def __anext__(self) -> bytes:
        data = await to_thread.run_sync(os.pread, self._file, CHUNK_BYTES, self._offset)
        if not data:
            raise StopAsyncIteration
        self._offset += len(data)
        return data
