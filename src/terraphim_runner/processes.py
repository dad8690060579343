"""Starting a program so that a cancellation cannot fall between its start and whoever has to end it."""

from collections.abc import Sequence
from typing import Any

import anyio
from anyio.abc import Process


async def open_whole(command: Sequence[str], **options: Any) -> Process:
    """Return the running program; takes and raises what ``anyio.open_process`` does.

    A cancellation waits until the program is the caller's. In the middle of its opening, asyncio would kill its first
    process only: the others of its group would live on. The caller's very next statement has to be the ``try`` whose
    ``finally`` ends it.
    """
    with anyio.CancelScope(shield=True):
        return await anyio.open_process(command, **options)
    raise AssertionError("nothing cancels this scope but its end")
