"""The mirror as the rest of the product knows it: exact commits, and what can be read of them."""

from pathlib import Path
from typing import Final

from terraphim_runner.github.contents import diffs, names, workflows
from terraphim_runner.github.contents.mirror_tree import MirrorTree
from terraphim_runner.github.contents.repositories import Repositories, check_names
from terraphim_runner.github.contents.tree_cache import TreeCache
from terraphim_runner.github.contents.workflows import WorkflowFile
from terraphim_runner.github.names import is_zero
from terraphim_runner.model.event import Repository
from terraphim_runner.model.secret import Secret
from terraphim_runner.ports import CheckoutError, SourceTree
from terraphim_runner.workflow.linking import CalledFile

_GIB: Final = 1024**3


class Mirror(Repositories):
    """Exact commits (see ``Repositories``), their workflow files and diffs, and trees for jobs.

    ``cache`` is a folder of our own for locks and for at most ``cache_bytes`` of trees.
    """

    def __init__(
        self,
        repository_path: Path,
        *,
        allow_file_urls: bool,
        cache: Path,
        token: Secret | None,
        timeout_s: float,
        server_url: str = "https://github.com",
        cache_bytes: int = 2 * _GIB,
    ) -> None:
        super().__init__(
            repository_path,
            allow_file_urls=allow_file_urls,
            locks=cache / "locks",
            token=token,
            timeout_s=timeout_s,
            server_url=server_url,
        )
        self._server_url = server_url.rstrip("/")
        self._trees = TreeCache(cache.absolute() / "trees", max_bytes=cache_bytes, timeout_s=timeout_s)

    async def read_workflows(self, repository: Repository, sha: str) -> list[WorkflowFile]:
        """Return the commit's workflow files (see ``workflows.read_workflows``); the commit was ensured before."""
        place = self.present(repository, sha)
        return await workflows.read_workflows(self._local, place.git_dir, sha)

    async def read_workflow(self, repository: Repository, sha: str, path: str) -> CalledFile:
        """Return one workflow file of the commit, or why there is none; the commit was ensured before."""
        place = self.present(repository, sha)
        return await workflows.read_workflow(self._local, place.git_dir, sha, path)

    async def commit_of(self, repository: Repository, name: str) -> str:
        """Return the commit that a person's word for it means now, see ``names``; it is on this host then."""
        return await names.commit_of(self, self._local, repository, name)

    def named(self, full_name: str) -> Repository:
        """Return a repository of the server by its ``owner/name``."""
        # Which branch is the default one matters to nobody who names what he wants.
        return Repository(full_name=full_name, clone_url=f"{self._server_url}/{full_name}.git", default_branch="")

    async def changed_files(
        self, repository: Repository, before: str | None, sha: str, *, since_merge_base: bool = False
    ) -> tuple[str, ...] | None:
        """Return the paths that differ between the commits, or None when that cannot be told.

        ``since_merge_base`` is the three-dot diff of pull requests. None: ``before`` is absent, all zeros (a new
        branch) or no longer exists (see ``diffs.changed_files``).
        """
        if before is None or is_zero(before):
            return None
        try:
            await self.ensure(repository, before, "")
        except CheckoutError:
            return None
        place = self.present(repository, sha)
        return await diffs.changed_files(self._local, place.git_dir, before, sha, since_merge_base=since_merge_base)

    def source_tree(self, repository: Repository, *, sha: str, ref: str) -> SourceTree:
        """Return the port that hands out trees of this repository, for a run that is for ``sha`` on ``ref``."""
        check_names(repository, sha, ref)
        return MirrorTree(
            self,
            git=self._local,
            trees=self._trees,
            repository=repository,
            remote_url=self._remote_url(repository),
            sha=sha,
            ref=ref,
        )

    def _remote_url(self, repository: Repository) -> str:
        # A file URL would tell the job of paths on this host.
        if repository.clone_url.startswith("https://"):
            return repository.clone_url
        return f"{self._server_url}/{repository.full_name}"
