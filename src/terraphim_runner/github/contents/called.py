"""Called workflow files of other repositories."""

from terraphim_runner.github.contents.mirror import Mirror
from terraphim_runner.model.event import Repository
from terraphim_runner.ports import CheckoutError
from terraphim_runner.workflow.linking import CalledFile, FileReference


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
