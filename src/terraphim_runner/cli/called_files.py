"""Called workflow files for a run without a server: of the checkout as it lies there, and of other repositories."""

from collections.abc import Mapping
from pathlib import Path

from terraphim_runner.cli.workflow_file import local_files
from terraphim_runner.github.contents import Mirror
from terraphim_runner.github.contents.called import RemoteFiles
from terraphim_runner.services.calls import Fetch
from terraphim_runner.settings import Settings, read_settings
from terraphim_runner.workflow.linking import CalledFile, FileReference


def called_files(repository: Path, environ: Mapping[str, str]) -> Fetch:
    """Return what fetches called files, for one command: a ref of another repository means one commit throughout.

    Other repositories are had as the server has them, by the same settings (``REPOSITORY_PATH``,
    ``GITHUB_SERVER_URL``, ``GITHUB_TOKEN`` …), which are read once the first is asked for.
    """
    read = local_files(repository)
    remote: list[RemoteFiles] = []

    async def fetch(reference: FileReference) -> CalledFile | None:
        if reference.repository is None:
            return read(reference)
        if not remote:
            remote.append(RemoteFiles(_mirror(read_settings(environ))))
        return await remote[0].read(reference)

    return fetch


def _mirror(settings: Settings) -> Mirror:
    return Mirror(
        settings.repositories_root,
        allow_file_urls=settings.clone_allow_file_urls,
        cache=settings.terraphim_data_dir / "cache",
        token=settings.github_token,
        timeout_s=settings.git_timeout_secs,
        server_url=settings.github_server_url,
    )
