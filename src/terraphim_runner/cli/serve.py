"""``terraphim-runner serve``: the server."""

from pathlib import Path
from typing import Annotated, cast

import anyio
import typer

from terraphim_runner.app import serve
from terraphim_runner.model.errors import InfrastructureError, UsageError
from terraphim_runner.settings import load_settings


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("serve")(serve_command)


def serve_command(
    settings: Annotated[
        Path | None, typer.Option("--settings", help="TOML settings file (also: TERRAPHIM_SETTINGS).")
    ] = None,
    host: Annotated[str | None, typer.Option("--host", help="Address to listen on (also: HOST).")] = None,
    port: Annotated[
        int | None, typer.Option("--port", help="Port to listen on; 0 takes a free one (also: PORT).")
    ] = None,
) -> None:
    """Receive GitHub's webhooks and run their workflows, each job in its own machine.

    Needs GITHUB_WEBHOOK_SECRET. SIGTERM and Ctrl-C stop it; running jobs go back into the queue.
    """
    chosen = load_settings(settings_file=settings, overrides={"host": host, "port": port})
    try:
        anyio.run(serve, chosen)
    except* (UsageError, InfrastructureError) as trouble:
        raise first(trouble) from None


def first(trouble: BaseException) -> BaseException:
    """Return the first plain exception of a group: each is told in one message, and one is enough to act upon."""
    while isinstance(trouble, BaseExceptionGroup):
        trouble = cast("BaseExceptionGroup[BaseException]", trouble).exceptions[0]
    return trouble
