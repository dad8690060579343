"""Repositories on this host: those that a person placed, used as they are, and mirrors of GitHub's.

Below ``repository_path`` a repository is ``<owner>/<name>.git`` or ``<owner>/<name>``. One that stands there without
our marker is only ever read: a commit that it lacks does not exist. Otherwise the payload's clone URL is mirrored
there, with branches and tags under their own names; what is fetched later one by one lives under ``refs/terraphim/``,
in flat names, so that a branch ``a`` that became ``a/b`` is never in the way.
"""

import hashlib
import logging
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import anyio
from anyio import to_thread

from terraphim_runner.github.contents import commits
from terraphim_runner.github.contents.folders import remove_folder
from terraphim_runner.github.contents.git import Credential, Git, GitExit, failure
from terraphim_runner.github.contents.locks import NamedLocks
from terraphim_runner.github.names import (
    BadNameError,
    checked_clone_url,
    checked_full_name,
    checked_ref,
    checked_sha,
)
from terraphim_runner.model.errors import InfrastructureError
from terraphim_runner.model.event import Repository
from terraphim_runner.model.secret import Secret
from terraphim_runner.ports import CheckoutError

_MARKER: Final = "terraphim-mirror"
_MAX_PACKS: Final = 50
_MAX_PACK_BYTES: Final = 32 * 1024**3
_ALL_REFS: Final = ("+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*")

# A server's operator who allows file URLs vouches for the repositories behind them, whoever owns the files.
_UPLOAD_PACK: Final = "--upload-pack=git -c safe.directory=* upload-pack"


log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a repository's objects are. ``ours`` are the mirrors that may be fetched into."""

    git_dir: Path
    ours: bool


class Repositories:
    """Gives exact commits, or raises ``CheckoutError``; never a neighbouring one.

    Mirrors come from ``server_url`` only, whatever clone URL a payload names, and ``token`` goes there only.
    ``locks`` is a folder of our own, the same for all that share ``repository_path``.
    Several processes may share the folders.
    Trouble on the way (network, disk, a deadline) is a retryable ``InfrastructureError``.
    """

    def __init__(
        self,
        repository_path: Path,
        *,
        allow_file_urls: bool,
        locks: Path,
        token: Secret | None,
        timeout_s: float,
        server_url: str,
    ) -> None:
        self._root = repository_path.absolute()
        self._allow_file_urls = allow_file_urls
        self._locks = NamedLocks(locks.absolute(), timeout_s=timeout_s)
        self._server_url = server_url.rstrip("/")
        self._cleared: set[Path] = set()
        credential = Credential(server_url=server_url, token=token) if token else None
        self._local = Git(timeout_s=timeout_s, protocols=("file",))
        protocols = ("https", "file") if allow_file_urls else ("https",)
        self._network = Git(
            timeout_s=timeout_s, protocols=protocols, credential=credential, max_file_bytes=_MAX_PACK_BYTES
        )
        self._anonymous = Git(timeout_s=timeout_s, protocols=protocols)

    async def ensure(self, repository: Repository, sha: str, ref: str) -> None:
        """Return once exactly the commit ``sha`` is on this host; ``ref`` is where it probably is, or empty.

        A commit that is here already costs one short process. Raises ``CheckoutError`` when the commit does not
        exist there, or when ``sha`` names something else than a commit.
        """
        check_names(repository, sha, ref)
        place = self._find(repository)
        if place is not None and await self._has_commit(repository, place, sha):
            return
        async with self._locks.hold(repository.full_name):
            place = await self._place(repository)
            # Another task may have fetched it while this one waited; the ref usually brings it, and keeps the
            # mirror's tips young, which keeps the next fetch small; a commit that left its ref comes by its id.
            if await self._has_commit(repository, place, sha):
                return
            if place.ours:
                for wanted in (ref, sha) if ref else (sha,):
                    answer = await self._fetch(place, repository, f"+{wanted}:{_kept(wanted)}")
                    if answer.code != 0:
                        _raise_if_transient(repository, answer)
                    if await self._has_commit(repository, place, sha):
                        return
        raise CheckoutError(f"commit {sha} does not exist in {_told(repository, place)}")

    async def is_public(self, repository: Repository) -> bool:
        """Tell whether anybody may read the repository: its server is asked without the token.

        One that a person placed below the repository path is for that person to show, and counts as not public.
        """
        check_names(repository, None, "")
        place = self._find(repository)
        if place is not None and not place.ours:
            return False
        answer = await self._anonymous.run("ls-remote", "--quiet", "--", self._checked_url(repository), "HEAD")
        if answer.code != 0:
            _raise_if_transient(repository, answer)
        return answer.code == 0

    async def resolve(self, repository: Repository, ref: str) -> str:
        """Return the commit that the full ref points to now; tags are peeled. A mirror asks the server first."""
        check_names(repository, None, ref)
        place = self._find(repository)
        name = ref
        if place is None or place.ours:
            async with self._locks.hold(repository.full_name):
                place = await self._place(repository)
                if place.ours:
                    name = _kept(ref)
                    answer = await self._fetch(place, repository, f"+{ref}:{name}")
                    if answer.code != 0:
                        raise _missing_ref(repository, place, ref, answer)
                return await self._peel(repository, place, ref, name)
        return await self._peel(repository, place, ref, name)

    async def parents(self, repository: Repository, sha: str) -> tuple[str, ...]:
        """Return the parents of a commit that was ensured before."""
        place = self.present(repository, sha)
        return await commits.parents(self._local, place.git_dir, sha)

    async def message(self, repository: Repository, sha: str) -> str:
        """Return the message of a commit that was ensured before."""
        place = self.present(repository, sha)
        return await commits.message(self._local, place.git_dir, sha)

    async def refresh(self, repository: Repository) -> Path:
        """Bring all branches and tags of a mirror up to date; return the folder of its objects."""
        check_names(repository, None, "")
        place = self._find(repository)
        if place is None or place.ours:
            async with self._locks.hold(repository.full_name):
                place = await self._place(repository)
                if place.ours:
                    answer = await self._fetch(place, repository, "--prune", *_ALL_REFS)
                    if answer.code != 0:
                        raise failure(f"refresh {_told(repository, place)}", answer)
        return place.git_dir

    async def tag_object(self, repository: Repository, ref: str, sha: str) -> str:
        """Return the annotated tag that ``ref`` is for the commit, or the commit when there is none."""
        place = self.present(repository, sha)
        names = (_kept(ref), ref) if place.ours else (ref,)
        request = "".join(f"{name}\n{name}^{{commit}}\n" for name in names).encode()
        answer = await self._local.run(f"--git-dir={place.git_dir}", "cat-file", "--batch-check", stdin=request)
        words = [line.split() for line in answer.stdout.decode("utf-8", "replace").splitlines()]
        for tag, commit in zip(words[::2], words[1::2], strict=False):
            if tag[1:2] == ["tag"] and commit[:2] == [sha, "commit"]:
                return tag[0]
        return sha

    def _find(self, repository: Repository) -> Place | None:
        for folder in (self._own_path(repository), self._root / repository.owner / repository.name):
            git_dir = folder / ".git" if (folder / ".git").exists() else folder
            if (git_dir / "HEAD").exists() or git_dir.is_file():
                return Place(git_dir=git_dir, ours=(git_dir / _MARKER).is_file())
            if folder.exists():
                raise CheckoutError(
                    f"found '{folder.relative_to(self._root)}' below the repository path, which is no git repository: "
                    f"put one there, or remove it to have {repository.full_name!r} mirrored"
                )
        return None

    def present(self, repository: Repository, sha: str) -> Place:
        """Return where a repository is that has an ensured commit."""
        check_names(repository, sha, "")
        place = self._find(repository)
        if place is None:
            raise CheckoutError(f"commit {sha} does not exist here: {repository.full_name!r} is not mirrored")
        return place

    def _own_path(self, repository: Repository) -> Path:
        return self._root / repository.owner / f"{repository.name}.git"

    async def _has_commit(self, repository: Repository, place: Place, sha: str) -> bool:
        answer = await self._local.run(f"--git-dir={place.git_dir}", "cat-file", "-t", sha)
        if answer.code != 0 and "not a git repository" in answer.stderr:
            raise CheckoutError(f"could not read {_told(repository, place)}: it is not a git repository")
        kind = answer.stdout.decode("ascii", "replace").strip()
        if answer.code == 0 and kind != "commit":
            raise CheckoutError(f"found {sha}, which is a {kind}, expected a commit")
        return answer.code == 0

    async def _peel(self, repository: Repository, place: Place, ref: str, name: str) -> str:
        answer = await self._local.run(
            f"--git-dir={place.git_dir}", "rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}"
        )
        if answer.code != 0:
            raise _missing_ref(repository, place, ref, answer)
        return answer.stdout.decode("ascii").strip()

    async def _place(self, repository: Repository) -> Place:
        """Return where the repository is, mirroring it when it is not there yet. Called under its lock."""
        place = self._find(repository)
        if place is not None:
            return place
        url = self._checked_url(repository)
        final = self._own_path(repository)
        # No repository's name has a '~'. Under the lock, whatever stands there is a crashed predecessor's.
        partial = final.with_name(f"{final.name}~partial")
        final.parent.mkdir(parents=True, exist_ok=True)
        await remove_folder(partial)
        try:
            made = await self._local.run("init", "--quiet", "--bare", "--template=", str(partial))
            if made.code != 0:
                raise failure(f"make the mirror {str(partial)!r}", made)
            answer = await self._fetch(Place(git_dir=partial, ours=True), repository, *_ALL_REFS)
            if answer.code != 0:
                raise failure(f"mirror {repository.full_name!r} from {url!r}", answer)
            (partial / _MARKER).write_text(f"{url}\n", encoding="utf-8")
            os.rename(partial, final)
        except OSError as error:
            raise InfrastructureError(
                doing=f"make the mirror {str(final)!r}", reason=error.strerror or str(error), retryable=True
            ) from error
        finally:
            with anyio.CancelScope(shield=True):
                await remove_folder(partial)
        return Place(git_dir=final, ours=True)

    async def _fetch(self, place: Place, repository: Repository, *arguments: str) -> GitExit:
        url = self._checked_url(repository)
        options = [part for part in arguments if part.startswith("--")]
        refspecs = [part for part in arguments if not part.startswith("--")]
        if url.startswith("file:"):
            options.append(_UPLOAD_PACK)
        fetch = ("fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--update-shallow")
        argv = (f"--git-dir={place.git_dir}", *fetch, *options, "--", url, *refspecs)
        if place.git_dir not in self._cleared:
            # What a crashed server's git left.
            await to_thread.run_sync(_clear_left_over, place.git_dir)
            self._cleared.add(place.git_dir)
        try:
            answer = await self._network.run(*argv)
        except BaseException:
            with anyio.CancelScope(shield=True):
                await to_thread.run_sync(_clear_left_over, place.git_dir)
            raise
        if answer.code != 0 and await to_thread.run_sync(_clear_left_over, place.git_dir):
            answer = await self._network.run(*argv)
        await self._join_packs(place.git_dir)
        return answer

    async def _join_packs(self, git_dir: Path) -> None:
        """Keep a mirror's packs few: each fetch brings one, and git looks an object up in every one of them.

        Objects that no ref reaches any more stay, for runs may still be for them. One that fails costs nothing but
        time later, so that the next fetch may try again.
        """
        if _count_packs(git_dir) > _MAX_PACKS:
            joined = await self._local.run(f"--git-dir={git_dir}", "repack", "-d", "-q", "--geometric=2")
            if joined.code != 0:
                log.warning("could not join the packs of %r: %s", str(git_dir), joined.last_words)

    def _checked_url(self, repository: Repository) -> str:
        if not repository.clone_url:
            raise CheckoutError(
                f"{repository.full_name!r} is not below the repository path, and its payload names no clone URL"
            )
        try:
            url = checked_clone_url(repository.clone_url)
        except BadNameError as error:
            raise CheckoutError(f"could not mirror {repository.full_name!r}: {error}") from None
        if url.startswith("file:") and not self._allow_file_urls:
            raise CheckoutError(
                f"could not mirror {repository.full_name!r}: its clone URL is a file URL, which the settings forbid"
            )
        wanted = f"{self._server_url}/{repository.full_name}"
        if url.startswith("https:") and url.rstrip("/").removesuffix(".git").lower() != wanted.lower():
            raise CheckoutError(
                f"could not mirror {repository.full_name!r}: found the clone URL {url!r}, expected '{wanted}.git'; "
                "set GITHUB_SERVER_URL for a server other than github.com"
            )
        return url


def _count_packs(git_dir: Path) -> int:
    return sum(1 for _ in git_dir.glob("objects/pack/*.pack"))


def _clear_left_over(git_dir: Path) -> bool:
    """Remove what a git that was killed left in a mirror of ours; tell whether a lock was among it.

    Called under the mirror's own lock, so that no other git writes there. Without this, each fetch that is killed
    leaves what it had of its pack, and one lock that it left keeps a ref from ever changing again.
    """
    for part in (*git_dir.glob("objects/pack/tmp_*"), *git_dir.glob("objects/pack/.tmp-*")):
        part.unlink(missing_ok=True)
    locks = [*git_dir.glob("*.lock"), *(git_dir / "refs").rglob("*.lock")]
    for lock in locks:
        lock.unlink(missing_ok=True)
    return bool(locks)


def check_names(repository: Repository, sha: str | None, ref: str) -> None:
    """Raise ``CheckoutError`` for a name that breaks its rules; None and an empty ref are not judged."""
    try:
        checked_full_name(repository.full_name)
        if sha is not None:
            checked_sha(sha)
        if ref:
            checked_ref(ref)
    except BadNameError as error:
        raise CheckoutError(str(error)) from None


def _kept(wanted: str) -> str:
    """Return where a ref is kept in a mirror; every commit that came by its id shares one name."""
    if not wanted.startswith("refs/"):
        return "refs/terraphim/commit"
    return f"refs/terraphim/{hashlib.sha256(wanted.encode()).hexdigest()[:40]}"


def _told(repository: Repository, place: Place) -> str:
    # Of this host's paths nothing is told: the text ends in a job's log.
    if place.ours:
        return f"{repository.full_name!r}"
    return f"{repository.full_name!r} (the copy that was placed on this host is used as it is, and never fetched into)"


def _missing_ref(
    repository: Repository, place: Place, ref: str, answer: GitExit
) -> CheckoutError | InfrastructureError:
    if "couldn't find remote ref" in answer.stderr or not answer.stderr.strip():
        return CheckoutError(f"ref {ref!r} does not exist in {_told(repository, place)}")
    return failure(f"resolve {ref!r} in {_told(repository, place)}", answer)


def _raise_if_transient(repository: Repository, answer: GitExit) -> None:
    error = failure(f"fetch from {repository.full_name!r}", answer)
    if isinstance(error, InfrastructureError):
        raise error
