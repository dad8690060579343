"""The durable engine: work that is asked for once is carried out, also when the process dies in between.

DBOS Transact keeps what was asked for in the database; this is the only module that imports it, behind two
functions: ``start_intake`` and ``enqueue_attempt``. Both are keyed, so asking twice is asking once. What carries the
work out is given by the caller, and must bear to be called again after a crash.

An intake starts at once. Attempts go through the queue of this host, which bounds how many run at a time; it is
polled, for DBOS has no other way: 50 ms cost about 25 ms of delay and 3 % of a core when idle.

DBOS allows one instance per process and knows workflows as module-level functions: hence ``_LIVE``.
"""

import logging
import math
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Final

import anyio
import anyio.abc
import anyio.to_thread
from dbos import DBOS, DBOSClient, SetWorkflowID, WorkflowSerializationFormat
from sqlalchemy import make_url

from terraphim_runner.model.errors import InfrastructureError
from terraphim_runner.model.ids import DeliveryId, HostId, JobId
from terraphim_runner.model.secret import Secret

APPLICATION: Final = "terraphim-runner"
APPLICATION_VERSION: Final = "1"
"""Pinned: DBOS only carries on with what the same version began, and our two workflows never change shape."""

POLL_INTERVAL_S: Final = 0.05
SHUTDOWN_DEADLINE_S: Final = 15
MAX_THREADS: Final = 8
CONNECTIONS: Final = 4

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What the engine calls. Both are idempotent: a crash may have them called again with the same arguments."""

    intake: Callable[[DeliveryId], Awaitable[None]]
    attempt: Callable[[JobId, int], Awaitable[None]]


class Engine:
    """Takes requests while ``running``; leaving that cancels what runs, waits for its clean-up, and stops."""

    def __init__(self, *, database_url: Secret, host: HostId, concurrency: int) -> None:
        self._database_url = database_url
        self._host = host
        self._queue = f"host-{host}"
        self._concurrency = concurrency
        self._pending: set[anyio.Event] = set()

    @asynccontextmanager
    async def running(self, work: Work) -> AsyncGenerator[None]:
        """Carry out what is asked for, also what was asked for before a crash. To be entered once."""
        if _LIVE:
            raise RuntimeError("there is an engine in this process already: DBOS allows one")
        self._calls, self._dispatched = anyio.create_memory_object_stream[_Call](math.inf)
        async with anyio.create_task_group() as tasks:
            _LIVE.append((self, work))
            try:
                tasks.start_soon(self._dispatch, tasks)
                await self._start()
                yield
            finally:
                with anyio.CancelScope(shield=True):
                    await self._stop(tasks)

    async def start_intake(self, delivery_id: DeliveryId, *, number: int = 1) -> None:
        """Have a delivery taken in, now. The same delivery and number are only ever carried out once."""
        suffix = "" if number == 1 else f":{number}"
        with SetWorkflowID(f"gh:{delivery_id}{suffix}"):
            await DBOS.start_workflow_async(_intake, str(delivery_id))

    async def enqueue_attempt(self, job_id: JobId, attempt: int) -> None:
        """Have an attempt run when this host has room for it. The same attempt is only ever carried out once."""
        with SetWorkflowID(f"job:{job_id}:{attempt}"):
            await DBOS.enqueue_workflow_async(self._queue, _attempt, str(job_id), attempt)

    async def attempt_ended(self, job_id: JobId, attempt: int) -> bool:
        """Tell whether the engine is through with an attempt that it was asked for: it will not be run any more."""
        status = await DBOS.get_workflow_status_async(f"job:{job_id}:{attempt}")
        return status is not None and status.status not in {"ENQUEUED", "PENDING", "DELAYED"}

    async def carry_out(self, doing: str, work: Callable[[], Awaitable[None]]) -> None:
        """Run work as a task of the engine's own group, and return when it ended.

        DBOS makes its tasks outside of any group and with its own context variables: the work must be reached by the
        group's cancellation, and what it asks of the engine must not look like a child of the workflow it came from.
        """
        done = anyio.Event()
        self._pending.add(done)
        try:
            self._calls.send_nowait(_Call(doing=doing, work=work, done=done))
        except (anyio.ClosedResourceError, anyio.BrokenResourceError):
            # Stopping. What is not carried out now is found in the store at the next start.
            done.set()
        try:
            await done.wait()
        finally:
            self._pending.discard(done)

    async def _dispatch(self, tasks: anyio.abc.TaskGroup) -> None:
        with self._dispatched:
            try:
                async for call in self._dispatched:
                    tasks.start_soon(self._supervise, call)
            finally:
                while self._dispatched.statistics().current_buffer_used:
                    self._dispatched.receive_nowait().done.set()

    async def _supervise(self, call: "_Call") -> None:
        try:
            await call.work()
        except Exception:
            # The supervisor: work that breaks must not end the others. The periodic sweep looks after what it left.
            log.exception("could not %s", call.doing)
        finally:
            call.done.set()

    async def _start(self) -> None:
        logging.getLogger("dbos").setLevel(logging.ERROR)
        url = make_url(self._database_url.reveal())
        revealed = url.render_as_string(hide_password=False)
        try:
            await anyio.to_thread.run_sync(self._register_queue, revealed)
            DBOS(
                config={
                    "name": APPLICATION,
                    "system_database_url": revealed,
                    "executor_id": str(self._host),
                    "application_version": APPLICATION_VERSION,
                    "log_level": "ERROR",
                    "enable_otlp": False,
                    "sys_db_pool_size": CONNECTIONS,
                    "max_executor_threads": MAX_THREADS,
                    "scheduler_polling_interval_sec": 3600.0,
                }
            )
            DBOS.listen_queues([self._queue])
            # In the loop's own thread, so that DBOS makes its tasks here; it takes some 30 ms, once.
            DBOS.launch()
        except Exception as error:
            raise InfrastructureError(
                doing=f"start the engine on {url.render_as_string(hide_password=True)}",
                reason=str(error).splitlines()[0] if str(error) else type(error).__name__,
                fix="check DATABASE_URL and that the database can be written",
            ) from error

    def _register_queue(self, url: str) -> None:
        # Before the launch: a queue that is registered after it is listened to a second late.
        DBOS.migrate(url)
        client = DBOSClient(system_database_url=url, application_name=APPLICATION, system_database_pool_size=1)
        try:
            client.register_queue(
                self._queue, worker_concurrency=self._concurrency, polling_interval_sec=POLL_INTERVAL_S
            )
        finally:
            client.destroy()

    async def _stop(self, tasks: anyio.abc.TaskGroup) -> None:
        self._calls.close()
        tasks.cancel_scope.cancel()
        with anyio.move_on_after(SHUTDOWN_DEADLINE_S):
            for done in list(self._pending):
                await done.wait()
        # What DBOS could not write down any more is found again in the store: its complaints are noise now.
        logging.getLogger("dbos").setLevel(logging.CRITICAL + 1)
        await anyio.to_thread.run_sync(DBOS.destroy)
        _LIVE.clear()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Call:
    doing: str
    work: Callable[[], Awaitable[None]]
    done: anyio.Event


_LIVE: Final[list[tuple[Engine, Work]]] = []


@DBOS.workflow(name="intake", serialization_type=WorkflowSerializationFormat.PORTABLE)
async def _intake(delivery_id: str) -> None:
    for engine, work in _LIVE:
        await engine.carry_out(f"take in delivery {delivery_id}", partial(work.intake, DeliveryId(delivery_id)))


@DBOS.workflow(name="attempt", serialization_type=WorkflowSerializationFormat.PORTABLE)
async def _attempt(job_id: str, attempt: int) -> None:
    for engine, work in _LIVE:
        await engine.carry_out(f"run attempt {attempt} of job {job_id}", partial(work.attempt, JobId(job_id), attempt))
