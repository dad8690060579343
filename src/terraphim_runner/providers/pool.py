"""Machines that are ready before anybody asks for them.

Making one is somebody else's business; the pool owns when, how many, and that none is forgotten. It refills a little
after one was taken: the job that just got it should not share the processor with the making of the next.
"""

import logging
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Final, Generic, TypeVar

import anyio
import anyio.abc

from terraphim_runner.model.errors import InfrastructureError

_MAX_KINDS: Final = 8
"""Kinds of machine that are kept warm at a time; the least recently used goes."""

Item = TypeVar("Item")
Made = tuple[Item, AsyncExitStack]
"""A machine, and what ends it."""
Make = Callable[[], Awaitable[Made[Item] | None]]
"""Makes a machine, or returns None when there is no room for another. Raises ``InfrastructureError``."""

log = logging.getLogger(__name__)


class Pool(Generic[Item]):
    """``size`` warm machines per kind, made in ``tasks``. A kind is any string that tells them apart."""

    def __init__(
        self, tasks: anyio.abc.TaskGroup, *, size: int, refill_after_s: float, is_good: Callable[[Item], bool]
    ) -> None:
        self._tasks = tasks
        self._size = size
        self._refill_after_s = refill_after_s
        self._is_good = is_good
        self._warm: OrderedDict[str, deque[Made[Item]]] = OrderedDict()
        self._being_made: dict[str, int] = {}
        self._changed = anyio.Event()
        self._is_closed = False

    def count(self, kind: str) -> int:
        """Return how many machines of that kind are ready."""
        return len(self._warm.get(kind, ()))

    async def take(self, kind: str) -> Made[Item] | None:
        """Return a ready machine, which is then the caller's to end, or None. Those that died waiting are ended."""
        waiting = self._warm.get(kind)
        while waiting:
            item, stack = waiting.popleft()
            if self._is_good(item):
                self._warm.move_to_end(kind)
                return item, stack
            await stack.aclose()
        return None

    async def evict(self) -> bool:
        """End one warm machine, of the least recently used kind, to make room; tell whether there was one."""
        for waiting in self._warm.values():
            if waiting:
                await waiting.popleft()[1].aclose()
                return True
        return False

    def refill(self, kind: str, make: Make[Item], *, at_once: bool = False) -> None:
        """See to it that machines of that kind will be ready; returns at once."""
        missing = self._size - self.count(kind) - self._being_made.get(kind, 0)
        for _ in range(missing):
            self._being_made[kind] = self._being_made.get(kind, 0) + 1
            self._tasks.start_soon(self._fill, kind, make, 0.0 if at_once else self._refill_after_s)

    async def settled(self, kind: str) -> None:
        """Return when nothing of that kind is being made any more."""
        while self._being_made.get(kind):
            await self._changed.wait()

    async def close(self) -> None:
        """End every warm machine. The pool's tasks must have ended or been cancelled."""
        self._is_closed = True
        for waiting in self._warm.values():
            while waiting:
                await waiting.popleft()[1].aclose()

    async def _fill(self, kind: str, make: Make[Item], delay_s: float) -> None:
        try:
            await anyio.sleep(delay_s)
            made = await make()
        except InfrastructureError as error:
            # Not tried again before the next machine is taken: acquiring does without, and reports what is wrong.
            log.warning("a warm machine could not be made: %s", error)
            made = None
        except Exception:
            # The supervisor: the tasks of every machine that runs are in the same group, and would end with this one.
            log.exception("a warm machine could not be made")
            made = None
        finally:
            self._being_made[kind] -= 1
            self._changed.set()
            self._changed = anyio.Event()
        if made is None:
            return
        if self._is_closed:
            await made[1].aclose()
            return
        self._warm.setdefault(kind, deque()).append(made)
        while len(self._warm) > _MAX_KINDS:
            _, waiting = self._warm.popitem(last=False)
            while waiting:
                await waiting.popleft()[1].aclose()
