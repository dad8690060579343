"""A run without a server: the planner's decisions carried out in memory, one VM per job.

The counterpart of the durable engine for ``terraphim-runner run``: same planner, same execution, nothing stored.
"""

from collections.abc import Callable, Mapping
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
from terraphim_runner.planning.graph import (
    CancelLeg,
    Decision,
    Expand,
    Finish,
    JobSnapshot,
    LegSnapshot,
    PlannedLeg,
    Reject,
    RunSnapshot,
    Skip,
    Start,
)
from terraphim_runner.ports import Clock, JobReporter, Session, SourceTree, SystemClock
from terraphim_runner.workflow.tree import Workflow


class RunObserver(Protocol):
    """Is told how a run goes on. Calls come in order; ``reporter`` once for each leg, before it starts."""

    def reporter(self, leg: PlannedLeg) -> JobReporter: ...

    async def leg_started(self, leg: PlannedLeg) -> None: ...

    async def leg_completed(self, leg: PlannedLeg, result: JobResult) -> None: ...

    async def job_skipped(self, job: JobKey, name: str, reason: str) -> None: ...

    async def job_rejected(self, job: JobKey, name: str, diagnostics: tuple[Diagnostic, ...]) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalPlan:
    """What to run. ``wants`` chooses among the legs of a matrix; ``lease`` gives a leg its machine."""

    workflow: Workflow
    contexts: Mapping[str, Any]
    source: SourceTree
    lease: Callable[[PlannedLeg], AbstractAsyncContextManager[Session]]
    wants: Callable[[PlannedLeg], bool] = lambda _: True
    secrets: Mapping[str, Secret] = field(default_factory=dict[str, Secret])
    environment: Mapping[str, str] = field(default_factory=dict[str, str])
    runner_name: str = "terraphim-local"
    debug: bool = False
    parallel: int = 2


@dataclass(slots=True)
class _Leg:
    planned: PlannedLeg
    status: Status = Status.WAITING
    result: JobResult | None = None
    finished_order: int = 0
    needs: Mapping[str, Any] = field(default_factory=dict[str, Any])
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
                if not decision:
                    await self._changed.wait()
            return decision.conclusion
        raise AssertionError("a task group swallowed an exception")

    async def _step(self, group: TaskGroup) -> Finish | bool:
        """Carry out what the planner decides now; tell whether anything changed, or that nothing is left."""
        self._changed = anyio.Event()
        decisions = advance(self._plan.workflow, self._snapshot())
        if decisions and isinstance(decisions[0], Finish):
            return decisions[0]
        return any([await self._apply(decision, group) for decision in decisions])

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
                wanted = [_Leg(planned=leg) for leg in legs if self._plan.wants(leg)]
                self._jobs[job] = _Job(legs=wanted, skipped=not wanted)
                self._legs |= {leg.planned.key: leg for leg in wanted}
                if not wanted:
                    reason = "its matrix has no leg that is wanted" if legs else "its matrix excludes everything"
                    await self._observer.job_skipped(job, self._title(job), reason)
            case Skip(job=job, reason=reason):
                self._jobs[job] = _Job(skipped=True)
                await self._observer.job_skipped(job, self._title(job), reason)
            case Reject(job=job, diagnostics=diagnostics):
                self._jobs[job] = _Job(failed=True)
                await self._observer.job_rejected(job, self._title(job), diagnostics)
            case Start(leg=key, needs=needs):
                leg = self._legs[key]
                leg.status, leg.needs = Status.QUEUED, needs
                group.start_soon(self._run, leg)
            case CancelLeg(leg=key, reason=reason):
                return await self._cancel_leg(self._legs[key], reason)
            case Finish():
                raise AssertionError("the planner finished a run and decided more")
        return True

    def _title(self, job: JobKey) -> str:
        return self._plan.workflow.jobs[job].title

    async def _cancel_leg(self, leg: _Leg, reason: str) -> bool:
        if leg.cancellation.requested:
            return False
        leg.cancellation.request(reason)
        if leg.status is not Status.IN_PROGRESS:
            await self._complete(leg, self._unstarted(Conclusion.CANCELLED, reason))
        return True

    async def _run(self, leg: _Leg) -> None:
        async with self._slots:
            if leg.status is Status.COMPLETED:
                return
            leg.status = Status.IN_PROGRESS
            await self._observer.leg_started(leg.planned)
            try:
                async with self._plan.lease(leg.planned) as session:
                    result = await run_job(
                        self._request(leg), session, self._observer.reporter(leg.planned), clock=self._clock
                    )
            except InfrastructureError as error:
                result = self._unstarted(Conclusion.FAILURE, str(error))
            await self._complete(leg, result)

    def _request(self, leg: _Leg) -> JobRequest:
        plan = self._plan
        return JobRequest(
            workflow=plan.workflow,
            job=plan.workflow.jobs[leg.planned.job],
            leg=leg.planned,
            contexts=plan.contexts,
            source=plan.source,
            cancellation=leg.cancellation,
            needs=leg.needs,
            secrets=plan.secrets,
            environment=plan.environment,
            runner_name=plan.runner_name,
            debug=plan.debug,
        )

    def _unstarted(self, conclusion: Conclusion, error: str) -> JobResult:
        now = self._clock.now()
        return JobResult(conclusion=conclusion, started_at=now, completed_at=now, error=error)

    async def _complete(self, leg: _Leg, result: JobResult) -> None:
        self._finished += 1
        leg.status, leg.result, leg.finished_order = Status.COMPLETED, result, self._finished
        await self._observer.leg_completed(leg.planned, result)
        self._changed.set()


def _leg_snapshot(leg: _Leg) -> LegSnapshot:
    return LegSnapshot(
        leg=leg.planned,
        status=leg.status,
        conclusion=leg.result.conclusion if leg.result else None,
        outputs=leg.result.outputs if leg.result else {},
        finished_order=leg.finished_order,
    )
