"""Private folders for work that leaves nothing behind."""

import shutil
import tempfile
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
from anyio import to_thread


@asynccontextmanager
async def private_folder(prefix: str, parent: Path | None = None) -> AsyncGenerator[Path, None]:
    """Give a fresh folder that nobody else can enter, and remove it with all that is in it, also when cancelled."""
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
    try:
        yield folder
    finally:
        with anyio.CancelScope(shield=True):
            await remove_folder(folder)


async def remove_folder(folder: Path) -> None:
    """Remove a folder as far as that is possible; one that does not exist is removed already."""

    def remove() -> None:
        shutil.rmtree(folder, ignore_errors=True)

    await to_thread.run_sync(remove)
