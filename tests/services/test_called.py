"""Runs whose jobs call workflows: what is planned, shown, handed down and held."""

from typing import Any

import pytest

from terraphim_runner.model.ids import RunId
from terraphim_runner.model.states import Conclusion
from terraphim_runner.planning.outcome import MAX_RUN_OUTPUT_BYTES
from terraphim_runner.services.advance import MAX_PLANNED_BYTES
from terraphim_runner.services.bounds import MAX_LEGS
from terraphim_runner.store import jobs, tables

pytestmark = pytest.mark.anyio

CALLER = """on: push
jobs:
  first: {runs-on: x, steps: [{run: x}]}
  deploy:
    needs: first
    uses: ./.github/workflows/called.yml
    with: {where: prod}
  last:
    needs: deploy
    if: needs.deploy.outputs.url == 'u'
    runs-on: x
    steps: [{run: x}]
"""
CALLED = """on:
  workflow_call:
    inputs: {where: {type: string}}
    outputs: {url: {value: "${{ jobs.build.outputs.url }}"}}
jobs:
  build: {runs-on: x, outputs: {url: "${{ steps.x.outputs.url }}"}, steps: [{run: x}]}
  never: {if: "false", name: Never, runs-on: x, steps: [{run: x}]}
"""


async def test_jobs_of_a_called_workflow_are_jobs_of_the_run(floor):
    run = await floor.push(CALLER, CALLED)
    assert await floor.legs(run) == {"first": "queued"}
    await floor.end(run, "first")
    assert await floor.legs(run) == {
        "first": "success",
        "deploy": "in_progress",
        "deploy/build": "queued",
        "deploy/never": "skipped",
    }
    names = [row["name"] for row in await floor.database.read(jobs.describe, run)]
    assert names == ["first", "deploy", "deploy / build", "deploy / Never"]
    await floor.end(run, "deploy/build", outputs={"url": "u"})
    row = await floor.row(run, "deploy")
    assert (row["kind"], row["conclusion"], row["outputs"]) == ("call", "success", {"url": "u"})
    assert (await floor.legs(run))["last"] == "queued"
    await floor.end(run, "last")
    assert await floor.state(run) == ("completed", "success")


async def test_call_is_never_handed_to_a_machine(floor):
    run = await floor.push(CALLER, CALLED)
    await floor.end(run, "first")
    call = await floor.job(run, "deploy")
    assert call.id not in {job for job, _ in floor.queue.attempts}
    assert await floor.database.write(jobs.load, call.id) is None
    before = await floor.legs(run)
    await floor.recovery.sweep_once(starting=True)
    assert await floor.legs(run) == before


async def test_call_whose_output_does_not_evaluate_fails_with_the_diagnostic(floor):
    called = CALLED.replace("jobs.build.outputs.url", "fromJSON(jobs.build.outputs.url)")
    run = await floor.push(CALLER, called)
    await floor.end(run, "first")
    await floor.end(run, "deploy/build", outputs={"url": "{"})
    row = await floor.row(run, "deploy")
    assert row["conclusion"] == "failure"
    assert "the output 'url' does not evaluate" in row["reason"]
    assert row["diagnostics"][0]["path"] == ".github/workflows/called.yml"


async def test_call_that_is_displaced_ends_with_its_jobs(floor):
    text = CALLER.replace("with:", "concurrency: {group: g, cancel-in-progress: true}\n    with:")
    first = await floor.push(text, CALLED)
    await floor.end(first, "first")
    job = await floor.begin(first, "deploy/build")
    second = await floor.push(text, CALLED)
    with floor.cancellations.of(job.id) as cancellation:
        await floor.end(second, "first")
        assert cancellation.requested
    assert (await floor.legs(second))["deploy"] == "pending"
    await floor.end(first, "deploy/build", Conclusion.CANCELLED)
    row = await floor.row(first, "deploy")
    assert row["conclusion"] == "cancelled"
    assert "cancels what is in progress" in row["reason"]
    assert await floor.legs(first) == {
        "first": "success",
        "deploy": "cancelled",
        "deploy/build": "cancelled",
        "deploy/never": "skipped",
        "last": "skipped",
    }
    assert (await floor.legs(second))["deploy/build"] == "queued"


async def test_job_that_asks_for_the_group_of_a_call_above_it_is_cancelled_at_once(floor):
    called = CALLED.replace("on:\n", "concurrency: G\non:\n").replace("build: {", "build: {concurrency: g, ")
    run = await floor.push(CALLER, called)
    await floor.end(run, "first")
    assert (await floor.legs(run))["deploy/build"] == "cancelled"
    reason = (await floor.row(run, "deploy/build"))["reason"]
    assert reason == "a deadlock: the call 'deploy' holds the concurrency group 'g' that this job asks for"
    assert await floor.state(run) == ("completed", "cancelled")


async def test_call_waits_for_the_groups_of_its_job_and_of_its_workflow(floor):
    holder = await floor.push("on: push\njobs:\n  a: {concurrency: a, runs-on: x, steps: [{run: x}]}\n")
    other = await floor.push("on: push\njobs:\n  b: {concurrency: b, runs-on: x, steps: [{run: x}]}\n")
    text = CALLER.replace("with:", "concurrency: b\n    with:")
    run = await floor.push(text, f"concurrency: a\n{CALLED}")
    await floor.end(run, "first")
    assert (await floor.legs(run))["deploy"] == "pending"
    await floor.end(holder, "a")
    assert (await floor.legs(run))["deploy"] == "pending"
    await floor.end(other, "b")
    assert (await floor.legs(run))["deploy"] == "in_progress"


async def test_calls_that_hold_what_the_jobs_of_the_other_ask_for_do_not_wait_for_ever(floor):
    def called(group: str) -> str:
        job = f"  late: {{needs: build, concurrency: {group}, runs-on: x, steps: [{{run: x}}]}}\n"
        return CALLED + job

    text = CALLER.replace("with:", "concurrency: {}\n    with:")
    first = await floor.push(text.replace("{}", "one"), called("two"))
    second = await floor.push(text.replace("{}", "two"), called("one"))
    for leg in ("first", "deploy/build"):
        await floor.end(first, leg)
        await floor.end(second, leg)
    assert (await floor.legs(first))["deploy/late"] == "queued"
    assert (await floor.row(second, "deploy/late"))["reason"] == (
        "a deadlock: whoever holds the concurrency group 'one' waits for 'two', which this run holds"
    )
    await floor.end(first, "deploy/late")
    assert await floor.state(first) == ("completed", "success")
    assert await floor.state(second) == ("completed", "cancelled")


async def test_matrix_of_calls_counts_towards_the_bound_of_legs(floor):
    numbers = ", ".join(map(str, range(200)))
    caller = (
        "on: push\njobs:\n  c:\n"
        f"    strategy: {{max-parallel: 200, matrix: {{n: [{numbers}]}}}}\n"
        "    uses: ./.github/workflows/called.yml\n"
    )
    called = "on: workflow_call\njobs:\n" + "".join(
        f"  j{index}: {{runs-on: x, steps: [{{run: x}}]}}\n" for index in range(6)
    )
    run = await floor.push(caller, called)
    rows = await floor.database.read(jobs.describe, run)
    assert sum(row["kind"] in {"leg", "call"} for row in rows) == MAX_LEGS
    assert any("expected at most 1024" in (row["reason"] or "") for row in rows if row["kind"] == "rejected")


async def test_matrix_of_calls_is_bounded_by_what_the_calls_bring(floor):
    caller = (
        "on: push\njobs:\n  c:\n"
        "    strategy: {matrix: {n: [1, 2, 3, 4, 5, 6, 7, 8, 9]}}\n"
        "    uses: ./.github/workflows/called.yml\n"
    )
    called = "on: workflow_call\njobs:\n" + "".join(
        f"  j{index}: {{if: false, runs-on: x, steps: [{{run: x}}]}}\n" for index in range(1000)
    )
    run = await floor.push(caller, called)
    assert await floor.legs(run) == {"c": "failure"}
    reason = (await floor.row(run, "c"))["reason"]
    assert "the workflows that the run calls would have 9000 jobs, expected at most 8192" in reason


async def test_run_that_calls_what_there_is_not_ends_before_it_starts(floor):
    run = await floor.push(CALLER)
    found = await floor.run(run)
    assert (found["status"], found["conclusion"]) == ("completed", "startup_failure")
    assert found["error"] == "what the workflow calls is not valid"
    assert "there is no such file" in found["diagnostics"][0]["message"]


async def test_run_that_cannot_go_on_ends_its_calls(floor):
    run = await floor.push(CALLER, CALLED)
    await floor.end(run, "first")

    def damage(connection: Any) -> None:
        connection.execute(tables.runs.update().where(tables.runs.c.id == int(run)).values(called=[]))

    await floor.database.write(damage)
    await floor.advancer.advance(RunId(run))
    assert await floor.legs(run) == {
        "first": "success",
        "deploy": "cancelled",
        "deploy/build": "cancelled",
        "deploy/never": "skipped",
    }


async def test_outputs_of_calls_count_towards_the_bound_of_the_run(floor):
    numbers = ", ".join(map(str, range(60)))
    caller = (
        "on: push\njobs:\n  first: {runs-on: x, steps: [{run: x}]}\n"
        f"  deploy:\n    needs: first\n    strategy: {{fail-fast: false, matrix: {{n: [{numbers}]}}}}\n"
        "    uses: ./.github/workflows/called.yml\n    with: {text: '${{ needs.first.outputs.text }}'}\n"
    )
    called = (
        "on:\n  workflow_call:\n    inputs: {text: {type: string}}\n"
        "    outputs: {text: {value: \"${{ format('{0}{0}{0}{0}{0}{0}{0}{0}{0}{0}', inputs.text) }}\"}}\n"
        "jobs:\n  build: {if: false, runs-on: x, steps: [{run: x}]}\n"
    )
    run = await floor.push(caller, called)
    await floor.end(run, "first", outputs={"text": "x" * 90_000})
    rows = await floor.database.read(jobs.describe, run)
    refused = [row for row in rows if "bytes with this call's" in (row["reason"] or "")]
    assert len(refused) == 60 - MAX_RUN_OUTPUT_BYTES // 900_000
    assert all(row["conclusion"] == "failure" and row["outputs"] == {} for row in refused)


async def test_inputs_of_calls_are_bounded_in_one_run(floor):
    caller = "on: push\njobs:\n  first: {runs-on: x, steps: [{run: x}]}\n" + "".join(
        f"  c{number}:\n    needs: first\n    uses: ./.github/workflows/called.yml\n"
        "    with: {text: '${{ needs.first.outputs.text }}'}\n"
        for number in range(70)
    )
    called = (
        "on:\n  workflow_call:\n    inputs: {text: {type: string}}\njobs:\n"
        "  build: {if: false, runs-on: x, steps: [{run: x}]}\n"
    )
    run = await floor.push(caller, called)
    await floor.end(run, "first", outputs={"text": "x" * 1_000_000})
    reasons = [row["reason"] or "" for row in await floor.database.read(jobs.describe, run)]
    refused = sum(f"of the run would have over {MAX_PLANNED_BYTES} bytes" in reason for reason in reasons)
    assert refused == 70 - MAX_PLANNED_BYTES // 1_000_000
    assert (await floor.state(run)) == ("completed", "failure")
