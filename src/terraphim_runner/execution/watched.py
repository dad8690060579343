"""An action with tasks that watch over it."""

from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

import anyio

Result = TypeVar("Result")


async def watched(
    action: Callable[[], Awaitable[Result]], *watchers: Callable[[], Coroutine[Any, Any, None]]
) -> Result:
    """Return what the action returns; the watchers run beside it and end with it.

    An exception of the action's comes out as it is, not wrapped in a group. Watchers act on the action through what
    they share with it and must not raise.
    """
    results: list[Result] = []
    troubles: list[Exception] = []
    async with anyio.create_task_group() as group:
        for watcher in watchers:
            group.start_soon(watcher)
        try:
            results.append(await action())
        except Exception as error:  # noqa: BLE001 - raised again below, outside of the group that would wrap it
            troubles.append(error)
        group.cancel_scope.cancel()
    if troubles:
        raise troubles[0]
    return results[0]
