"""Unpacking an archive below a directory, so that no entry can reach outside of it.

Every directory on an entry's way is opened without following links, from the destination's own descriptor; a link in
the way is an error, not a path. The whole runs with the owner's rights.
"""

from __future__ import annotations

import os

from terraphim_runner.guest import tar
from terraphim_runner.guest.accounts import Account, acting_as
from terraphim_runner.guest.files import Taken

_DIRECTORY_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class Unpack:
    """One archive that is being received. Raises ``tar.TarError`` and ``OSError``."""

    def __init__(self, destination: str, account: Account, taken: Taken) -> None:
        self._account = account
        self._taken = taken
        self._reader = tar.TarReader(self._begin, self._content, self._end)
        self._file = -1
        with acting_as(account):
            os.makedirs(destination, exist_ok=True)
            self._root = os.open(destination, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        # The entries of one directory come one after the other, so the last one is kept open.
        self._parent_path: list[str] = []
        self._parent = os.dup(self._root)

    def data(self, payload: bytes) -> bool:
        """Unpack the next bytes; tell whether the archive is over, which an empty payload says."""
        if not payload:
            if not (self._reader.is_complete or self._reader.is_between_members):
                raise tar.TarError("the archive ends in the middle of an entry")
            return True
        with acting_as(self._account):
            self._reader.feed(payload)
        self._taken.add(len(payload))
        return False

    def close(self) -> None:
        self._end()
        os.close(self._parent)
        os.close(self._root)

    def _begin(self, entry: tar.Entry) -> None:
        parts = _parts(entry.path)
        if not parts:
            if entry.kind is not tar.DIRECTORY:
                raise tar.TarError(f"{entry.path!r} is a {entry.kind} in the place of the destination")
            return
        self._enter(parts[:-1])
        name = parts[-1]
        if entry.kind is tar.FILE:
            mode = entry.mode & 0o777
            try:
                self._file = os.open(name, _FILE_FLAGS, mode, dir_fd=self._parent)
            except FileExistsError:
                os.unlink(name, dir_fd=self._parent)
                self._file = os.open(name, _FILE_FLAGS, mode, dir_fd=self._parent)
        elif entry.kind is tar.DIRECTORY:
            self._make_directory(name)
        elif entry.kind is tar.SYMLINK:
            _remove(name, self._parent)
            os.symlink(entry.target, name, dir_fd=self._parent)
        else:
            self._link(name, entry.target)

    def _content(self, piece: memoryview) -> None:
        while piece:
            piece = piece[os.write(self._file, piece) :]

    def _end(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _enter(self, path: list[str]) -> None:
        if path == self._parent_path:
            return
        current = os.dup(self._root)
        try:
            for name in path:
                try:
                    following = os.open(name, _DIRECTORY_FLAGS, dir_fd=current)
                except FileNotFoundError:
                    os.mkdir(name, 0o755, dir_fd=current)
                    following = os.open(name, _DIRECTORY_FLAGS, dir_fd=current)
                os.close(current)
                current = following
        except OSError as error:
            os.close(current)
            raise tar.TarError(
                f"{'/'.join(path)!r} is not a directory that can be entered: {error.strerror}"
            ) from error
        os.close(self._parent)
        self._parent = current
        self._parent_path = path

    def _make_directory(self, name: str) -> None:
        try:
            os.mkdir(name, 0o755, dir_fd=self._parent)
        except FileExistsError:
            os.close(os.open(name, _DIRECTORY_FLAGS, dir_fd=self._parent))

    def _link(self, name: str, target: str) -> None:
        parts = _parts(target)
        if not parts:
            raise tar.TarError(f"{name!r} is a hard link to {target!r}, expected a file of the archive")
        destination = os.dup(self._parent)
        try:
            self._enter(parts[:-1])
            _remove(name, destination)
            os.link(parts[-1], name, src_dir_fd=self._parent, dst_dir_fd=destination, follow_symlinks=False)
        finally:
            os.close(destination)


def _remove(name: str, directory: int) -> None:
    try:
        os.unlink(name, dir_fd=directory)
    except FileNotFoundError:
        return


def _parts(path: str) -> list[str]:
    """Split an entry's path; one that is absolute or climbs raises ``TarError``."""
    if path.startswith("/"):
        raise tar.TarError(f"{path!r} is an absolute path")
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise tar.TarError(f"{path!r} reaches outside of the destination")
    return parts
