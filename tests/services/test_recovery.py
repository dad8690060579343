"""The crash windows between a stored decision and the engine that carries it out."""

from datetime import timedelta
from typing import Any

import anyio
import pytest
from sqlalchemy import Connection, update

from terraphim_runner.model.event import Event
from terraphim_runner.model.ids import HostId, RunId
from terraphim_runner.model.states import Conclusion, Status
from terraphim_runner.services.bounds import MAX_LEGS
from terraphim_runner.services.intake import MAX_AT_ONCE, MAX_JOBS
from terraphim_runner.services.recovery import MAX_INTAKE_TRIES
from terraphim_runner.services.sources import Prepared
from terraphim_runner.store import jobs, runs, tables

pytestmark = pytest.mark.anyio

HOST = HostId("h1")


async def test_intake_repeated_after_a_crash_creates_each_run_once(desk: Any) -> None:
    delivery = await desk.deliver()
    await desk.intake.intake_once(delivery)
    await desk.intake.intake_once(delivery)
    assert await desk.state() == ("processed", ".github/workflows/a.yml on push: triggered: push to branch 'main'")
    assert len(await desk.database.read(runs.listing, limit=10)) == 1
    assert [attempt for _, attempt in desk.queue.attempts] == [1, 1, 1]


async def test_run_advanced_by_many_at_once_moves_on_once(desk: Any) -> None:
    await desk.intake.intake_once(await desk.deliver())
    for leg in ("a/0", "a/1", "a/2"):
        await desk.finish(leg)
    async with anyio.create_task_group() as tasks:
        for _ in range(12):
            tasks.start_soon(desk.advancer.advance, RunId("1"))
    assert len(desk.queue.attempts) == 4
    await desk.finish("b")
    async with anyio.create_task_group() as tasks:
        for _ in range(12):
            tasks.start_soon(desk.advancer.advance, RunId("1"))
    assert (await desk.run())["conclusion"] == "success"


async def test_leg_that_fails_cancels_those_that_wait_and_asks_those_that_run(desk: Any) -> None:
    await desk.intake.intake_once(await desk.deliver())
    running = await desk.begin("a/1")
    await desk.finish("a/0", Conclusion.FAILURE)
    with desk.cancellations.of(running.id) as cancellation:
        await desk.advancer.advance(RunId("1"))
        assert cancellation.requested
        assert "fail-fast" in cancellation.reason
    assert (await desk.job("a/2")).status is Status.COMPLETED
    assert (await desk.job("a/1")).cancel_reason is not None


async def test_sweep_at_the_start_takes_in_what_was_only_stored(desk: Any) -> None:
    delivery = await desk.deliver()
    desk.queue.intakes.clear()
    desk.clock.at += timedelta(seconds=1)
    await desk.recovery.sweep_once()
    assert desk.queue.intakes == []
    await desk.recovery.sweep_once(starting=True)
    assert desk.queue.intakes == [(delivery, 2)]


async def test_sweep_gives_up_a_delivery_that_never_comes_through(desk: Any) -> None:
    await desk.deliver()
    for _ in range(MAX_INTAKE_TRIES + 2):
        desk.clock.at += timedelta(seconds=1)
        await desk.recovery.sweep_once(starting=True)
    assert (await desk.state())[0] == "failed"
    assert [number for _, number in desk.queue.intakes] == [1, 2, 3, 4, 5]


async def test_sweep_enqueues_what_was_stored_as_queued_and_never_asked_for(desk: Any) -> None:
    await desk.intake.intake_once(await desk.deliver())
    wanted = list(desk.queue.attempts)
    desk.queue.attempts.clear()
    await desk.recovery.sweep_once(starting=True)
    assert desk.queue.attempts == wanted


async def test_sweep_renews_an_attempt_that_the_engine_ended_without_beginning_it(desk: Any) -> None:
    await desk.intake.intake_once(await desk.deliver())
    stuck = desk.queue.attempts[0]
    desk.queue.ended.add(stuck)
    await desk.recovery.sweep_once()
    assert (stuck[0], 2) in desk.queue.attempts
    assert (await desk.job("a/0")).lost_attempts == 0


async def test_sweep_leaves_alone_what_runs_here_or_on_another_host(desk: Any) -> None:
    await desk.intake.intake_once(await desk.deliver())
    here = await desk.begin("a/0")
    other = await desk.job("a/1")
    await desk.database.write(jobs.begin, other, host=HostId("h2"), at=desk.clock.at)
    with desk.cancellations.of(here.id):
        await desk.recovery.sweep_once()
    assert (await desk.job("a/0")).attempt == 1
    assert (await desk.job("a/1")).attempt == 1
    await desk.recovery.sweep_once()
    assert (await desk.job("a/0")).attempt == 2
    assert (await desk.job("a/1")).attempt == 1


async def test_sweep_ends_a_job_that_was_to_be_cancelled_when_its_host_was_lost(desk: Any) -> None:
    await desk.intake.intake_once(await desk.deliver())
    job = await desk.begin("a/0")
    await desk.database.write(jobs.ask_to_cancel, job, reason="fail-fast")
    await desk.recovery.sweep_once(starting=True)
    found = (await desk.database.read(jobs.snapshot, RunId("1")))[job.leg.job].legs[0]
    assert found.conclusion is Conclusion.CANCELLED


async def test_sweep_moves_on_a_run_whose_last_job_ended_just_before_a_crash(desk: Any) -> None:
    await desk.intake.intake_once(await desk.deliver())
    for leg in ("a/0", "a/1", "a/2"):
        await desk.finish(leg)
    await desk.recovery.sweep_once(starting=True)
    assert (await desk.job("b")).status is Status.QUEUED


async def test_delivery_without_workflows_is_processed_and_says_so(desk: Any) -> None:
    desk.sources.files.clear()
    await desk.intake.intake_once(await desk.deliver())
    assert await desk.state() == ("processed", "the commit has no workflow files")


def _matrices(count: int) -> str:
    job = "  j{}:\n    runs-on: x\n    strategy: {{matrix: {{n: ['${{{{ vars.x }}}}', {}]}}}}\n    steps: [run: x]\n"
    numbers = ", ".join(map(str, range(255)))
    return "on: push\njobs:\n" + "".join(job.format(index, numbers) for index in range(count))


async def test_run_with_too_many_legs_rejects_the_jobs_that_exceed_the_bound(desk: Any) -> None:
    desk.sources.files[".github/workflows/a.yml"] = _matrices(6)
    await desk.intake.intake_once(await desk.deliver())
    shown = await desk.database.read(jobs.describe, RunId("1"))
    assert sum(row["kind"] == "leg" for row in shown) == MAX_LEGS
    rejected = [row for row in shown if row["kind"] == "rejected"]
    assert [row["job"] for row in rejected] == ["j4", "j5"]
    assert "expected at most 1024" in rejected[0]["reason"]


async def test_workflow_with_too_many_jobs_is_refused(desk: Any) -> None:
    job = "  j{}: {{runs-on: x, steps: [run: x]}}\n"
    desk.sources.files[".github/workflows/a.yml"] = "on: push\njobs:\n" + "".join(
        job.format(index) for index in range(MAX_JOBS + 1)
    )
    await desk.intake.intake_once(await desk.deliver())
    run = await desk.run()
    assert run["conclusion"] == "startup_failure"
    assert str(run["error"]) == f"the workflow has {MAX_JOBS + 1} jobs, expected at most {MAX_JOBS}"


async def _damage(desk: Any, run: str, **values: object) -> None:
    def write(connection: Connection) -> None:
        connection.execute(update(tables.runs).where(tables.runs.c.id == int(run)).values(**values))

    await desk.database.write(write)


async def test_run_whose_stored_workflow_is_no_longer_valid_fails_with_the_reason(desk: Any) -> None:
    await desk.intake.intake_once(await desk.deliver())
    await _damage(desk, "1", source="no workflow at all")
    await desk.recovery.sweep_once(starting=True)
    run = await desk.run()
    assert (run["status"], run["conclusion"]) == ("completed", "failure")
    assert "no longer valid" in str(run["error"])


async def test_sweep_goes_on_after_a_run_that_cannot_be_read(desk: Any) -> None:
    for name in ("d1", "d2"):
        await desk.intake.intake_once(await desk.deliver(name))
    await _damage(desk, "1", status="of another version")
    wanted = [(job, 1) for job, _ in desk.queue.attempts]
    desk.queue.attempts.clear()
    await desk.recovery.sweep_once(starting=True)
    assert desk.queue.attempts == wanted
    for leg in ("a/0", "a/1", "a/2"):
        await desk.database.write(jobs.begin, await desk.job(leg, "2"), host=HOST, at=desk.clock.at)
        await desk.database.write(jobs.complete, await desk.job(leg, "2"), Conclusion.SUCCESS, at=desk.clock.at)
    await desk.recovery.sweep_once(starting=True)
    assert (await desk.job("b", "2")).status is Status.QUEUED


async def test_deliveries_that_come_at_once_are_taken_in_a_few_at_a_time(desk: Any) -> None:
    full, go_on = anyio.Event(), anyio.Event()
    prepared = desk.sources.prepare
    running: list[str] = []
    most = 0

    async def prepare(event: Event) -> Prepared:
        nonlocal most
        running.append(event.sha)
        most = max(most, len(running))
        if most == MAX_AT_ONCE:
            full.set()
        await go_on.wait()
        running.pop()
        return await prepared(event)

    desk.sources.prepare = prepare
    names = [await desk.deliver(f"d{index}") for index in range(3 * MAX_AT_ONCE)]
    intake = desk.intake
    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            for name in names:
                tasks.start_soon(intake.intake_once, name)
            await full.wait()
            assert len(intake.busy) == len(names)
            go_on.set()
    assert most == MAX_AT_ONCE
    assert len(await desk.database.read(runs.listing, limit=100)) == len(names)
