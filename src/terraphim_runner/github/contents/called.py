"""Called workflow files of other repositories."""

from terraphim_runner.github.contents.mirror import Mirror
from terraphim_runner.model.event import Repository
from terraphim_runner.ports import CheckoutError
from terraphim_runner.workflow.linking import CalledFile, FileReference


class RemoteFiles:
    """Workflow files of other repositories and commits, for one run: what a ref means is asked once.

    ``own`` is the run's repository, which is where its payload says. With ``public_only`` no other one is read that
    not everybody may read: a stranger's pull request must not see private workflows through the server's token.
    """

    def __init__(self, mirror: Mirror, *, own: Repository | None = None, public_only: bool = False) -> None:
        self._mirror = mirror
        self._public_only = public_only
        self._open = {own.full_name.lower()} if own is not None else set[str]()
        self._repositories = {own.full_name.lower(): own} if own is not None else {}
        self._commits: dict[tuple[str, str], str] = {}

    async def read(self, reference: FileReference) -> CalledFile:
        """Return the file that a reference with a repository means, or why there is none.

        Raises ``InfrastructureError`` for trouble on the way.
        """
        full_name, ref = reference.repository or "", reference.ref or ""
        try:
            repository = self._repository(full_name)
            if self._public_only and not await self._is_open(repository):
                # The same words whether it is private or not there at all.
                return CalledFile(error="a stranger's pull request may call workflows of public repositories only")
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

    async def _is_open(self, repository: Repository) -> bool:
        key = repository.full_name.lower()
        if key not in self._open and await self._mirror.is_public(repository):
            self._open.add(key)
        return key in self._open

    async def _commit(self, repository: Repository, ref: str) -> str:
        key = repository.full_name.lower(), ref
        if key not in self._commits:
            self._commits[key] = await self._mirror.commit_of(repository, ref)
        return self._commits[key]
