"""A server's services without machines: what runs, and when it ends, is for the test to say."""

import json
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from terraphim_runner.model.event import Delivery, Event
from terraphim_runner.model.ids import DeliveryId, HostId, JobId, LegKey, RunId
from terraphim_runner.model.secret import Secret
from terraphim_runner.model.states import Conclusion, Status
from terraphim_runner.ports import Checkout, CheckoutRequest, SourceTree
from terraphim_runner.services.advance import Advancer
from terraphim_runner.services.calls import Fetch
from terraphim_runner.services.cancellations import Cancellations
from terraphim_runner.services.intake import Addresses, Intake
from terraphim_runner.services.recovery import Recovery
from terraphim_runner.services.repositories import Repositories
from terraphim_runner.services.sources import Prepared, SourceFile
from terraphim_runner.store import deliveries, jobs, runs
from terraphim_runner.store.database import Database, open_database
from terraphim_runner.workflow.linking import CalledFile, FileReference

HOST = HostId("h1")
PATH = ".github/workflows/a.yml"
CALLED_PATH = ".github/workflows/called.yml"


class NoTree:
    """A repository without trees: no job runs in these tests."""

    @asynccontextmanager
    async def checkout(self, request: CheckoutRequest) -> AsyncGenerator[Checkout]:
        raise NotImplementedError(request.repository)
        yield


class MemorySources:
    """Sources from a mapping of paths to texts."""

    def __init__(self) -> None:
        self.files: dict[str, str] = {}
        self.called_files: dict[str, str] = {}

    async def prepare(self, event: Event) -> Prepared:
        files = tuple(SourceFile(path=path, text=text) for path, text in self.files.items())
        return Prepared(event=event, files=files)

    def tree(self, event: Event) -> SourceTree:
        return NoTree()

    def called(self, event: Event) -> Fetch:
        async def fetch(reference: FileReference) -> CalledFile:
            text = self.called_files.get(reference.path)
            return CalledFile(error="there is no such file") if text is None else CalledFile(text=text)

        return fetch


class MemoryQueue:
    """A queue that keeps what it is asked for, each thing once."""

    def __init__(self) -> None:
        self.intakes: list[tuple[DeliveryId, int]] = []
        self.attempts: list[tuple[JobId, int]] = []
        self.ended: set[tuple[JobId, int]] = set()

    async def start_intake(self, delivery_id: DeliveryId, *, number: int = 1) -> None:
        self.intakes.append((delivery_id, number))

    async def enqueue_attempt(self, job_id: JobId, attempt: int) -> None:
        if (job_id, attempt) not in self.attempts:
            self.attempts.append((job_id, attempt))

    async def attempt_ended(self, job_id: JobId, attempt: int) -> bool:
        return (job_id, attempt) in self.ended


class FixedClock:
    def __init__(self) -> None:
        self.at = datetime(2026, 1, 2, tzinfo=UTC)

    def now(self) -> datetime:
        return self.at


class DyingAdvancer(Advancer):
    """A server that dies before it advances anything."""

    async def advance(self, *run_ids: RunId) -> None:
        return


TEXT = (
    "on: push\njobs:\n  a:\n    runs-on: x\n    strategy:\n      matrix: {n: [1, 2, 3]}\n    steps:\n      - run: x\n"
    "  b:\n    needs: a\n    runs-on: x\n    steps:\n      - run: x\n"
)
PAYLOAD = {
    "ref": "refs/heads/main",
    "before": "0" * 40,
    "after": "a" * 40,
    "deleted": False,
    "head_commit": {"id": "a" * 40, "message": "m"},
    "repository": {"id": 1, "full_name": "o/r", "clone_url": "https://x/o/r.git", "default_branch": "main"},
    "sender": {"login": "s", "id": 2},
}


@dataclass(slots=True)
class Services:
    """All services of one server, short of those that run jobs."""

    database: Database
    queue: MemoryQueue = field(default_factory=MemoryQueue)
    cancellations: Cancellations = field(default_factory=Cancellations)
    sources: MemorySources = field(default_factory=MemorySources)
    clock: FixedClock = field(default_factory=FixedClock)

    @property
    def advancer(self) -> Advancer:
        return Advancer(database=self.database, queue=self.queue, cancellations=self.cancellations, clock=self.clock)

    @property
    def intake(self) -> Intake:
        return self._intake(self.advancer)

    def _intake(self, advancer: Advancer) -> Intake:
        return Intake(
            database=self.database,
            queue=self.queue,
            sources=self.sources,
            repositories=Repositories(),
            addresses=Addresses(server_url="https://github.com", api_url="https://api.github.com"),
            advancer=advancer,
            clock=self.clock,
        )

    @property
    def recovery(self) -> Recovery:
        return Recovery(
            database=self.database,
            queue=self.queue,
            intake=self.intake,
            advancer=self.advancer,
            cancellations=self.cancellations,
            host=HOST,
            clock=self.clock,
        )


@dataclass(slots=True)
class Desk(Services):
    """A server that gets the same push, as often as the test likes."""

    async def deliver(self, name: str = "d1") -> DeliveryId:
        body = json.dumps(PAYLOAD).encode()
        delivery = Delivery(id=DeliveryId(name), event="push", body=body, received_at=self.clock.at)
        await self.intake.accept(delivery, ignored=None)
        return delivery.id

    async def state(self, name: str = "d1") -> tuple[str, str]:
        found = await self.database.read(deliveries.describe, DeliveryId(name))
        assert found is not None
        return found["state"], found["note"]

    async def job(self, leg: str, run: str = "1") -> jobs.StoredJob:
        return await self.database.read(jobs.find, RunId(run), LegKey(leg))

    async def begin(self, leg: str) -> jobs.StoredJob:
        await self.database.write(jobs.begin, await self.job(leg), host=HOST, at=self.clock.at)
        return await self.job(leg)

    async def finish(self, leg: str, conclusion: Conclusion = Conclusion.SUCCESS) -> None:
        await self.database.write(jobs.complete, await self.begin(leg), conclusion, at=self.clock.at)

    async def run(self) -> dict[str, object]:
        found = await self.database.read(runs.describe, RunId("1"))
        assert found is not None
        return found


@dataclass(slots=True)
class Floor(Services):
    """A server on whose floor the test is the machines."""

    pushes: int = 0

    async def push(
        self, text: str, called: str | None = None, *, repository: str = "o/r", crash: bool = False
    ) -> RunId:
        """Take a push of a workflow file in, and of ``called.yml`` that it calls; return its run.

        With ``crash`` the run is stored, and the server dies then.
        """
        self.pushes += 1
        self.sources.files = {PATH: text}
        self.sources.called_files = {} if called is None else {CALLED_PATH: called}
        payload = {
            "ref": "refs/heads/main",
            "before": "0" * 40,
            "after": f"{self.pushes:040x}",
            "deleted": False,
            "head_commit": {"id": f"{self.pushes:040x}", "message": "m"},
            "repository": {
                "id": 1,
                "full_name": repository,
                "clone_url": f"https://x/{repository}.git",
                "default_branch": "main",
            },
            "sender": {"login": "s", "id": 2},
        }
        delivery = Delivery(
            id=DeliveryId(f"d{self.pushes}"),
            event="push",
            body=json.dumps(payload).encode(),
            received_at=self.clock.now(),
        )
        await self.database.write(deliveries.insert, delivery)
        advancer = self.advancer
        if crash:
            advancer = DyingAdvancer(
                database=self.database, queue=self.queue, cancellations=self.cancellations, clock=self.clock
            )
        await self._intake(advancer).intake_once(delivery.id)
        newest = await self.database.read(runs.listing, limit=1)
        return RunId(str(newest[0]["id"]))

    async def run(self, run: RunId) -> dict[str, Any]:
        found = await self.database.read(runs.describe, run)
        assert found is not None
        return found

    async def state(self, run: RunId) -> tuple[str, str | None]:
        """Return a run's status and conclusion."""
        found = await self.run(run)
        return found["status"], found["conclusion"]

    async def legs(self, run: RunId) -> dict[str, str]:
        """Return the conclusion of each leg of a run, or its status while it has none."""
        rows = await self.database.read(jobs.describe, run)
        return {row["leg_key"]: row["conclusion"] or row["status"] for row in rows}

    async def row(self, run: RunId, leg: str) -> dict[str, Any]:
        rows = await self.database.read(jobs.describe, run)
        return next(row for row in rows if row["leg_key"] == leg)

    async def job(self, run: RunId, leg: str) -> jobs.StoredJob:
        return await self.database.read(jobs.find, run, LegKey(leg))

    async def begin(self, run: RunId, leg: str) -> jobs.StoredJob:
        """Have a machine take a queued leg."""
        await self.database.write(jobs.begin, await self.job(run, leg), host=HOST, at=self.clock.now())
        return await self.job(run, leg)

    async def end(
        self,
        run: RunId,
        leg: str,
        conclusion: Conclusion = Conclusion.SUCCESS,
        *,
        outputs: Mapping[str, str] | None = None,
        crash: bool = False,
    ) -> None:
        """End a leg as its worker does, from the queue or in progress; with ``crash`` nobody is told of it."""
        job = await self.job(run, leg)
        if job.status is Status.QUEUED:
            job = await self.begin(run, leg)
        now = self.clock.now()
        concerned = await self.database.write(jobs.complete, job, conclusion, at=now, outputs=outputs)
        if not crash:
            await self.advancer.advance(run, *concerned)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def floor_of() -> type[Floor]:
    """For databases of a test's own."""
    return Floor


@pytest.fixture
def floor(database: Database) -> Floor:
    return Floor(database)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    opened = open_database(Secret(f"sqlite:///{tmp_path / 'x.sqlite'}"))
    made = Desk(opened)
    made.sources.files = {PATH: TEXT}
    yield made
    opened.close()
