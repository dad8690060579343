"""Called workflow files: of a run's own repository, and of others."""

import os
import stat
from pathlib import Path
from typing import Final

from terraphim_runner.github.contents.mirror import Mirror
from terraphim_runner.github.contents.workflows import FOLDER, MAX_FILE_BYTES, MAX_FILES, NO_SUCH_FILE
from terraphim_runner.model.event import Repository
from terraphim_runner.ports import CheckoutError
from terraphim_runner.workflow.linking import CalledFile, FileReference

_FOLDER_FLAGS: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# Opened without waiting: a named pipe must not hang whoever reads.
_FILE_FLAGS: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class RemoteFiles:
    """Workflow files of other repositories and commits, for one run: what a ref means is asked once.

    ``own`` is the run's repository, which is where its payload says.
    """

    def __init__(self, mirror: Mirror, *, own: Repository | None = None) -> None:
        self._mirror = mirror
        self._repositories = {own.full_name.lower(): own} if own is not None else {}
        self._commits: dict[tuple[str, str], str] = {}

    async def read(self, reference: FileReference) -> CalledFile:
        """Return the file that a reference with a repository means, or why there is none.

        Raises ``InfrastructureError`` for trouble on the way.
        """
        full_name, ref = reference.repository or "", reference.ref or ""
        try:
            repository = self._repository(full_name)
            sha = await self._commit(repository, ref)
            return await self._mirror.read_workflow(repository, sha, reference.path)
        except CheckoutError as error:
            return CalledFile(error=str(error))

    def _repository(self, full_name: str) -> Repository:
        # Names compare without case, folders of mirrors do not: the first spelling counts.
        key = full_name.lower()
        if key not in self._repositories:
            self._repositories[key] = self._mirror.named(full_name)
        return self._repositories[key]

    async def _commit(self, repository: Repository, ref: str) -> str:
        key = repository.full_name.lower(), ref
        if key not in self._commits:
            self._commits[key] = await self._mirror.commit_of(repository, ref)
        return self._commits[key]


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
        link = "it is not a regular file: symbolic links are not followed"
        return CalledFile(error=link if _is_link(folder, name) else f"it cannot be read: {error.strerror}")
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        return CalledFile(error="it is not a regular file")
    with open(descriptor, "rb") as stream:
        content = stream.read(MAX_FILE_BYTES + 1)
    if len(content) > MAX_FILE_BYTES:
        return CalledFile(error=f"it has more than {MAX_FILE_BYTES} bytes")
    try:
        return CalledFile(text=content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        return CalledFile(error=f"it is not UTF-8: byte {error.start} is {error.reason}")


def _is_link(folder: int, name: str) -> bool:
    return stat.S_ISLNK(os.lstat(name, dir_fd=folder).st_mode)


def _known(folder: int) -> tuple[str, ...]:
    names = sorted(name for name in os.listdir(folder) if name.endswith((".yml", ".yaml")))
    return tuple(f"{FOLDER}/{name}" for name in names[:MAX_FILES])
