"""Carrying out what the planner decides, one transaction at a time.

``advance`` may be called at any moment, by anyone, again and again: it reads how the run stands under a lock, lets
the planner decide, stores the decisions, and repeats until there are none. Only then are the engine and the running
jobs told; when the process dies between the two, ``recovery`` tells them.
"""

import logging
from dataclasses import dataclass, field

from sqlalchemy import Connection
from sqlalchemy.exc import DataError

from terraphim_runner.model.errors import InfrastructureError
from terraphim_runner.model.ids import JobId, RunId
from terraphim_runner.model.source import Diagnostic
from terraphim_runner.model.states import Conclusion, Status
from terraphim_runner.planning import advance as decide
from terraphim_runner.planning.graph import CancelLeg, Decision, Expand, Finish, Reject, RunSnapshot, Skip, Start
from terraphim_runner.ports import Clock
from terraphim_runner.services.cancellations import Cancellations
from terraphim_runner.services.queue import Queue
from terraphim_runner.services.workflows import stored_workflow
from terraphim_runner.store import jobs, runs
from terraphim_runner.store.database import Database
from terraphim_runner.workflow.tree import Workflow

MAX_ROUNDS = 10_000
MAX_LEGS = 1024
"""Of one run. GitHub bounds each matrix at 256; how many of those a stranger's workflow has must be bounded too."""

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Effects:
    """What is to be told to others once the transaction is stored."""

    started: list[tuple[JobId, int]] = field(default_factory=list[tuple[JobId, int]])
    cancelled: list[tuple[JobId, str]] = field(default_factory=list[tuple[JobId, str]])


class Advancer:
    """Moves runs on."""

    def __init__(self, *, database: Database, queue: Queue, cancellations: Cancellations, clock: Clock) -> None:
        self._database = database
        self._queue = queue
        self._cancellations = cancellations
        self._clock = clock

    async def advance(self, run_id: RunId) -> None:
        """Do everything that can be done for a run now. A run that cannot be planned gets the verdict failure."""
        try:
            effects = await self._database.write(self._decide_and_store, run_id)
        except (ArithmeticError, AssertionError, LookupError, TypeError, ValueError, RecursionError) as error:
            # A defect of the planner's on somebody's workflow: the run must still reach a verdict.
            log.exception("could not plan run %s", run_id)
            reason = f"internal error while planning: {type(error).__name__}"
            effects = await self._database.write(self._fail, run_id, reason)
        except (InfrastructureError, DataError) as error:
            # What is stored cannot be read any more, or not be stored: trying again would not end.
            log.warning("run %s cannot go on: %s", run_id, error)
            reason = str(error) if isinstance(error, InfrastructureError) else "a value of the workflow is too long"
            effects = await self._database.write(self._fail, run_id, reason)
        for job_id, reason in effects.cancelled:
            self._cancellations.request(job_id, reason)
        for job_id, attempt in effects.started:
            await self._queue.enqueue_attempt(job_id, attempt)

    def _decide_and_store(self, connection: Connection, run_id: RunId) -> _Effects:
        effects = _Effects()
        run = runs.load(connection, run_id, lock=True)
        if run is None or run.status is Status.COMPLETED:
            return effects
        workflow = stored_workflow(run.path, run.source)
        for _ in range(MAX_ROUNDS):
            snapshot = RunSnapshot(
                contexts=run.contexts, jobs=jobs.snapshot(connection, run_id), cancelled=run.cancelled
            )
            decisions = decide(workflow, snapshot)
            if not decisions:
                return effects
            for decision in decisions:
                self._apply(connection, run_id, workflow, decision, effects)
            if any(isinstance(decision, Finish) for decision in decisions):
                return effects
        raise AssertionError(f"the planner did not come to rest within {MAX_ROUNDS} rounds")

    def _apply(
        self, connection: Connection, run_id: RunId, workflow: Workflow, decision: Decision, effects: _Effects
    ) -> None:
        now = self._clock.now()
        match decision:
            case Expand():
                self._expand(connection, run_id, workflow, decision)
            case Skip():
                name = workflow.jobs[decision.job].title
                jobs.add_skipped(connection, run_id, decision.job, name=name, reason=decision.reason, at=now)
            case Reject():
                name = workflow.jobs[decision.job].title
                jobs.add_rejected(connection, run_id, decision.job, decision.diagnostics, name=name, at=now)
            case Start():
                runs.start(connection, run_id, at=now)
                job = jobs.find(connection, run_id, decision.leg)
                effects.started.append((job.id, jobs.enqueue(connection, job)))
            case CancelLeg():
                self._cancel(connection, jobs.find(connection, run_id, decision.leg), decision.reason, effects)
            case Finish():
                runs.complete(connection, run_id, decision.conclusion, at=now)

    def _expand(self, connection: Connection, run_id: RunId, workflow: Workflow, decision: Expand) -> None:
        now = self._clock.now()
        legs = jobs.count_legs(connection, run_id) + len(decision.legs)
        if legs <= MAX_LEGS:
            jobs.add_legs(connection, run_id, decision.job, decision.legs, at=now)
            return
        job = workflow.jobs[decision.job]
        message = f"the run would have {legs} jobs with this one's, expected at most {MAX_LEGS}"
        diagnostic = Diagnostic(path=workflow.path, span=job.span, rule="limits", message=message)
        jobs.add_rejected(connection, run_id, decision.job, (diagnostic,), name=job.title, at=now)

    def _cancel(self, connection: Connection, job: jobs.StoredJob, reason: str, effects: _Effects) -> None:
        if job.status is Status.IN_PROGRESS:
            # Its worker ends it, and stores how; until then the planner must not ask again and again.
            jobs.ask_to_cancel(connection, job, reason=reason)
            effects.cancelled.append((job.id, reason))
        elif job.status is not Status.COMPLETED:
            jobs.complete(connection, job, Conclusion.CANCELLED, at=self._clock.now(), reason=reason)

    def _fail(self, connection: Connection, run_id: RunId, reason: str) -> _Effects:
        effects = _Effects()
        # Not loaded: what it holds may be what cannot be read.
        if runs.status(connection, run_id) in {None, Status.COMPLETED}:
            return effects
        for job in jobs.of_run(connection, run_id):
            self._cancel(connection, job, reason, effects)
        runs.complete(connection, run_id, Conclusion.FAILURE, at=self._clock.now(), error=reason)
        return effects
