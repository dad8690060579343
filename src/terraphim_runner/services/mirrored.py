"""Sources from this host's mirrors of GitHub."""

from dataclasses import replace

from terraphim_runner.github.contents import Mirror, changes, settle
from terraphim_runner.github.contents.called import RemoteFiles
from terraphim_runner.model.event import Event
from terraphim_runner.ports import SourceTree
from terraphim_runner.services.calls import Fetch
from terraphim_runner.services.events import gets_secrets
from terraphim_runner.services.sources import Prepared, SourceFile
from terraphim_runner.workflow.linking import CalledFile, FileReference


class MirroredSources:
    """``Sources`` backed by a ``Mirror``."""

    def __init__(self, mirror: Mirror) -> None:
        self._mirror = mirror

    async def prepare(self, event: Event) -> Prepared:
        """Fetch and settle the event's commit and read its workflows; see ``Sources``."""
        settled = await settle(self._mirror, event)
        found = await self._mirror.read_workflows(settled.repository, settled.sha)
        files = tuple(SourceFile(path=file.path, text=file.text, error=file.error) for file in found)
        # The diff may need another fetch, and only path filters ask for it.
        if any("paths" in file.text for file in files):
            settled = replace(settled, changed_files=await changes(self._mirror, settled))
        return Prepared(event=settled, files=files)

    def tree(self, event: Event) -> SourceTree:
        """Return the trees of the event's repository."""
        return self._mirror.source_tree(event.repository, sha=event.sha, ref=event.ref)

    def called(self, event: Event) -> Fetch:
        """Return what fetches called files: from the event's commit, or from other repositories' mirrors.

        Whoever gets no secrets gets no private repository either.
        """
        remote = RemoteFiles(self._mirror, own=event.repository, public_only=not gets_secrets(event))

        async def fetch(reference: FileReference) -> CalledFile:
            if reference.repository is not None:
                return await remote.read(reference)
            return await self._mirror.read_workflow(event.repository, event.sha, reference.path)

        return fetch
