"""Running attempts: lease a machine, run the job in it, store how it went, move the run on."""

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import anyio
import anyio.to_thread
from sqlalchemy import Connection

from terraphim_runner.execution.cancellation import Cancellation
from terraphim_runner.execution.job import run_job
from terraphim_runner.execution.request import JobLimits, JobRequest
from terraphim_runner.model.errors import InfrastructureError
from terraphim_runner.model.event import Delivery, Event
from terraphim_runner.model.ids import HostId, JobId, RunId
from terraphim_runner.model.job import JobResult, LogKind, LogLine
from terraphim_runner.model.secret import Secret
from terraphim_runner.model.states import Conclusion, Status
from terraphim_runner.planning.calls import JobScope, job_scope, visible_secrets
from terraphim_runner.planning.graph import PlannedLeg, RunSnapshot
from terraphim_runner.planning.outcome import MAX_OUTPUT_BYTES, MAX_RUN_OUTPUT_BYTES
from terraphim_runner.ports import Clock, MachineSpec, Provider
from terraphim_runner.services.advance import Advancer
from terraphim_runner.services.cancellations import Cancellations
from terraphim_runner.services.events import event_of_run, gets_secrets
from terraphim_runner.services.progress import StoreReporter, reporting
from terraphim_runner.services.repositories import Repositories, RepositoryValues
from terraphim_runner.services.sources import Sources
from terraphim_runner.services.workflows import prepare_workflow, stored_workflow
from terraphim_runner.store import deliveries, jobs, runs
from terraphim_runner.store.database import Database
from terraphim_runner.store.logs import LogStore
from terraphim_runner.workflow.tree import Workflow

LEASE_TRIES = 3
RETRY_PAUSE_S = 1.0
GRACE_S = 120.0
"""What a job may take beyond its own time limit and its cancellation: leasing, set-up, storing."""
HAND_BACK_DEADLINE_S = 10.0

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where jobs run, and what bounds them."""

    provider: Provider
    machine: MachineSpec
    host: HostId
    runner_name: str
    check_labels: Callable[[Sequence[str]], None]
    """Raises ``InfrastructureError`` for labels of ``runs-on`` that are not served here."""
    limits: JobLimits
    max_job_minutes: float
    """Whatever longer time a workflow asks for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Lease:
    """An attempt that this worker has made its own."""

    run: runs.StoredRun
    job: jobs.StoredJob
    leg: PlannedLeg
    delivery: Delivery
    workflow: Workflow
    """The run's own."""
    scope: JobScope
    snapshot: RunSnapshot
    """How the run stood when the attempt began: all that the job needs was complete."""


class Worker:
    """Runs the attempts that the engine hands to this host."""

    def __init__(
        self,
        *,
        place: Place,
        database: Database,
        logs: LogStore,
        sources: Sources,
        repositories: Repositories,
        advancer: Advancer,
        cancellations: Cancellations,
        clock: Clock,
    ) -> None:
        self._place = place
        self._database = database
        self._logs = logs
        self._sources = sources
        self._repositories = repositories
        self._advancer = advancer
        self._cancellations = cancellations
        self._clock = clock

    async def run_attempt(self, job_id: JobId, attempt: int) -> None:
        """Run an attempt to its verdict, if it is still this attempt's turn; do nothing otherwise.

        Cancelled from outside (the server stops), the job goes back into the queue as its next attempt.
        """
        if job_id in self._cancellations:
            return
        with self._cancellations.of(job_id) as cancellation:
            run_id = await self._database.read(runs.of_job, job_id)
            if run_id is not None:
                await prepare_workflow(self._database, run_id)
            lease = await self._database.write(self._begin, job_id, attempt)
            if lease is None:
                return
            try:
                result = await self._run(lease, cancellation)
            except anyio.get_cancelled_exc_class():
                with anyio.CancelScope(shield=True), anyio.move_on_after(HAND_BACK_DEADLINE_S):
                    await self._database.write(self._hand_back, job_id, attempt)
                raise
            concerned = await self._database.write(self._finish, job_id, attempt, result)
        await self._advancer.advance(lease.run.id, *sorted(concerned, key=int))

    def _begin(self, connection: Connection, job_id: JobId, attempt: int) -> _Lease | None:
        job = jobs.load(connection, job_id)
        if job is None or job.status is not Status.QUEUED or job.attempt != attempt:
            return None
        if not isinstance(job.leg, PlannedLeg):
            return None
        run = runs.load(connection, job.run_id)
        found = deliveries.load(connection, run.delivery) if run is not None else None
        if run is None or found is None:
            return None
        jobs.begin(connection, job, host=self._place.host, at=self._clock.now())
        # What it needs is complete, so this is what the planner saw; a copy for each leg would fill the database.
        snapshot = RunSnapshot(contexts=run.contexts, jobs=jobs.snapshot(connection, run.id), cancelled=run.cancelled)
        workflow = stored_workflow(run)
        scope = job_scope(workflow, snapshot, job.leg.job)
        leg = replace(job.leg, timeout_minutes=min(job.leg.timeout_minutes, self._place.max_job_minutes))
        return _Lease(run=run, job=job, leg=leg, delivery=found[0], workflow=workflow, scope=scope, snapshot=snapshot)

    def _finish(self, connection: Connection, job_id: JobId, attempt: int, result: JobResult) -> frozenset[RunId]:
        """Store how an attempt went; return the runs that wait for it in a concurrency group."""
        job = jobs.standing(connection, job_id)
        if job is None or job.status is not Status.IN_PROGRESS or job.attempt != attempt:
            log.warning("the result of attempt %d of job %s comes too late and is dropped", attempt, job_id)
            return frozenset()
        excess = self._excess(connection, job, result)
        return jobs.complete(
            connection,
            job,
            Conclusion.FAILURE if excess else result.conclusion,
            at=self._clock.now(),
            outputs={} if excess else result.outputs,
            reason=excess or result.error or job.cancel_reason,
        )

    def _excess(self, connection: Connection, job: jobs.StandingJob, result: JobResult) -> str | None:
        size_bytes = len(json.dumps(dict(result.outputs))) if result.outputs else 0
        if size_bytes > MAX_OUTPUT_BYTES:
            return f"the job's outputs have {size_bytes} bytes, expected at most {MAX_OUTPUT_BYTES}"
        if size_bytes and jobs.output_bytes(connection, job.run_id) + size_bytes > MAX_RUN_OUTPUT_BYTES:
            return f"the outputs of the run's jobs have more than {MAX_RUN_OUTPUT_BYTES} bytes with this one's"
        return None

    def _hand_back(self, connection: Connection, job_id: JobId, attempt: int) -> None:
        job = jobs.standing(connection, job_id)
        if job is not None and job.status is Status.IN_PROGRESS and job.attempt == attempt:
            jobs.requeue(connection, job, lost=False)

    async def _run(self, lease: _Lease, cancellation: Cancellation) -> JobResult:
        """Return how the job went, whatever goes wrong on the way."""
        started_at = self._clock.now()
        if lease.job.cancel_reason is not None:
            cancellation.request(lease.job.cancel_reason)
        limit_s = lease.leg.timeout_minutes * 60 + self._place.limits.cancel_s(lease.leg) + GRACE_S
        error = "internal error"
        conclusion = Conclusion.FAILURE
        job_id, attempt = lease.job.id, lease.job.attempt
        async with reporting(self._database, self._logs, lease.run.id, job_id, attempt) as reporter:
            try:
                with anyio.fail_after(limit_s):
                    return await self._run_in_machine(lease, cancellation, reporter)
            except InfrastructureError as trouble:
                error = str(trouble)
            except TimeoutError:
                error = f"the job was killed: it did not end within {limit_s:.0f} s"
                conclusion = Conclusion.TIMED_OUT
            except Exception as defect:
                # The supervisor of one job: a defect of ours must end as this job's verdict, not as silence.
                log.exception("attempt %d of job %s broke", attempt, job_id)
                error = f"internal error: {type(defect).__name__}"
            await self._say(reporter, error)
        return JobResult(conclusion=conclusion, started_at=started_at, completed_at=self._clock.now(), error=error)

    async def _run_in_machine(self, lease: _Lease, cancellation: Cancellation, reporter: StoreReporter) -> JobResult:
        self._place.check_labels(lease.leg.labels)
        event = await anyio.to_thread.run_sync(event_of_run, lease.delivery, lease.run)
        request = JobRequest(
            workflow=lease.scope.workflow,
            job=lease.scope.job,
            leg=lease.leg,
            contexts=self._contexts(lease, event),
            source=self._sources.tree(event),
            cancellation=cancellation,
            needs=lease.scope.needs,
            # In a thread: what is handed down from call to call is a stranger's expressions.
            secrets=await anyio.to_thread.run_sync(self._secrets, lease, event),
            runner_name=self._place.runner_name,
            limits=self._place.limits,
        )
        if lease.job.lost_attempts:
            text = f"attempt {lease.job.attempt}: the host was lost during the one before, the job starts anew"
            line = LogLine(at=self._clock.now(), step=0, text=text, kind=LogKind.NOTICE)
            await reporter.log((line,))
        for tries_left in reversed(range(LEASE_TRIES)):
            leased = False
            try:
                async with self._place.provider.acquire(self._place.machine) as session:
                    leased = True
                    await self._database.write(jobs.set_machine, lease.job.id, session.description)
                    return await run_job(request, session, reporter, clock=self._clock)
            except InfrastructureError as trouble:
                # Once a step may have run, trying again could do its work twice.
                if leased or not trouble.retryable or tries_left == 0:
                    raise
                await self._say(reporter, f"{trouble}; trying again")
                await anyio.sleep(RETRY_PAUSE_S)
        raise AssertionError("the last try returns or raises")

    def _contexts(self, lease: _Lease, event: Event) -> Mapping[str, Any]:
        """Return the job's run-wide contexts; its environment's variables stand above the repository's."""
        environment = self._environment(lease, event)
        variables: Mapping[str, str] = lease.scope.contexts.get("vars", {})
        return {**lease.scope.contexts, "vars": {**variables, **environment.variables}}

    def _secrets(self, lease: _Lease, event: Event) -> Mapping[str, Secret]:
        """Return what the job sees of the repository's secrets: in a called workflow, what was handed to it.

        Its environment's own are not handed down: they belong to the job that names the environment.
        """
        if not gets_secrets(event):
            return {}
        secrets = self._repositories.of(event.repository.full_name).secrets
        visible = visible_secrets(lease.workflow, lease.snapshot, lease.leg.job, secrets)
        return {**visible, **self._environment(lease, event).secrets}

    def _environment(self, lease: _Lease, event: Event) -> RepositoryValues:
        if lease.leg.environment is None:
            return RepositoryValues()
        found = self._repositories.of(event.repository.full_name).environment(lease.leg.environment)
        if found is None:
            raise InfrastructureError(
                doing=f"prepare the environment {lease.leg.environment!r}",
                reason="repositories_file does not name it, and what protects it on GitHub is not known here",
                fix=f'add a table [repositories."{event.repository.full_name}".environments] with its name',
            )
        return found

    async def _say(self, reporter: StoreReporter, text: str) -> None:
        if reporter.trouble is None:
            line = LogLine(at=self._clock.now(), step=0, text=text, kind=LogKind.ERROR)
            await reporter.log((line,))
