"""Tar archives: of commits, made by git itself, and of folders, made by GNU tar; read as a stream.

Writing a commit's files to a disk only to read them back would be most of the work, so git puts them into the tar.
"""

import os
import tarfile
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Final

from anyio import to_thread

from terraphim_runner.github.contents.git import Git, failure, run_program
from terraphim_runner.model.errors import InfrastructureError

RUNNER_ID: Final = 1001
CHUNK_BYTES: Final = 256 * 1024
_BLOCK_BYTES: Final = 512

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


async def write_commit_archive(git: Git, repository: Path, sha: str, archive: Path) -> None:
    """Write an uncompressed tar of ``repository/.git`` and of every file of the commit, ready to be worked with.

    What ``.gitattributes`` says of exports is overruled (this is a checkout); line endings and encodings count.
    """
    git_dir = repository / ".git"
    await to_thread.run_sync(_write_git_folder, git_dir, archive)
    attributes = git_dir / "info" / "attributes"
    attributes.write_text("* -export-ignore -export-subst\n", encoding="ascii")
    file = os.open(archive, os.O_RDWR | os.O_CLOEXEC)
    try:
        start = os.lseek(file, 0, os.SEEK_END)
        # Of a tree, not a commit: a commit would put its id into a header, and its date onto every file.
        ended = await git.run(
            f"--git-dir={git_dir}", "-c", "tar.umask=0022", "archive", "--format=tar", f"{sha}^{{tree}}", output=file
        )
        if ended.code != 0:
            raise failure(f"archive commit {sha}", ended)
        await to_thread.run_sync(_set_owner, file, start)
    finally:
        os.close(file)


def _write_git_folder(git_dir: Path, archive: Path) -> None:
    """Write the folder and stop before the marks of an archive's end, so that more can follow."""

    def owned(entry: tarfile.TarInfo) -> tarfile.TarInfo:
        entry.uid = entry.gid = RUNNER_ID
        entry.uname = entry.gname = ""
        entry.mode = 0o755 if entry.isdir() else 0o644
        return entry

    with archive.open("wb") as file:
        with tarfile.open(fileobj=file, mode="w", format=tarfile.GNU_FORMAT) as tar:
            tar.add(git_dir, ".git", filter=owned)
            end = file.tell()
        file.truncate(end)


def _set_owner(file: int, start: int) -> None:
    """Give every entry from ``start`` on to the runner's user; git's are root's."""
    at = start
    while (header := bytearray(os.pread(file, _BLOCK_BYTES, at))) and any(header):
        size = int(header[124:136].rstrip(b"\0 ") or b"0", 8)
        header[108:124] = b"%07o\0" % RUNNER_ID * 2
        header[265:329] = bytes(64)
        header[148:156] = b" " * 8  # the checksum counts itself as spaces
        header[148:156] = b"%06o\0 " % sum(header)
        os.pwrite(file, header, at)
        at += _BLOCK_BYTES + -(-size // _BLOCK_BYTES) * _BLOCK_BYTES


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
