"""Concurrency groups of runs and jobs, across runs and across crashes."""

import anyio
import pytest

from terraphim_runner.model.ids import RunId
from terraphim_runner.model.states import Conclusion, Status
from terraphim_runner.store import claims, jobs, runs, tables

pytestmark = pytest.mark.anyio

JOB = "jobs:\n  a: {runs-on: x, steps: [{run: x}]}\n"
DEFAULT = f"on: push\nconcurrency: prod\n{JOB}"
CANCELLING = f"on: push\nconcurrency: {{group: prod, cancel-in-progress: true}}\n{JOB}"
QUEUED = f"on: push\nconcurrency: {{group: prod, queue: max}}\n{JOB}"
PENDING = ("pending", None)
CANCELLED = ("completed", "cancelled")
SUCCESS = ("completed", "success")


def jobs_in(*groups: str, run: str = "", more: str = "") -> str:
    """A workflow with one job in each group; ``run`` is the group of the workflow itself."""
    text = f"on: push\n{f'concurrency: {run}' if run else ''}\njobs:\n"
    for index, group in enumerate(groups):
        text += f"  j{index}:\n    runs-on: x\n    concurrency: {group}\n{more}    steps: [{{run: x}}]\n"
    return text


async def test_newer_push_cancels_the_run_in_progress_and_waits_for_its_end(floor):
    first = await floor.push(CANCELLING)
    job = await floor.begin(first, "a")
    with floor.cancellations.of(job.id) as cancellation:
        second = await floor.push(CANCELLING)
        assert cancellation.requested
    assert await floor.state(second) == PENDING
    assert await floor.legs(second) == {}
    await floor.end(first, "a", Conclusion.CANCELLED)
    assert await floor.state(first) == CANCELLED
    assert (await floor.run(first))["cancel_reason"] == (
        "a newer request for the concurrency group 'prod' cancels what is in progress"
    )
    assert await floor.legs(second) == {"a": "queued"}
    await floor.end(second, "a")
    assert await floor.state(second) == SUCCESS
    assert (await floor.run(second))["cancel_reason"] is None


async def test_run_that_is_displaced_still_runs_its_jobs_that_always_run(floor):
    text = CANCELLING + "  after:\n    needs: a\n    if: always()\n    runs-on: x\n    steps: [{run: x}]\n"
    first = await floor.push(text)
    await floor.begin(first, "a")
    second = await floor.push(text)
    await floor.end(first, "a", Conclusion.CANCELLED)
    assert await floor.legs(first) == {"a": "cancelled", "after": "queued"}
    assert await floor.state(second) == PENDING
    await floor.end(first, "after")
    assert await floor.state(first) == CANCELLED
    assert await floor.legs(second) == {"a": "queued"}


async def test_third_push_takes_the_place_of_the_second_that_waits(floor):
    first, second, third = [await floor.push(DEFAULT) for _ in range(3)]
    assert await floor.legs(first) == {"a": "queued"}
    assert await floor.state(second) == CANCELLED
    found = await floor.run(second)
    assert found["cancel_reason"] == "a newer request for the concurrency group 'prod' takes its place"
    assert found["started_at"] is None
    assert await floor.legs(second) == {}
    assert await floor.state(third) == PENDING
    await floor.end(first, "a")
    assert await floor.legs(third) == {"a": "queued"}
    await floor.end(third, "a")
    assert await floor.state(third) == SUCCESS


async def test_queue_of_runs_goes_on_in_the_order_in_which_they_came(floor):
    pushed = [await floor.push(QUEUED) for _ in range(5)]
    for position, run in enumerate(pushed):
        assert await floor.legs(run) == {"a": "queued"}
        assert [await floor.state(other) for other in pushed[position + 1 :]] == [PENDING] * (4 - position)
        await floor.end(run, "a")
    assert [await floor.state(run) for run in pushed] == [SUCCESS] * 5


async def test_group_is_the_same_without_case_and_another_in_another_repository(floor):
    first = await floor.push(DEFAULT)
    same = await floor.push(DEFAULT.replace("prod", "PROD"), repository="O/R")
    other = await floor.push(DEFAULT, repository="o/other")
    assert await floor.legs(first) == {"a": "queued"}
    assert await floor.state(same) == PENDING
    assert await floor.legs(other) == {"a": "queued"}


async def test_jobs_of_two_runs_in_one_group_run_one_after_the_other(floor):
    text = jobs_in("deploy") + "  free: {runs-on: x, steps: [{run: x}]}\n"
    first, second = [await floor.push(text) for _ in range(2)]
    assert await floor.legs(first) == {"j0": "queued", "free": "queued"}
    assert await floor.legs(second) == {"j0": "pending", "free": "queued"}
    await floor.end(second, "free")
    await floor.end(first, "j0")
    assert await floor.legs(second) == {"j0": "queued", "free": "success"}
    await floor.end(second, "j0")
    assert await floor.state(second) == SUCCESS


async def test_job_that_waits_is_displaced_with_the_reason_and_its_dependents_are_skipped(floor):
    text = jobs_in("deploy") + "  next: {needs: j0, runs-on: x, steps: [{run: x}]}\n"
    _, second, third = [await floor.push(text) for _ in range(3)]
    assert await floor.legs(second) == {"j0": "cancelled", "next": "skipped"}
    assert await floor.state(second) == CANCELLED
    reason = (await floor.row(second, "j0"))["reason"]
    assert reason == "a newer request for the concurrency group 'deploy' takes its place"
    assert await floor.legs(third) == {"j0": "pending"}


async def test_job_in_progress_is_asked_to_end_by_a_newer_one_that_cancels(floor):
    text = jobs_in("{group: deploy, cancel-in-progress: true}")
    first = await floor.push(text)
    job = await floor.begin(first, "j0")
    with floor.cancellations.of(job.id) as cancellation:
        second = await floor.push(text)
        assert "cancels what is in progress" in cancellation.reason
    assert await floor.legs(second) == {"j0": "pending"}
    await floor.end(first, "j0", Conclusion.CANCELLED)
    assert await floor.legs(second) == {"j0": "queued"}


async def test_legs_of_one_matrix_in_one_group_run_one_at_a_time(floor):
    matrix = "    strategy: {matrix: {n: [1, 2, 3]}}\n"
    run = await floor.push(jobs_in("{group: g, queue: max}", more=matrix))
    assert await floor.legs(run) == {"j0/0": "queued", "j0/1": "pending", "j0/2": "pending"}
    for leg in ("j0/0", "j0/1", "j0/2"):
        await floor.end(run, leg)
    assert await floor.state(run) == SUCCESS


async def test_leg_that_fails_fast_makes_those_that_wait_leave_the_queue(floor):
    matrix = "    strategy: {matrix: {n: [1, 2]}}\n"
    first = await floor.push(jobs_in("{group: g, queue: max}", more=matrix))
    second = await floor.push(jobs_in("{group: g, queue: max}"))
    await floor.end(first, "j0/0", Conclusion.FAILURE)
    assert await floor.legs(first) == {"j0/0": "failure", "j0/1": "cancelled"}
    assert await floor.legs(second) == {"j0": "queued"}


async def test_run_that_is_cancelled_leaves_its_groups(floor):
    first = await floor.push(jobs_in("g", run="r"))
    second = await floor.push(jobs_in("g", run="r"))
    await floor.advancer.cancel(second, "somebody asked")
    await floor.advancer.cancel(second, "somebody asked again")
    assert await floor.state(second) == CANCELLED
    assert (await floor.run(second))["cancel_reason"] == "somebody asked"
    third = await floor.push(jobs_in("g", run="r"))
    await floor.advancer.cancel(first, "enough")
    assert await floor.state(first) == CANCELLED
    assert await floor.legs(third) == {"j0": "queued"}
    await floor.end(third, "j0")
    await floor.advancer.cancel(third, "too late")
    assert await floor.state(third) == SUCCESS
    assert (await floor.run(third))["cancel_reason"] is None


async def test_job_that_asks_for_the_group_of_its_own_run_is_cancelled_at_once(floor):
    run = await floor.push(jobs_in("Prod", "other", run="prod"))
    assert await floor.legs(run) == {"j0": "cancelled", "j1": "queued"}
    reason = (await floor.row(run, "j0"))["reason"]
    assert reason == "a deadlock: the run itself holds the concurrency group 'Prod' that this job asks for"
    await floor.end(run, "j1")
    assert await floor.state(run) == CANCELLED


async def test_run_whose_last_job_closes_a_circle_ends_at_once(floor):
    run = await floor.push(jobs_in("prod", run="prod"))
    assert await floor.legs(run) == {"j0": "cancelled"}
    assert await floor.state(run) == CANCELLED


async def test_runs_that_hold_what_the_other_asks_for_do_not_wait_for_ever(floor):
    first = await floor.push(
        "on: push\nconcurrency: one\njobs:\n  early: {runs-on: x, steps: [{run: x}]}\n"
        "  late: {needs: early, concurrency: two, runs-on: x, steps: [{run: x}]}\n"
    )
    second = await floor.push(jobs_in("one", run="two"))
    assert await floor.legs(second) == {"j0": "pending"}
    await floor.end(first, "early")
    assert await floor.legs(first) == {"early": "success", "late": "cancelled"}
    assert (
        "a deadlock: whoever holds the concurrency group 'two' waits for 'one'"
        in ((await floor.row(first, "late"))["reason"])
    )
    await floor.end(second, "j0")
    assert await floor.state(second) == SUCCESS


async def test_group_that_does_not_evaluate_ends_the_run_before_it_starts(floor):
    run = await floor.push(DEFAULT.replace("prod", "\"${{ fromJSON('[]') }}\""))
    found = await floor.run(run)
    assert (found["status"], found["conclusion"]) == ("completed", "startup_failure")
    assert found["error"] == "the workflow's 'concurrency' does not evaluate"
    assert found["diagnostics"][0]["line"] == 2


async def test_sweep_heals_a_crash_between_the_end_of_a_job_and_those_that_wait(floor):
    first, second = [await floor.push(DEFAULT) for _ in range(2)]
    await floor.end(first, "a", crash=True)
    assert await floor.state(second) == PENDING
    await floor.recovery.sweep_once(starting=True)
    assert await floor.state(first) == SUCCESS
    assert await floor.legs(second) == {"a": "queued"}


async def test_sweep_heals_a_crash_between_the_end_of_a_run_and_those_that_wait(floor):
    first, second = [await floor.push(DEFAULT) for _ in range(2)]
    at = floor.clock.now()
    await floor.database.write(jobs.complete, await floor.job(first, "a"), Conclusion.SUCCESS, at=at)
    assert await floor.database.write(runs.complete, first, Conclusion.SUCCESS, at=at) == {second}
    assert await floor.state(second) == PENDING
    await floor.recovery.sweep_once(starting=True)
    assert await floor.legs(second) == {"a": "queued"}


async def test_sweep_heals_a_crash_between_the_creation_of_a_run_and_those_it_displaces(floor):
    first = await floor.push(CANCELLING)
    await floor.begin(first, "a")
    second, third = [await floor.push(CANCELLING, crash=True) for _ in range(2)]
    assert [await floor.state(run) for run in (second, third)] == [PENDING] * 2
    assert (await floor.job(first, "a")).cancel_reason is None
    await floor.recovery.sweep_once(starting=True)
    await floor.recovery.sweep_once(starting=True)
    assert await floor.state(second) == CANCELLED
    assert await floor.state(first) == CANCELLED
    assert await floor.legs(third) == {"a": "queued"}


async def test_sweep_heals_a_crash_between_the_grant_and_the_run_that_it_is_for(floor):
    text = jobs_in("deploy")
    first, second = [await floor.push(text) for _ in range(2)]
    await floor.end(first, "j0", crash=True)
    assert await floor.legs(second) == {"j0": "pending"}
    await floor.advancer.advance(first)
    assert await floor.legs(second) == {"j0": "pending"}
    await floor.recovery.sweep_once(starting=True)
    assert await floor.legs(second) == {"j0": "queued"}


async def test_sweep_tells_a_displaced_job_whose_server_died_before_it_could(floor):
    text = jobs_in("{group: deploy, cancel-in-progress: true}")
    first = await floor.push(text)
    await floor.begin(first, "j0")
    second = await floor.push(text)
    # Told in the store, and to nobody else: the job was not running in this process.
    assert (await floor.job(first, "j0")).cancel_reason is not None
    await floor.recovery.sweep_once(starting=True)
    assert await floor.legs(first) == {"j0": "cancelled"}
    assert await floor.legs(second) == {"j0": "queued"}


async def test_job_whose_host_was_lost_keeps_its_group_for_the_next_attempt(floor):
    text = jobs_in("deploy")
    first, second = [await floor.push(text) for _ in range(2)]
    await floor.begin(first, "j0")
    await floor.recovery.sweep_once(starting=True)
    assert (await floor.job(first, "j0")).attempt == 2
    assert await floor.legs(second) == {"j0": "pending"}


async def test_run_that_cannot_go_on_gives_its_groups_up(floor):
    first, second = [await floor.push(jobs_in("deploy", run=name)) for name in ("one", "two")]
    third = await floor.push(DEFAULT.replace("prod", "one"))

    def damage(connection):
        connection.execute(tables.runs.update().where(tables.runs.c.id == int(first)).values(source="no workflow"))

    await floor.database.write(damage)
    await floor.advancer.advance(first)
    assert await floor.state(first) == ("completed", "failure")
    assert await floor.legs(second) == {"j0": "queued"}
    assert await floor.legs(third) == {"a": "queued"}


async def test_claims_are_gone_once_everything_is_over(floor):
    pushed = [await floor.push(jobs_in("g", "h", run="{group: r, queue: max}")) for _ in range(3)]
    for run in pushed:
        for leg in ("j0", "j1"):
            await floor.end(run, leg)
    for run in pushed:
        assert await floor.state(run) == SUCCESS
        assert await floor.database.read(claims.of_run, run) == []


async def test_pushes_that_come_at_once_leave_one_run_in_its_group(floor):
    async with anyio.create_task_group() as tasks:
        for _ in range(6):
            tasks.start_soon(floor.push, DEFAULT)
    states = [await floor.state(RunId(str(number))) for number in range(1, 7)]
    assert sum(state[0] in {"queued", "in_progress"} for state in states) == 1
    assert states.count(CANCELLED) == 4
    assert states.count(PENDING) == 1


async def test_job_that_waits_is_not_looked_after_as_if_a_machine_ran_it(floor):
    _, second = [await floor.push(jobs_in("deploy")) for _ in range(2)]
    assert (await floor.job(second, "j0")).status is Status.PENDING
    found = await floor.database.read(jobs.unfinished)
    assert second not in {job.run_id for job in found}


async def test_run_whose_leg_cannot_be_read_gives_its_groups_up_and_holds_nobody_up(floor):
    first, second = [await floor.push(jobs_in("deploy")) for _ in range(2)]
    begun = await floor.begin(first, "j0")

    def damage(connection):
        connection.execute(tables.jobs.update().where(tables.jobs.c.id == int(begun.id)).values(leg={"key": 1}))

    await floor.database.write(damage)
    await floor.recovery.sweep_once(starting=True)
    assert await floor.state(first) == ("completed", "failure")
    # Its host was lost with it: the next sweep asks nobody, and the group is free.
    await floor.recovery.sweep_once(starting=True)
    assert await floor.legs(first) in ({"j0": "failure"}, {"j0": "cancelled"})
    assert await floor.legs(second) == {"j0": "queued"}


async def test_job_that_is_on_its_way_out_closes_no_circle(floor):
    def run_in(group, job, more=""):
        return (
            f"on: push\nconcurrency: {group}\njobs:\n  first: {{runs-on: x, steps: [{{run: x}}]}}\n"
            f"  late: {{needs: first, concurrency: {job}, runs-on: x, steps: [{{run: x}}]}}\n{more}"
        )

    other = "  other: {runs-on: x, steps: [{run: x}]}\n"
    one = await floor.push(run_in("x", "y", other))
    two = await floor.push(run_in("y", "x"))
    await floor.end(one, "first")
    assert (await floor.legs(one))["late"] == "pending"
    # Somebody takes the place of the job that waits for 'y', and the server dies before that run is told.
    await floor.push(run_in("y", "z"), crash=True)
    await floor.end(two, "first")
    assert (await floor.legs(two))["late"] == "pending"
    await floor.recovery.sweep_once()
    assert (await floor.legs(one))["late"] == "cancelled"
    await floor.end(one, "other")
    assert (await floor.legs(two))["late"] == "queued"
