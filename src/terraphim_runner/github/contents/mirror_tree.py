"""Trees of one repository for one run, out of its mirror: what ``actions/checkout`` would have made."""

import hashlib
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from terraphim_runner.github.contents.archive import ArchiveStream, write_commit_archive
from terraphim_runner.github.contents.git import Git, failure
from terraphim_runner.github.contents.options import check_request, wants_tags
from terraphim_runner.github.contents.repositories import Repositories
from terraphim_runner.github.contents.tree import TreeSpec, build_repository, check_size
from terraphim_runner.github.contents.tree_cache import TreeCache
from terraphim_runner.github.names import BadNameError, checked_branch, checked_ref, checked_sha
from terraphim_runner.model.event import Repository
from terraphim_runner.ports import Checkout, CheckoutError, CheckoutRequest

_FORMAT: Final = "1"
"""Part of every key: raise it when the same request would be built differently."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Target:
    sha: str
    ref: str


class MirrorTree:
    """Hands out the run's commit, or another ref of the same repository; archives are shared through the cache."""

    def __init__(
        self,
        repositories: Repositories,
        *,
        git: Git,
        trees: TreeCache,
        repository: Repository,
        remote_url: str,
        sha: str,
        ref: str,
    ) -> None:
        self._repositories = repositories
        self._git = git
        self._trees = trees
        self._repository = repository
        self._remote_url = remote_url
        self._own = _Target(sha=sha, ref=ref)

    @asynccontextmanager
    async def checkout(self, request: CheckoutRequest) -> AsyncGenerator[Checkout, None]:
        """Open exactly the asked commit (see ``ports.SourceTree``).

        Without ``ref`` it is the run's; with one, a full commit id, ``refs/…``, a branch or a tag (in this order),
        as it stands now.
        """
        check_request(request, self._repository.full_name)
        target = await self._resolved(request.ref) if request.ref else self._own
        spec = TreeSpec(
            git_dir=Path(),
            remote_url=self._remote_url,
            sha=target.sha,
            ref=target.ref,
            depth=request.fetch_depth,
            tags=wants_tags(request.options),
        )
        key = await self._key(spec)

        async def build(work: Path, archive: Path) -> None:
            await self._build(spec, work, archive)

        async with self._trees.open(key, build) as file:
            yield Checkout(sha=target.sha, ref=target.ref, archive=ArchiveStream(file))

    async def _resolved(self, ref: str) -> _Target:
        try:
            sha = checked_sha(ref.lower())
        except BadNameError:
            return await self._resolved_name(ref)
        return _Target(sha=sha, ref="")

    async def _resolved_name(self, ref: str) -> _Target:
        try:
            full = [checked_ref(ref)] if ref.startswith("refs/") else _candidates(checked_branch(ref))
        except BadNameError as error:
            raise CheckoutError(str(error)) from None
        for name in full[:-1]:
            try:
                return _Target(sha=await self._repositories.resolve(self._repository, name), ref=name)
            except CheckoutError:
                continue
        try:
            return _Target(sha=await self._repositories.resolve(self._repository, full[-1]), ref=full[-1])
        except CheckoutError as error:
            if len(full) == 1:
                raise
            message = f"{ref!r} is neither a branch nor a tag of {self._repository.full_name!r}"
            raise CheckoutError(message) from error

    async def _build(self, spec: TreeSpec, work: Path, archive: Path) -> None:
        await self._repositories.ensure(self._repository, spec.sha, spec.ref)
        git_dir = self._repositories.present(self._repository, spec.sha).git_dir
        await check_size(self._git, git_dir, spec.sha)
        whole = replace(spec, git_dir=git_dir)
        if spec.ref.startswith("refs/tags/"):
            tag = await self._repositories.tag_object(self._repository, spec.ref, spec.sha)
            whole = replace(whole, tag_object=tag)
        await build_repository(self._git, whole, work)
        await write_commit_archive(self._git, work, spec.sha, archive)

    async def _key(self, spec: TreeSpec) -> str:
        parts = [
            _FORMAT,
            self._repository.full_name,
            self._remote_url,
            spec.sha,
            spec.ref,
            str(spec.depth),
            str(spec.tags),
        ]
        # With all branches or tags in it, a tree is a picture of the whole repository at a time.
        if spec.depth == 0 or spec.tags:
            parts.append(await self._refs(await self._repositories.refresh(self._repository)))
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()

    async def _refs(self, git_dir: Path) -> str:
        listing = await self._git.run(
            f"--git-dir={git_dir}", "for-each-ref", "--format=%(objectname) %(refname)", "refs/heads", "refs/tags"
        )
        if listing.code != 0:
            raise failure(f"list the refs of {self._repository.full_name!r}", listing)
        return hashlib.sha256(listing.stdout).hexdigest()


def _candidates(name: str) -> list[str]:
    return [f"refs/heads/{name}", f"refs/tags/{name}"]
