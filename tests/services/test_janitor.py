"""What is forgotten, and what is not."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from terraphim_runner.model.event import Delivery
from terraphim_runner.model.ids import DeliveryId, JobId, JobKey, RunId
from terraphim_runner.model.job import Annotation, AnnotationLevel, LogLine
from terraphim_runner.model.secret import Secret
from terraphim_runner.model.states import Conclusion
from terraphim_runner.services.janitor import Janitor
from terraphim_runner.store import deliveries, jobs, runs, steps
from terraphim_runner.store.database import Database, open_database
from terraphim_runner.store.deliveries import DeliveryState
from terraphim_runner.store.logs import LogStore

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 6, 1, tzinfo=UTC)
OLD = NOW - timedelta(days=100)
KEEP = timedelta(days=90)


class FixedClock:
    def now(self) -> datetime:
        return NOW


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = open_database(Secret(f"sqlite:///{tmp_path / 'x.sqlite'}"))
    yield opened
    opened.close()


@pytest.fixture
def logs(tmp_path: Path) -> LogStore:
    return LogStore(tmp_path / "logs", limit_bytes=10_000)


async def _run(database: Database, logs: LogStore, name: str, *, at: datetime, ended: bool = True) -> RunId:
    delivery = Delivery(id=DeliveryId(name), event="push", body=b"{}", received_at=at)
    await database.write(deliveries.insert, delivery)
    await database.write(deliveries.settle, delivery.id, state=DeliveryState.PROCESSED, note="", at=at)
    new = runs.NewRun(
        delivery=delivery.id, repository="o/r", path="a", title="A", event="push", ref="r", sha="s", source=""
    )
    created = await database.write(runs.create, new, at=at)
    assert created is not None
    run_id = created[0]
    await database.write(jobs.add_skipped, run_id, JobKey("j"), name="J", reason="", at=at)
    (job,) = await database.read(jobs.describe, run_id)
    job_id = JobId(str(job["id"]))
    await database.write(steps.start, job_id, 1, number=1, name="s", at=at)
    annotation = Annotation(level=AnnotationLevel.NOTICE, message="m", step=1)
    await database.write(steps.annotate, job_id, 1, annotation)
    writer = logs.writer(run_id, job_id)
    writer.append([LogLine(at=at, step=1, text="x")])
    writer.close()
    if ended:
        await database.write(runs.complete, run_id, Conclusion.SUCCESS, at=at)
    return run_id


async def _known(database: Database) -> list[str]:
    return sorted(str(row["id"]) for row in await database.read(runs.listing, limit=100))


async def test_old_runs_go_with_their_logs_and_deliveries_and_the_rest_stays(
    database: Database, logs: LogStore, tmp_path: Path
) -> None:
    old = await _run(database, logs, "d1", at=OLD)
    unfinished = await _run(database, logs, "d2", at=OLD, ended=False)
    young = await _run(database, logs, "d3", at=NOW)
    janitor = Janitor(database=database, logs=logs, keep=KEEP, clock=FixedClock())
    assert await janitor.clean_once() == 1
    assert await _known(database) == [unfinished, young]
    assert sorted(path.name for path in (tmp_path / "logs").iterdir()) == [unfinished, young]
    assert await database.read(deliveries.describe, DeliveryId("d1")) is None
    assert await database.read(deliveries.describe, DeliveryId("d2")) is not None
    assert await database.read(steps.describe_annotations, old) == []
    assert await janitor.clean_once() == 0


async def test_newest_run_of_a_workflow_stays_for_its_number(database: Database, logs: LogStore) -> None:
    for name in ("d1", "d2"):
        await _run(database, logs, name, at=OLD)
    await Janitor(database=database, logs=logs, keep=KEEP, clock=FixedClock()).clean_once()
    assert await _known(database) == ["2"]
    await _run(database, logs, "d3", at=NOW)
    assert [row["number"] for row in await database.read(runs.listing, limit=10)] == [3, 2]


async def test_delivery_that_is_not_settled_stays(database: Database, logs: LogStore) -> None:
    for name in ("d1", "d2"):
        delivery = Delivery(id=DeliveryId(name), event="push", body=b"{}", received_at=OLD)
        await database.write(deliveries.insert, delivery)
    await database.write(deliveries.settle, DeliveryId("d1"), state=DeliveryState.IGNORED, note="", at=OLD)
    await Janitor(database=database, logs=logs, keep=KEEP, clock=FixedClock()).clean_once()
    assert await database.read(deliveries.describe, DeliveryId("d1")) is None
    assert await database.read(deliveries.describe, DeliveryId("d2")) is not None
