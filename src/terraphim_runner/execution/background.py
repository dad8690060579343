"""Steps in the background, and the steps that wait for them or cancel them.

Documentation: "Workflow syntax", ``background``, ``wait``, ``wait-all``, ``cancel``. What a background step sets is
seen by the steps after it only once it was waited for, cancelled, or the job's steps are through.
"""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from functools import partial

import anyio
from anyio.abc import TaskGroup

from terraphim_runner.execution.cancellation import Cancellation
from terraphim_runner.execution.frame import JobFrame
from terraphim_runner.execution.outcome import Outcome
from terraphim_runner.execution.step import (
    Begun,
    Ended,
    Prepared,
    begin,
    conclude,
    failed,
    guarded,
    perform,
    prepare,
    run_step,
    stop_with_job,
    take_effect,
)
from terraphim_runner.execution.turns import Turn
from terraphim_runner.execution.watched import watched
from terraphim_runner.model.errors import InfrastructureError
from terraphim_runner.model.job import LogKind
from terraphim_runner.model.states import Conclusion
from terraphim_runner.workflow.tree import CancelStep, RunStep, UsesStep, WaitAllStep, WaitStep

SLOTS = 10
"""How many background steps run at once in a job; the others wait for their turn. GitHub's number."""


@dataclass(slots=True, kw_only=True)
class _Running:
    """One background step. ``ended`` is set when it was reported as completed, or ``trouble`` is."""

    begun: Begun
    interrupt: Cancellation = field(default_factory=Cancellation)
    over: anyio.Event = field(default_factory=anyio.Event)
    concluding: bool = False
    ended: Ended | None = None
    trouble: Exception | None = None
    joined: bool = False
    """It was waited for or cancelled: what it set has taken effect."""
    cancelled: bool = False
    """By a step; that it did not succeed then is no fault."""

    @property
    def conclusion(self) -> Conclusion:
        """What it counts as."""
        if self.ended is None or (self.cancelled and self.ended.result.conclusion is Conclusion.CANCELLED):
            return Conclusion.SUCCESS
        return self.ended.result.conclusion


class BackgroundSteps:
    """Runs a job's steps in their order, those in the background beside the others."""

    def __init__(self, frame: JobFrame) -> None:
        self._frame = frame
        self._running: dict[int, _Running] = {}
        self._slots = anyio.Semaphore(SLOTS)

    async def run(self, turns: Iterable[Turn]) -> None:
        """Run every step; return when those in the background have ended, too.

        Raises ``InfrastructureError``, with nothing left running. Whether it returned or was cut off, ``settle`` is
        to be called after it.
        """
        troubles: list[Exception] = []
        async with anyio.create_task_group() as group:
            try:
                for turn in turns:
                    await self._take(turn, group)
                await self._wait([item for item in self._running.values() if not item.joined])
            except Exception as error:  # noqa: BLE001 - raised again below, outside of the group that would wrap it
                troubles.append(error)
            # All that may still run was cancelled by a step and did not end within its grace.
            group.cancel_scope.cancel()
        if troubles:
            raise troubles[0]

    def settle(self) -> None:
        """Let what has ended take effect and every failure count, whether somebody waited for it or not."""
        for item in self._running.values():
            self._join(item)
            self._frame.state.failed = self._frame.state.failed or item.conclusion is Conclusion.FAILURE

    async def _take(self, turn: Turn, group: TaskGroup) -> None:
        match turn.step:
            case RunStep(background=True) | UsesStep(background=True):
                await self._start(turn, group)
            case WaitStep():
                await self._control(turn, self._targets(turn), self._wait)
            case WaitAllStep():
                rest = [item for item in self._running.values() if not item.joined]
                await self._control(turn, rest, self._wait)
            case CancelStep():
                await self._control(turn, self._targets(turn), self._cancel)
            case _:
                await run_step(self._frame, turn)

    def _targets(self, turn: Turn) -> list[_Running]:
        """Return the background steps that are meant; one that was skipped, or is none, is nothing to wait for."""
        return [self._running[number] for number in turn.targets if number in self._running]

    async def _start(self, turn: Turn, group: TaskGroup) -> None:
        """Evaluate the step now, and let it run."""
        frame = self._frame
        item = _Running(begun=await begin(frame, turn))
        try:
            prepared = await guarded(frame, turn.number, partial(prepare, frame, item.begun.place))
        except InfrastructureError as error:
            await self._conclude(item, await failed(frame, turn.number, str(error)))
            raise
        if isinstance(prepared, Prepared):
            self._running[turn.number] = item
            group.start_soon(self._run, item, prepared)
            return
        await self._conclude(item, prepared)
        if prepared.conclusion is Conclusion.SKIPPED:
            self._join(item)
        else:
            self._running[turn.number] = item

    async def _run(self, item: _Running, prepared: Prepared) -> None:
        number = item.begun.place.number
        try:
            outcome = await guarded(self._frame, number, lambda: self._in_slot(item, prepared))
        except InfrastructureError as error:
            item.trouble = error
            outcome = await failed(self._frame, number, str(error))
        except Exception as error:  # noqa: BLE001 - raised by whoever waits, and at the latest at the job's end
            item.trouble = error
            item.over.set()
            return
        await self._conclude(item, outcome)

    async def _in_slot(self, item: _Running, prepared: Prepared) -> Outcome:
        interrupt = item.interrupt

        async def run() -> Outcome:
            if not await self._slot(interrupt):
                return Outcome(conclusion=Conclusion.CANCELLED, error=interrupt.reason)
            try:
                return await perform(self._frame, prepared, interrupt)
            finally:
                self._slots.release()

        return await watched(run, lambda: stop_with_job(self._frame, prepared.place, interrupt))

    async def _slot(self, interrupt: Cancellation) -> bool:
        """Tell whether a slot was had before the step was interrupted."""
        scope = anyio.CancelScope()

        async def acquire() -> bool:
            with scope:
                await self._slots.acquire()
                return True
            return False

        async def give_up() -> None:
            await interrupt.wait()
            scope.cancel()

        acquired = await watched(acquire, give_up)
        if acquired and interrupt.requested:
            self._slots.release()
            return False
        return acquired

    async def _conclude(self, item: _Running, outcome: Outcome) -> None:
        """Report the step as completed, once: a late end after it counted as cancelled changes nothing."""
        if item.concluding:
            return
        item.concluding = True
        try:
            item.ended = await conclude(self._frame, item.begun, outcome)
        except InfrastructureError as error:
            item.trouble = item.trouble or error
        item.over.set()

    async def _control(
        self, turn: Turn, items: list[_Running], act: Callable[[list[_Running]], Awaitable[Conclusion]]
    ) -> None:
        """Run a step that waits or cancels; it always runs."""
        frame = self._frame
        begun = await begin(frame, turn)
        doing = "cancelling" if isinstance(turn.step, CancelStep) else "waiting for"
        names = ", ".join(item.begun.name for item in items) or "nothing: no background step is left"
        await frame.say(turn.number, LogKind.COMMAND, f"{doing} {names}")
        conclusion = await act(items)
        for item in items:
            if item.ended is not None:
                said = f"{item.begun.name}: {item.ended.result.conclusion}"
                await frame.say(turn.number, LogKind.COMMAND, said)
        outcome = Outcome(conclusion=conclusion)
        if conclusion is Conclusion.FAILURE:
            outcome = await failed(frame, turn.number, "a background step that this one waited for has failed")
        ended = await conclude(frame, begun, outcome)
        take_effect(frame, ended)
        frame.state.failed = frame.state.failed or ended.result.conclusion is Conclusion.FAILURE

    async def _wait(self, items: list[_Running]) -> Conclusion:
        """Return the worst conclusion of the steps once they have ended; a job that is cancelled ends them."""
        stop = self._frame.stop

        async def all_over() -> None:
            for item in items:
                await item.over.wait()

        async def interrupt_all() -> None:
            await stop.wait()
            for item in items:
                item.interrupt.request(stop.reason)

        # A wait whose turn comes after the cancellation waits for those whose conditions still hold.
        await watched(all_over, *(() if stop.requested else (interrupt_all,)))
        for item in items:
            self._join(item)
        conclusions = {item.conclusion for item in items}
        for conclusion in (Conclusion.FAILURE, Conclusion.CANCELLED):
            if conclusion in conclusions:
                return conclusion
        return Conclusion.SUCCESS

    async def _cancel(self, items: list[_Running]) -> Conclusion:
        """End the steps gracefully; one that does not end in time counts as cancelled."""
        for item in items:
            item.cancelled = True
            item.interrupt.request("the step was cancelled by another one")
            with anyio.move_on_after(self._frame.request.limits.interrupt_grace_s):
                await item.over.wait()
            if not item.over.is_set():
                reason = "the step was cancelled by another one and did not end in time"
                await self._conclude(item, Outcome(conclusion=Conclusion.CANCELLED, error=reason))
            self._join(item)
        return Conclusion.SUCCESS

    def _join(self, item: _Running) -> None:
        """Let what the step set take effect, once. Raises what it ended with when that was no result."""
        if not item.joined and item.ended is not None:
            take_effect(self._frame, item.ended)
        item.joined = item.joined or item.over.is_set()
        if item.trouble is not None:
            raise item.trouble
