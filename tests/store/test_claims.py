"""Claims as they are stored: the order in which they came, the turn, and what a release concerns."""

from datetime import UTC, datetime
from typing import Any

import anyio
import pytest
from sqlalchemy import Connection, select

from terraphim_runner.model.event import Delivery
from terraphim_runner.model.ids import DeliveryId, JobId, JobKey, LegKey, RunId
from terraphim_runner.model.states import Conclusion
from terraphim_runner.planning.concurrency import MAX_WAITING
from terraphim_runner.planning.graph import PlannedGroup, PlannedLeg
from terraphim_runner.store import claims, deliveries, jobs, retention, runs, tables
from terraphim_runner.store.claims import group_key
from terraphim_runner.store.database import Database
from terraphim_runner.workflow.tree import Queue

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 3, 4, tzinfo=UTC)
PROD = PlannedGroup(name="prod")
IN_ORDER = PlannedGroup(name="prod", queue=Queue.MAX)


async def _run(database: Database, repository: str = "o/r") -> RunId:
    number = await database.read(lambda connection: len(connection.execute(select(tables.runs.c.id)).all()))
    delivery = DeliveryId(f"d{number}")
    received = Delivery(id=delivery, event="push", body=b"{}", received_at=NOW)
    await database.write(deliveries.insert, received)
    new = runs.NewRun(
        delivery=delivery, repository=repository, path="p", title="t", event="push", ref="r", sha="s", source=""
    )
    created = await database.write(runs.create, new, at=NOW)
    assert created is not None
    return created[0]


async def _leg(database: Database, run: RunId, key: str) -> jobs.StoredJob:
    leg = PlannedLeg(
        key=LegKey(key),
        job=JobKey(key),
        name=key,
        labels=("x",),
        matrix={},
        strategy={},
        timeout_minutes=1.0,
        continue_on_error=False,
    )
    await database.write(jobs.add_legs, run, leg.job, [leg], at=NOW)
    return await database.read(jobs.find, run, leg.key)


async def _holds(database: Database, run: RunId) -> list[bool]:
    return [claim.holds for claim in await database.read(claims.of_run, run)]


async def test_claim_of_a_free_group_is_granted_and_the_next_when_it_is_released(database: Database) -> None:
    first, second = [await _run(database) for _ in range(2)]
    assert await database.write(claims.add, "o/r", first, PROD) == {first}
    assert await database.write(claims.add, "O/R", second, PlannedGroup(name="PROD")) == frozenset()
    holder = await database.read(claims.holder, "o/R", group_key("Prod"))
    assert holder is not None
    assert (holder.run, holder.job, holder.group) == (first, None, PROD)
    assert await database.write(runs.complete, first, Conclusion.SUCCESS, at=NOW) == {second}
    assert await _holds(database, second) == [True]
    assert await database.read(claims.of_run, first) == []


async def test_group_of_another_repository_is_another_group(database: Database) -> None:
    first, second = await _run(database), await _run(database, "o/other")
    await database.write(claims.add, "o/r", first, PROD)
    assert await database.write(claims.add, "o/other", second, PROD) == {second}


async def test_name_of_any_characters_is_a_group(database: Database) -> None:
    names = ["a\x00b", "\ud800", "ß", "STRASSE", "x" * 400, "\N{REPLACEMENT CHARACTER}"]
    run = await _run(database)
    for name in names:
        await database.write(claims.add, "o/r", run, PlannedGroup(name=name))
    assert await _holds(database, run) == [True] * len(names)


async def test_leg_that_completes_gives_up_all_its_claims(database: Database) -> None:
    first, second = [await _run(database) for _ in range(2)]
    leg = await _leg(database, first, "a")
    for name in ("one", "two"):
        await database.write(claims.add, "o/r", first, PlannedGroup(name=name), job_id=leg.id)
        await database.write(claims.add, "o/r", second, PlannedGroup(name=name))
    assert await _holds(database, second) == [False, False]
    assert await database.write(jobs.complete, leg, Conclusion.FAILURE, at=NOW) == {second}
    assert await _holds(database, second) == [True, True]
    assert await database.read(claims.of_run, first) == []


async def test_claims_of_many_at_once_are_granted_to_one(database: Database) -> None:
    many = [await _run(database) for _ in range(8)]
    async with anyio.create_task_group() as tasks:
        for run in many:
            tasks.start_soon(database.write, claims.add, "o/r", run, IN_ORDER)
    held = [sum(await _holds(database, run)) for run in many]
    assert sum(held) == 1


async def test_groups_are_locked_before_the_row_of_a_leg_that_another_completes(database: Database) -> None:
    """One that advances a run holds the groups' lock and takes rows; one that ends a leg must not do the reverse."""
    run = await _run(database)
    legs = [await _leg(database, run, f"l{index}") for index in range(6)]
    for leg in legs:
        await database.write(claims.add, "o/r", run, IN_ORDER, job_id=leg.id)

    def advance(connection: Connection) -> None:
        claims.lock(connection, "o/r")
        for leg in legs:
            jobs.find(connection, run, leg.leg.key)

    def end(connection: Connection, job_id: JobId) -> None:
        job = jobs.load(connection, job_id)
        assert job is not None
        jobs.complete(connection, job, Conclusion.SUCCESS, at=NOW)

    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            for leg in reversed(legs):
                tasks.start_soon(database.write, advance)
                tasks.start_soon(database.write, end, leg.id)
    assert await database.read(claims.of_run, run) == []


async def test_queue_that_is_full_displaces_who_comes_then(database: Database) -> None:
    run = await _run(database)
    for _ in range(MAX_WAITING + 2):
        concerned = await database.write(claims.add, "o/r", run, IN_ORDER)
    assert concerned == {run}
    found = await database.read(claims.of_run, run)
    assert [claim.displaced for claim in found if claim.displaced] == [
        f"{MAX_WAITING} wait for the concurrency group 'prod' already"
    ]
    assert found[-1].displaced is not None


async def test_claims_that_wait_are_described_with_the_run_that_holds_the_group(database: Database) -> None:
    first, second = [await _run(database) for _ in range(2)]
    leg = await _leg(database, first, "a")
    await database.write(claims.add, "o/r", first, PROD, job_id=leg.id)
    await database.write(claims.add, "o/r", second, PROD)
    found: dict[Any, Any] = await database.read(claims.describe_waiting, [first, second])
    assert found == {
        (int(second), None): {"run_id": int(second), "job_id": None, "name": "prod", "held_by": int(first)}
    }


async def test_runs_are_forgotten_with_claims_that_were_left_over(database: Database) -> None:
    run = await _run(database)
    leg = await _leg(database, run, "a")
    await database.write(claims.add, "o/r", run, PROD, job_id=leg.id)
    await database.write(retention.forget_runs, [run])
    assert await database.read(claims.of_run, run) == []
    assert await database.read(runs.describe, run) is None
