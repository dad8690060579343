"""Looking after what a crash, or trouble on the way, left behind. One sweep, safe at any time; run at every start."""

import logging
from collections.abc import Awaitable
from datetime import timedelta

import anyio
from sqlalchemy import Connection

from terraphim_runner.model.ids import HostId, JobId
from terraphim_runner.model.states import Conclusion, Status
from terraphim_runner.ports import Clock
from terraphim_runner.services.advance import Advancer
from terraphim_runner.services.cancellations import Cancellations
from terraphim_runner.services.intake import Intake
from terraphim_runner.services.queue import Queue
from terraphim_runner.store import deliveries, jobs, runs
from terraphim_runner.store.database import Database
from terraphim_runner.store.deliveries import DeliveryState

MAX_ATTEMPTS_LOST = 3
MAX_INTAKE_TRIES = 5
SWEEP_PERIOD_S = 30.0
PATIENCE = timedelta(seconds=60)
"""How long a delivery may be on its way from the store to the engine before somebody looks after it."""

log = logging.getLogger(__name__)


class Recovery:
    """Brings whatever is stored and not finished to its end."""

    def __init__(
        self,
        *,
        database: Database,
        queue: Queue,
        intake: Intake,
        advancer: Advancer,
        cancellations: Cancellations,
        host: HostId,
        clock: Clock,
    ) -> None:
        self._database = database
        self._queue = queue
        self._intake = intake
        self._advancer = advancer
        self._cancellations = cancellations
        self._host = host
        self._clock = clock

    async def run_for_ever(self) -> None:
        """Sweep again and again; trouble with one sweep is logged and left to the next."""
        while True:
            await anyio.sleep(SWEEP_PERIOD_S)
            try:
                await self.sweep_once()
            except Exception:
                # The supervisor of this loop: a database that is away for a moment must not end it.
                log.exception("could not look after unfinished work")

    async def sweep_once(self, *, starting: bool = False) -> None:
        """Look after every unfinished delivery, job and run once. ``starting``: nothing of this host's runs yet.

        Trouble with one of them is logged, and keeps neither the others waiting nor the server from its start.
        """
        await self._retry_deliveries(starting=starting)
        for job in await self._database.read(jobs.unfinished):
            await self._guarded(f"job {job.id}", self._look_after(job))
        for run_id in await self._database.read(runs.unfinished):
            await self._guarded(f"run {run_id}", self._advancer.advance(run_id))

    async def _guarded(self, what: str, step: Awaitable[None]) -> None:
        try:
            await step
        except Exception:
            log.exception("could not look after %s", what)

    async def _retry_deliveries(self, *, starting: bool) -> None:
        now = self._clock.now()
        before = now if starting else now - PATIENCE
        busy = self._intake.busy
        for delivery_id, tries in await self._database.write(deliveries.retry_unsettled, before=before, busy=busy):
            if tries <= MAX_INTAKE_TRIES:
                await self._queue.start_intake(delivery_id, number=tries)
                continue
            note = f"given up after {MAX_INTAKE_TRIES} tries, each of which ended without a result"
            await self._database.write(deliveries.settle, delivery_id, state=DeliveryState.FAILED, note=note, at=now)

    async def _look_after(self, job: jobs.StandingJob) -> None:
        if job.status is Status.QUEUED:
            if await self._queue.attempt_ended(job.id, job.attempt):
                # The engine is through with it, yet it never began: only a new attempt will be run.
                await self._start(await self._database.write(self._renew, job.id, job.attempt), job)
            else:
                await self._queue.enqueue_attempt(job.id, job.attempt)
        elif job.id not in self._cancellations:
            await self._start(await self._database.write(self._count_lost, job.id, job.attempt), job)

    async def _start(self, attempt: int | None, job: jobs.StandingJob) -> None:
        if attempt is not None:
            await self._queue.enqueue_attempt(job.id, attempt)

    def _renew(self, connection: Connection, job_id: JobId, attempt: int) -> int | None:
        job = jobs.standing(connection, job_id)
        if job is None or job.status is not Status.QUEUED or job.attempt != attempt:
            return None
        return jobs.requeue(connection, job, lost=False)

    def _count_lost(self, connection: Connection, job_id: JobId, attempt: int) -> int | None:
        """Requeue a job whose attempt died with its process; end it when that was once too often."""
        job = jobs.standing(connection, job_id)
        if job is None or job.status is not Status.IN_PROGRESS or job.attempt != attempt or job.host != self._host:
            return None
        now = self._clock.now()
        if job.cancel_reason is not None:
            jobs.complete(connection, job, Conclusion.CANCELLED, at=now, reason=job.cancel_reason)
            return None
        if job.lost_attempts + 1 >= MAX_ATTEMPTS_LOST:
            reason = f"the host was lost {MAX_ATTEMPTS_LOST} times while this job ran: it is not tried again"
            jobs.complete(connection, job, Conclusion.FAILURE, at=now, reason=reason)
            return None
        log.warning("job %s: attempt %d was lost with its host; it runs anew", job_id, attempt)
        return jobs.requeue(connection, job, lost=True)
