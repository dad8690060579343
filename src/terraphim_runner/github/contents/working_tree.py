"""Trees of a local checkout as it lies there, uncommitted changes included, for runs without a server.

The archive holds what git knows or would add (nothing that is ignored) and a ``.git`` with the current commit and the
same staged changes, so that ``git status`` says in the machine what it says here. Of a merge in progress, conflicts
show as changes. Line ending rules of the person's own configuration do not travel.
"""

import os
import stat
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from anyio import to_thread

from terraphim_runner.github.contents.archive import ArchiveStream, entries_below, write_archive, write_commit_archive
from terraphim_runner.github.contents.folders import private_folder
from terraphim_runner.github.contents.git import MIB, Git, GitExit, OutputTooLargeError, failure
from terraphim_runner.github.contents.options import check_request, wants_tags
from terraphim_runner.github.contents.tree import (
    MAX_LISTING_BYTES,
    MAX_TREE_BYTES,
    TreeSpec,
    build_repository,
    check_size,
    copy_objects,
)
from terraphim_runner.github.names import BadNameError, checked_branch, checked_ref, checked_sha, is_zero
from terraphim_runner.ports import Checkout, CheckoutError, CheckoutRequest

_MAX_FILES: Final = 500_000


class WorkingTree:
    """Hands out a local directory. A directory that is no checkout is handed out whole, without ``.git``.

    Read only; nothing outside of the directory gets in: links stay links, and nothing behind a linked folder is
    read. ``repository`` is the name that the run goes by, None takes any. Git's rule on whose repositories may be
    read applies, with the person's own settings.
    """

    def __init__(
        self,
        directory: Path,
        *,
        repository: str | None = None,
        server_url: str = "https://github.com",
        timeout_s: float = 300,
    ) -> None:
        self._directory = directory.absolute()
        self._repository = repository
        self._server_url = server_url.rstrip("/")
        self._timeout_s = timeout_s
        self._git = Git(timeout_s=timeout_s, protocols=("file",), home=Path.home())
        self._ours = Git(timeout_s=timeout_s, protocols=("file",))

    @asynccontextmanager
    async def checkout(self, request: CheckoutRequest) -> AsyncGenerator[Checkout, None]:
        """Open the working tree as it is now; with a ``ref`` that is not the current commit, that commit instead.

        ``sha`` and ``ref`` are empty for a directory that is no checkout or has no commit yet.
        """
        check_request(request, self._repository)
        if not self._directory.is_dir():
            raise CheckoutError(f"could not read {str(self._directory)!r}: it is not a directory")
        async with private_folder("terraphim-tree-") as work:
            archive = work / "tree.tar"
            sha, ref = await self._write(request, work, archive)
            file = os.open(archive, os.O_RDONLY | os.O_CLOEXEC)
            try:
                yield Checkout(sha=sha, ref=ref, archive=ArchiveStream(file))
            finally:
                os.close(file)

    async def _write(self, request: CheckoutRequest, work: Path, archive: Path) -> tuple[str, str]:
        tree = work / "tree"
        tree.mkdir()
        if not (self._directory / ".git").exists():
            return await self._write_plain(request, archive)
        head_sha, head_ref = await self._head()
        if not head_sha:
            names = await self._names()
            await write_archive(archive, [(self._directory, names)], timeout_s=self._timeout_s)
            return "", ""
        sha, ref = await self._resolved(request.ref, head_sha, head_ref) if request.ref else (head_sha, head_ref)
        spec = TreeSpec(
            git_dir=self._directory / ".git",
            remote_url=self._remote_url(request),
            sha=sha,
            ref=ref,
            depth=request.fetch_depth,
            tags=wants_tags(request.options),
        )
        await build_repository(self._ours, spec, tree)
        if sha != head_sha:
            await check_size(self._ours, tree / ".git", sha)
            await write_commit_archive(self._ours, tree, sha, archive)
            return sha, ref
        await self._copy_index(sha, tree)
        parts = [(tree, await to_thread.run_sync(entries_below, tree)), (self._directory, await self._names())]
        await write_archive(archive, parts, timeout_s=self._timeout_s)
        return sha, ref

    async def _write_plain(self, request: CheckoutRequest, archive: Path) -> tuple[str, str]:
        if request.ref:
            raise CheckoutError(f"could not find {request.ref!r}: {str(self._directory)!r} is not a git checkout")
        names = await to_thread.run_sync(entries_below, self._directory)
        kept = await to_thread.run_sync(_kept, self._directory, names)
        await write_archive(archive, [(self._directory, kept)], timeout_s=self._timeout_s)
        return "", ""

    def _remote_url(self, request: CheckoutRequest) -> str:
        # Not the checkout's own remote: that one may carry a token, or a path of this host.
        return f"{self._server_url}/{self._repository or request.repository}"

    async def _head(self) -> tuple[str, str]:
        commit = await self._run("rev-parse", "--verify", "--quiet", "HEAD^{commit}")
        if commit.code != 0:
            if commit.stderr.strip():
                raise failure(f"read the checkout {str(self._directory)!r}", commit)
            return "", ""
        branch = await self._run("symbolic-ref", "--quiet", "HEAD")
        name = branch.stdout.decode("utf-8", "replace").strip() if branch.code == 0 else ""
        return commit.stdout.decode("ascii").strip(), name

    async def _resolved(self, ref: str, head_sha: str, head_ref: str) -> tuple[str, str]:
        for name in _candidates(ref):
            answer = await self._run(
                "rev-parse", "--verify", "--quiet", "--end-of-options", f"{name or ref.lower()}^{{commit}}"
            )
            if answer.code == 0:
                sha = answer.stdout.decode("ascii").strip()
                return (sha, head_ref) if sha == head_sha and name in {"", head_ref} else (sha, name)
        raise CheckoutError(f"{ref[:80]!r} is neither a commit, a branch nor a tag of {str(self._directory)!r}")

    async def _names(self) -> list[bytes]:
        try:
            listing = await self._run(
                *("ls-files", "-z", "--cached", "--others", "--exclude-standard", "--deduplicate"),
                max_bytes=MAX_LISTING_BYTES,
            )
        except OutputTooLargeError:
            raise _too_many(self._directory) from None
        if listing.code != 0:
            raise failure(f"list the files of {str(self._directory)!r}", listing)
        names = [name for name in listing.stdout.split(b"\0") if name]
        return await to_thread.run_sync(_kept, self._directory, names)

    async def _copy_index(self, sha: str, tree: Path) -> None:
        """Bring the changes that are staged here, with their objects, into the built repository's index."""
        staged = await self._run(
            *("diff-index", "--cached", "--raw", "-z", "--no-renames", "--no-abbrev", "--no-ext-diff", sha, "--"),
            max_bytes=MAX_LISTING_BYTES,
        )
        if staged.code != 0:
            raise failure(f"read what is staged in {str(self._directory)!r}", staged)
        entries, blobs = _staged(staged.stdout)
        if blobs:
            await copy_objects(self._ours, self._directory / ".git", tree / ".git", blobs, name="staged")
        if entries:
            ended = await self._ours.run(
                f"--git-dir={tree / '.git'}", "update-index", "-z", "--index-info", stdin=entries
            )
            if ended.code != 0:
                raise failure(f"stage the changes of {str(self._directory)!r}", ended)

    async def _run(self, *arguments: str, stdin: bytes = b"", max_bytes: int = MIB) -> GitExit:
        # A directory inside of somebody else's checkout must not turn into that checkout.
        ceiling = {"GIT_CEILING_DIRECTORIES": str(self._directory.parent)}
        return await self._git.run(
            "-C", str(self._directory), *arguments, stdin=stdin, max_bytes=max_bytes, environment=ceiling
        )


def _candidates(ref: str) -> list[str]:
    """Return the full refs that a name may mean; an empty one stands for a commit id."""
    try:
        checked_sha(ref.lower())
    except BadNameError:
        pass
    else:
        return [""]
    try:
        if ref.startswith("refs/"):
            return [checked_ref(ref)]
        return [f"refs/heads/{checked_branch(ref)}", f"refs/tags/{ref}", f"refs/remotes/origin/{ref}"]
    except BadNameError as error:
        raise CheckoutError(str(error)) from None


def _staged(raw: bytes) -> tuple[bytes, list[str]]:
    """Turn ``diff-index --raw -z`` into ``update-index --index-info`` lines and the blobs that they need."""
    entries = bytearray()
    blobs: list[str] = []
    fields = raw.split(b"\0")
    for meta, path in zip(fields[::2], fields[1::2], strict=False):
        _, mode, _, sha, status = meta.decode("ascii").removeprefix(":").split()
        if status.startswith("U"):
            continue
        entries += f"{mode} {sha}\t".encode() + path + b"\0"
        if not is_zero(sha) and mode != "160000":
            blobs.append(sha)
    return bytes(entries), blobs


def _kept(directory: Path, names: list[bytes]) -> list[bytes]:
    """Return the names that are files, links or folders now, with every folder above them a real one.

    Git's index may name ``a/b`` where ``a`` has become a link to elsewhere: what is behind it is not ours to read.
    """
    root = os.fsencode(directory)
    real: dict[bytes, bool] = {b"": True}
    kept: list[bytes] = []
    total = 0
    for name in names:
        clean = name.rstrip(b"/")
        found = _lstat(os.path.join(root, clean)) if _is_real(root, os.path.dirname(clean), real) else None
        if found is None or not _is_archivable(found.st_mode):
            continue
        total += found.st_size if stat.S_ISREG(found.st_mode) else 0
        kept.append(clean)
        if len(kept) > _MAX_FILES:
            raise _too_many(directory)
    if total > MAX_TREE_BYTES:
        raise CheckoutError(f"{str(directory)!r} has {total} bytes of files, expected at most {MAX_TREE_BYTES}")
    return kept


def _is_real(root: bytes, folder: bytes, known: dict[bytes, bool]) -> bool:
    if folder not in known:
        found = _lstat(os.path.join(root, folder))
        known[folder] = (
            found is not None and stat.S_ISDIR(found.st_mode) and _is_real(root, os.path.dirname(folder), known)
        )
    return known[folder]


def _is_archivable(mode: int) -> bool:
    return stat.S_ISREG(mode) or stat.S_ISLNK(mode) or stat.S_ISDIR(mode)


def _lstat(path: bytes) -> os.stat_result | None:
    try:
        return os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None


def _too_many(directory: Path) -> CheckoutError:
    return CheckoutError(f"{str(directory)!r} has more than {_MAX_FILES} files: ignore what jobs do not need")
