"""Carrying out what the planner decides, one transaction at a time.

``advance`` may be called at any moment, by anyone, again and again: it reads how the run stands under a lock, lets
the planner decide, stores the decisions, and repeats until there are none. Only then are the engine and the running
jobs told; when the process dies between the two, ``recovery`` tells them.

What becomes of a run may concern others, which wait for it in a concurrency group. They are advanced afterwards, each
in a transaction of its own.
"""

import json
import logging
from datetime import datetime

from sqlalchemy import Connection
from sqlalchemy.exc import DataError

from terraphim_runner.model.errors import InfrastructureError
from terraphim_runner.model.ids import JobKey, LegKey, RunId
from terraphim_runner.model.source import Diagnostic
from terraphim_runner.model.states import Conclusion, Status
from terraphim_runner.planning import advance as decide
from terraphim_runner.planning.calls import locate
from terraphim_runner.planning.codec import leg_to_json
from terraphim_runner.planning.graph import (
    CancelLeg,
    Conclude,
    Decision,
    Expand,
    Finish,
    Reject,
    RunSnapshot,
    Skip,
    Start,
)
from terraphim_runner.planning.outcome import MAX_RUN_OUTPUT_BYTES
from terraphim_runner.ports import Clock
from terraphim_runner.services.bounds import excess
from terraphim_runner.services.cancellations import Cancellations
from terraphim_runner.services.legs import Effects, cancel_leg
from terraphim_runner.services.queue import Queue
from terraphim_runner.services.turns import Turns
from terraphim_runner.services.workflows import prepare_workflow, stored_workflow
from terraphim_runner.store import claims, jobs, runs
from terraphim_runner.store.database import Database

MAX_ROUNDS = 10_000
MAX_PLANNED_BYTES = 64 * 1024 * 1024
"""Of all legs of one run as they are stored, with their matrices and inputs: each time a run is advanced they are read.
"""

log = logging.getLogger(__name__)


class Advancer:
    """Moves runs on."""

    def __init__(self, *, database: Database, queue: Queue, cancellations: Cancellations, clock: Clock) -> None:
        self._database = database
        self._queue = queue
        self._cancellations = cancellations
        self._clock = clock

    async def advance(self, *run_ids: RunId) -> None:
        """Do everything that can be done for the runs now, and for those that this concerns in turn.

        A run that cannot be planned gets the verdict failure. What is raised is trouble with the store or the engine;
        runs that were not reached then are the sweep's.
        """
        ahead = list(dict.fromkeys(run_ids))
        while ahead:
            concerned = await self._advance_one(ahead.pop(0))
            ahead += sorted(concerned.difference(ahead), key=int)

    async def cancel(self, run_id: RunId, reason: str) -> None:
        """Cancel a run as a person would; one that is completed, or cancelled already, stays as it is."""
        await self._database.write(runs.cancel, run_id, reason)
        await self.advance(run_id)

    async def _advance_one(self, run_id: RunId) -> set[RunId]:
        await prepare_workflow(self._database, run_id)
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
        return effects.concerned - {run_id}

    def _decide_and_store(self, connection: Connection, run_id: RunId) -> Effects:
        effects = Effects()
        run = runs.load(connection, run_id, lock=True)
        if run is None or run.status is Status.COMPLETED:
            return effects
        claims.lock(connection, run.repository)
        now = self._clock.now()
        turns = Turns(connection, run, effects, now=now)
        if not turns.may_begin():
            return effects
        carried = _Decisions(connection, run, turns, effects, now=now)
        for _ in range(MAX_ROUNDS):
            turned = turns.take()
            decided = carried.carry_out()
            if carried.finished or not (turned or decided):
                return effects
        raise AssertionError(f"the planner did not come to rest within {MAX_ROUNDS} rounds")

    def _fail(self, connection: Connection, run_id: RunId, reason: str) -> Effects:
        effects = Effects()
        # Not loaded: what it holds may be what cannot be read.
        if runs.status(connection, run_id) in {None, Status.COMPLETED}:
            return effects
        claims.lock_of_run(connection, run_id)
        now = self._clock.now()
        for job in jobs.of_run(connection, run_id):
            if job.is_call:
                # Nobody is left to conclude it.
                effects.concerned |= jobs.complete(connection, job, Conclusion.CANCELLED, at=now, reason=reason)
            else:
                cancel_leg(connection, job, reason, effects, at=now)
        effects.concerned |= runs.complete(connection, run_id, Conclusion.FAILURE, at=now, error=reason)
        return effects


class _Decisions:
    """What the planner decides about one run, carried out in one transaction."""

    def __init__(
        self, connection: Connection, run: runs.StoredRun, turns: Turns, effects: Effects, *, now: datetime
    ) -> None:
        self._connection = connection
        self._run = run
        self._workflow = stored_workflow(run)
        self._turns = turns
        self.finished = False
        self._planned_bytes: int | None = None
        self._effects = effects
        self._now = now

    def carry_out(self) -> bool:
        """Carry out what is to be decided now; tell whether there was anything."""
        snapshot = RunSnapshot(
            contexts=self._run.contexts,
            jobs=jobs.snapshot(self._connection, self._run.id),
            cancelled=self._turns.cancelled,
        )
        decisions = decide(self._workflow, snapshot)
        for decision in decisions:
            self._apply(decision)
        return bool(decisions)

    def _apply(self, decision: Decision) -> None:
        connection, run_id = self._connection, self._run.id
        match decision:
            case Expand():
                self._expand(decision)
            case Skip():
                name, reason = self._title(decision.job), decision.reason
                jobs.add_skipped(connection, run_id, decision.job, name=name, reason=reason, at=self._now)
            case Reject():
                name = self._title(decision.job)
                jobs.add_rejected(connection, run_id, decision.job, decision.diagnostics, name=name, at=self._now)
            case Start():
                self._turns.enter(jobs.find(connection, run_id, decision.leg))
            case CancelLeg():
                job = jobs.find(connection, run_id, decision.leg)
                cancel_leg(connection, job, decision.reason, self._effects, at=self._now)
            case Conclude():
                self._conclude(decision)
            case Finish():
                self._effects.concerned |= runs.complete(connection, run_id, decision.conclusion, at=self._now)
                self.finished = True

    def _expand(self, decision: Expand) -> None:
        message = self._excess(decision)
        if message is None:
            jobs.add_legs(self._connection, self._run.id, decision.job, decision.legs, at=self._now)
            return
        workflow, job = locate(self._workflow, decision.job)
        diagnostic = Diagnostic(path=workflow.path, span=job.span, rule="limits", message=message)
        name = self._title(decision.job)
        jobs.add_rejected(self._connection, self._run.id, decision.job, (diagnostic,), name=name, at=self._now)

    def _excess(self, decision: Expand) -> str | None:
        """Return why a job's legs are too many, or too large."""
        connection, run_id = self._connection, self._run.id
        count, calls = jobs.count_legs(connection, run_id), jobs.calls(connection, run_id)
        message = excess(self._workflow, decision.legs, count=count, calls=calls)
        if message is not None:
            return message
        # Counted once in a transaction: nobody else plans this run meanwhile.
        known = self._planned_bytes
        stored = jobs.planned_bytes(connection, run_id) if known is None else known
        total = stored + sum(len(json.dumps(leg_to_json(leg))) for leg in decision.legs)
        if total > MAX_PLANNED_BYTES:
            return f"the matrices and inputs of the run would have over {MAX_PLANNED_BYTES} bytes with this job's"
        self._planned_bytes = total
        return None

    def _conclude(self, decision: Conclude) -> None:
        problems = decision.diagnostics
        job = jobs.find(self._connection, self._run.id, decision.leg)
        excess_outputs = self._excess_of_outputs(decision)
        self._effects.concerned |= jobs.complete(
            self._connection,
            job,
            Conclusion.FAILURE if excess_outputs else decision.conclusion,
            at=self._now,
            outputs={} if excess_outputs else decision.outputs,
            reason=excess_outputs or (problems[0].headline() if problems else job.cancel_reason),
            diagnostics=problems,
        )

    def _excess_of_outputs(self, decision: Conclude) -> str | None:
        if not decision.outputs:
            return None
        size_bytes = len(json.dumps(dict(decision.outputs)))
        if jobs.output_bytes(self._connection, self._run.id) + size_bytes <= MAX_RUN_OUTPUT_BYTES:
            return None
        return f"the outputs of the run's jobs have more than {MAX_RUN_OUTPUT_BYTES} bytes with this call's"

    def _title(self, key: JobKey) -> str:
        """Return what a job that has no legs is called; a called workflow's after the call."""
        title = locate(self._workflow, key)[1].title
        call = key.rpartition("/")[0]
        above = jobs.name_of(self._connection, self._run.id, LegKey(call)) if call else None
        return f"{above} / {title}" if above is not None else title
