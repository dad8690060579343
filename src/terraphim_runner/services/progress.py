"""A job's progress on its way into the store: in order, in batches, without making the job wait."""

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial

import anyio
import anyio.to_thread
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from terraphim_runner.model.errors import InfrastructureError
from terraphim_runner.model.ids import JobId, RunId
from terraphim_runner.model.job import Annotation, LogLine, StepResult
from terraphim_runner.store import steps
from terraphim_runner.store.database import Database
from terraphim_runner.store.logs import LogStore, LogWriter

WAITING_CALLS = 64
BATCH_CALLS = 64
MAX_SUMMARY_BYTES = 20 * 1024 * 1024
"""Of one attempt: GitHub shows the summaries of 20 steps, each of at most 1 MiB."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _StepStarted:
    number: int
    name: str
    at: datetime


_Item = tuple[LogLine, ...] | _StepStarted | StepResult | Annotation


class StoreReporter:
    """A ``JobReporter``. Calls return at once unless the disk is far behind; then they wait for it.

    Raises ``InfrastructureError`` once something could not be stored: the job must not go on unseen.
    """

    def __init__(self, send: MemoryObjectSendStream[_Item]) -> None:
        self._send = send
        self.trouble: InfrastructureError | None = None

    async def step_started(self, number: int, name: str, at: datetime) -> None:
        await self._put(_StepStarted(number=number, name=name, at=at))

    async def log(self, lines: Sequence[LogLine]) -> None:
        await self._put(tuple(lines))

    async def annotation(self, annotation: Annotation) -> None:
        await self._put(annotation)

    async def step_completed(self, result: StepResult) -> None:
        await self._put(result)

    async def _put(self, item: _Item) -> None:
        if self.trouble is not None:
            raise self.trouble
        await self._send.send(item)


@asynccontextmanager
async def reporting(
    database: Database, logs: LogStore, run_id: RunId, job_id: JobId, attempt: int
) -> AsyncGenerator[StoreReporter]:
    """Open a reporter for an attempt. On leaving, all that was reported is stored, also when cancelled."""
    send, receive = anyio.create_memory_object_stream[_Item](WAITING_CALLS)
    reporter = StoreReporter(send)
    batches = _Batches(database, partial(logs.writer, run_id, job_id), job_id, attempt)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_drain, receive, batches, reporter)
        try:
            yield reporter
        finally:
            send.close()


async def _drain(receive: MemoryObjectReceiveStream[_Item], batches: "_Batches", reporter: StoreReporter) -> None:
    # Ends by itself once the reporter is closed: what was said before a cancellation must not be lost to it.
    with anyio.CancelScope(shield=True), receive:
        async for first in receive:
            batch = [first]
            while len(batch) < BATCH_CALLS and receive.statistics().current_buffer_used:
                batch.append(receive.receive_nowait())
            if reporter.trouble is None:
                reporter.trouble = await batches.write(batch)
        await batches.close()


class _Batches:
    def __init__(self, database: Database, opened: Callable[[], LogWriter], job_id: JobId, attempt: int) -> None:
        self._database = database
        self._opened = opened
        self._log: LogWriter | None = None
        self._job_id = job_id
        self._attempt = attempt
        self._summary_bytes = 0

    async def write(self, batch: Sequence[_Item]) -> InfrastructureError | None:
        """Store a batch, its lines first, and return what kept it from being stored."""
        lines = [line for item in batch if isinstance(item, tuple) for line in item]
        records = [item for item in batch if not isinstance(item, tuple)]
        try:
            if lines:
                await anyio.to_thread.run_sync(self._append, lines)
            if records:
                await self._database.write(self._record, records)
        except (OSError, SQLAlchemyError) as error:
            reason = error.strerror if isinstance(error, OSError) else type(error).__name__
            return InfrastructureError(
                doing=f"store the progress of job {self._job_id}",
                reason=reason or str(error),
                fix="make room on the disk of the data directory, and see that it can be written",
            )
        return None

    async def close(self) -> None:
        if self._log is not None:
            await anyio.to_thread.run_sync(self._log.close)

    def _append(self, lines: Sequence[LogLine]) -> None:
        if self._log is None:
            self._log = self._opened()
        self._log.append(lines)

    def _record(self, connection: Connection, records: Sequence[_StepStarted | StepResult | Annotation]) -> None:
        for item in records:
            match item:
                case _StepStarted():
                    steps.start(connection, self._job_id, self._attempt, number=item.number, name=item.name, at=item.at)
                case StepResult():
                    steps.complete(connection, self._job_id, self._attempt, self._bounded(item))
                case Annotation():
                    steps.annotate(connection, self._job_id, self._attempt, item)

    def _bounded(self, result: StepResult) -> StepResult:
        self._summary_bytes += len(result.summary.encode(errors="replace"))
        if result.summary and self._summary_bytes > MAX_SUMMARY_BYTES:
            return replace(result, summary="The summaries of this job's steps are too large together: not kept.")
        return result
