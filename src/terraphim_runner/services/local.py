"""A run without a server: the planner's decisions carried out in memory, one VM per job.

The counterpart of the durable engine for ``terraphim-runner run``: same planner, same execution, nothing stored.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol

import anyio
from anyio.abc import TaskGroup

from terraphim_runner.execution import Cancellation, JobRequest, run_job
from terraphim_runner.model.errors import InfrastructureError
from terraphim_runner.model.ids import JobKey, LegKey
from terraphim_runner.model.job import JobResult
from terraphim_runner.model.secret import Secret
from terraphim_runner.model.source import Diagnostic
from terraphim_runner.model.states import Conclusion, Status
from terraphim_runner.planning import advance
from terraphim_runner.planning.calls import job_scope, locate, visible_secrets
from terraphim_runner.planning.graph import (
    CancelLeg,
    Conclude,
    Decision,
    Expand,
    Finish,
    JobSnapshot,
    LegSnapshot,
    Planned,
    PlannedCall,
    PlannedGroup,
    PlannedLeg,
    Reject,
    RunSnapshot,
    Skip,
    Start,
)
from terraphim_runner.ports import Clock, JobReporter, Session, SourceTree, SystemClock
from terraphim_runner.services.bounds import excess
from terraphim_runner.services.local_groups import LocalGroups
from terraphim_runner.workflow.tree import Workflow


class RunObserver(Protocol):
    """Is told how a run goes on. Calls come in order; ``reporter`` once for each leg, before it starts.

    A call of a workflow that never began is told by ``leg_completed``, as a job that never began is.
    """

    def reporter(self, leg: PlannedLeg) -> JobReporter: ...

    async def leg_started(self, leg: PlannedLeg) -> None: ...

    async def leg_pending(self, leg: Planned, groups: tuple[str, ...]) -> None: ...

    async def leg_completed(self, leg: Planned, result: JobResult) -> None: ...

    async def call_started(self, call: PlannedCall) -> None: ...

    async def call_completed(
        self, call: PlannedCall, conclusion: Conclusion, outputs: Mapping[str, str], diagnostics: tuple[Diagnostic, ...]
    ) -> None: ...

    async def job_skipped(self, job: JobKey, name: str, reason: str) -> None: ...

    async def job_rejected(self, job: JobKey, name: str, diagnostics: tuple[Diagnostic, ...]) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalPlan:
    """What to run. ``wants`` chooses among the legs of a matrix; ``lease`` gives a leg its machine.

    ``group`` is the run's own concurrency group: it is the run's turn from the start.
    """

    workflow: Workflow
    contexts: Mapping[str, Any]
    source: SourceTree
    lease: Callable[[PlannedLeg], AbstractAsyncContextManager[Session]]
    wants: Callable[[Planned], bool] = lambda _: True
    group: PlannedGroup | None = None
    secrets: Mapping[str, Secret] = field(default_factory=dict[str, Secret])
    environment: Mapping[str, str] = field(default_factory=dict[str, str])
    runner_name: str = "terraphim-local"
    debug: bool = False
    parallel: int = 2


@dataclass(slots=True)
class _Leg:
    planned: Planned
    status: Status = Status.WAITING
    conclusion: Conclusion | None = None
    outputs: Mapping[str, str] = field(default_factory=dict[str, str])
    finished_order: int = 0
    told_pending: bool = False
    cancellation: Cancellation = field(default_factory=Cancellation)


@dataclass(slots=True)
class _Job:
    legs: list[_Leg] = field(default_factory=list[_Leg])
    skipped: bool = False
    failed: bool = False


class LocalRun:
    """One run. ``execute`` may be called once; ``cancel`` at any time, from the same event loop."""

    def __init__(self, plan: LocalPlan, observer: RunObserver, *, clock: Clock | None = None) -> None:
        self._plan = plan
        self._observer = observer
        self._clock = clock or SystemClock()
        self._groups = LocalGroups(plan.group)
        self._jobs: dict[JobKey, _Job] = {}
        self._legs: dict[LegKey, _Leg] = {}
        self._cancelled = False
        self._finished = 0
        self._changed = anyio.Event()
        self._slots = anyio.Semaphore(plan.parallel)

    @property
    def cancelled(self) -> bool:
        """Whether ``cancel`` was called."""
        return self._cancelled

    def cancel(self) -> None:
        """Cancel the run as GitHub does: running steps are interrupted, ``always()`` steps and jobs still run."""
        self._cancelled = True
        self._changed.set()

    async def execute(self) -> Conclusion:
        """Run everything and return the run's conclusion."""
        async with anyio.create_task_group() as group:
            while not isinstance(decision := await self._step(group), Finish):
                if not decision and not await self._untangle():
                    await self._changed.wait()
            return decision.conclusion
        raise AssertionError("a task group swallowed an exception")

    async def _step(self, group: TaskGroup) -> Finish | bool:
        """Carry out what the planner decides now; tell whether anything changed, or that nothing is left."""
        self._changed = anyio.Event()
        decisions = advance(self._plan.workflow, self._snapshot())
        if decisions and isinstance(decisions[0], Finish):
            return decisions[0]
        changed = any([await self._apply(decision, group) for decision in decisions])
        return await self._take_turns(group) or changed

    def _snapshot(self) -> RunSnapshot:
        return RunSnapshot(
            contexts=self._plan.contexts,
            cancelled=self._cancelled,
            jobs={
                key: JobSnapshot(
                    legs=tuple(_leg_snapshot(leg) for leg in job.legs), skipped=job.skipped, failed=job.failed
                )
                for key, job in self._jobs.items()
            },
        )

    async def _apply(self, decision: Decision, group: TaskGroup) -> bool:
        """Carry one decision out; tell whether it changed anything."""
        match decision:
            case Expand(job=job, legs=legs):
                await self._expand(job, [leg for leg in legs if self._plan.wants(leg)], among=len(legs))
            case Skip(job=job, reason=reason):
                self._jobs[job] = _Job(skipped=True)
                await self._observer.job_skipped(job, self._title(job), reason)
            case Reject(job=job, diagnostics=diagnostics):
                self._jobs[job] = _Job(failed=True)
                await self._observer.job_rejected(job, self._title(job), diagnostics)
            case Start(leg=key):
                await self._ask_for_turn(self._legs[key])
                # Now, and not once all have asked: who comes first has the turn before the next one comes.
                await self._take_turns(group)
            case CancelLeg(leg=key, reason=reason):
                return await self._cancel_leg(self._legs[key], reason)
            case Conclude():
                await self._conclude(decision)
            case Finish():
                raise AssertionError("the planner finished a run and decided more")
        return True

    async def _expand(self, job: JobKey, legs: Sequence[Planned], *, among: int) -> None:
        calls = [leg.planned.job for leg in self._legs.values() if isinstance(leg.planned, PlannedCall)]
        message = excess(self._plan.workflow, legs, count=len(self._legs), calls=calls)
        if message is not None:
            self._jobs[job] = _Job(failed=True)
            workflow, written = locate(self._plan.workflow, job)
            diagnostic = Diagnostic(path=workflow.path, span=written.span, rule="limits", message=message)
            await self._observer.job_rejected(job, self._title(job), (diagnostic,))
            return
        wanted = [_Leg(leg) for leg in legs]
        self._jobs[job] = _Job(legs=wanted, skipped=not wanted)
        self._legs |= {leg.planned.key: leg for leg in wanted}
        if not wanted:
            reason = "its matrix has no leg that is wanted" if among else "its matrix excludes everything"
            await self._observer.job_skipped(job, self._title(job), reason)

    def _title(self, job: JobKey) -> str:
        title = locate(self._plan.workflow, job)[1].title
        above = self._calls_above(job)
        return f"{self._legs[above[-1]].planned.name} / {title}" if above else title

    def _calls_above(self, key: str) -> tuple[LegKey, ...]:
        """Return the legs of the calls that a job or a leg is part of, outermost first."""
        parts = key.split("/")
        prefixes = (LegKey("/".join(parts[:count])) for count in range(1, len(parts)))
        return tuple(prefix for prefix in prefixes if prefix in self._legs)

    async def _ask_for_turn(self, leg: _Leg) -> None:
        leg.status = Status.PENDING
        refusal = self._groups.ask(leg.planned.key, leg.planned.groups, self._calls_above(leg.planned.key))
        if refusal is not None:
            await self._cancel_leg(leg, refusal)

    async def _take_turns(self, group: TaskGroup) -> bool:
        """Let those go on whose turn it is, and those leave that newer ones displace; tell whether there were any."""
        change = self._groups.arrange()
        for key, reason in change.displaced:
            await self._cancel_leg(self._legs[key], reason)
        for key in change.granted:
            leg = self._legs[key]
            if isinstance(leg.planned, PlannedCall):
                leg.status = Status.IN_PROGRESS
                await self._observer.call_started(leg.planned)
            else:
                leg.status = Status.QUEUED
                group.start_soon(self._run, leg, leg.planned)
        for leg in self._legs.values():
            if leg.status is Status.PENDING and not leg.told_pending:
                leg.told_pending = True
                await self._observer.leg_pending(leg.planned, tuple(group.name for group in leg.planned.groups))
        return bool(change.granted or change.displaced)

    async def _untangle(self) -> bool:
        """End a wait that can have no end, by cancelling who came last; tell whether there was one.

        Two calls that each hold what a job below the other asks for would wait for ever. Called after a step that
        changed nothing: such a step never gave way to anybody, so what it saw is still so.
        """
        at_work = {Status.QUEUED, Status.IN_PROGRESS}
        if any(leg.status in at_work and isinstance(leg.planned, PlannedLeg) for leg in self._legs.values()):
            return False
        pending = [leg for leg in self._legs.values() if leg.status is Status.PENDING]
        if not pending:
            return False
        await self._cancel_leg(pending[-1], "its concurrency groups are held by jobs that wait for it in turn")
        return True

    async def _cancel_leg(self, leg: _Leg, reason: str) -> bool:
        if leg.cancellation.requested:
            return False
        leg.cancellation.request(reason)
        if leg.status is not Status.IN_PROGRESS:
            await self._complete(leg, self._unstarted(Conclusion.CANCELLED, reason))
        return True

    async def _conclude(self, decision: Conclude) -> None:
        leg = self._legs[decision.leg]
        self._record(leg, decision.conclusion, decision.outputs)
        if isinstance(leg.planned, PlannedCall):
            await self._observer.call_completed(
                leg.planned, decision.conclusion, decision.outputs, decision.diagnostics
            )

    async def _run(self, leg: _Leg, planned: PlannedLeg) -> None:
        async with self._slots:
            if leg.status is Status.COMPLETED:
                return
            leg.status = Status.IN_PROGRESS
            await self._observer.leg_started(planned)
            try:
                request = self._request(leg, planned)
                async with self._plan.lease(planned) as session:
                    result = await run_job(request, session, self._observer.reporter(planned), clock=self._clock)
            except InfrastructureError as error:
                result = self._unstarted(Conclusion.FAILURE, str(error))
            await self._complete(leg, result)

    def _request(self, leg: _Leg, planned: PlannedLeg) -> JobRequest:
        plan = self._plan
        snapshot = self._snapshot()
        scope = job_scope(plan.workflow, snapshot, planned.job)
        return JobRequest(
            workflow=scope.workflow,
            job=scope.job,
            leg=planned,
            contexts=scope.contexts,
            source=plan.source,
            cancellation=leg.cancellation,
            needs=scope.needs,
            secrets=visible_secrets(plan.workflow, snapshot, planned.job, plan.secrets),
            environment=plan.environment,
            runner_name=plan.runner_name,
            debug=plan.debug,
        )

    def _unstarted(self, conclusion: Conclusion, error: str) -> JobResult:
        now = self._clock.now()
        return JobResult(conclusion=conclusion, started_at=now, completed_at=now, error=error)

    async def _complete(self, leg: _Leg, result: JobResult) -> None:
        self._record(leg, result.conclusion, result.outputs)
        await self._observer.leg_completed(leg.planned, result)
        self._changed.set()

    def _record(self, leg: _Leg, conclusion: Conclusion, outputs: Mapping[str, str]) -> None:
        self._finished += 1
        leg.status, leg.conclusion, leg.outputs = Status.COMPLETED, conclusion, outputs
        leg.finished_order = self._finished
        self._groups.leave(leg.planned.key)


def _leg_snapshot(leg: _Leg) -> LegSnapshot:
    return LegSnapshot(
        leg=leg.planned,
        status=leg.status,
        conclusion=leg.conclusion,
        outputs=leg.outputs,
        finished_order=leg.finished_order,
        cancelling=leg.cancellation.requested and leg.status is not Status.COMPLETED,
    )
