"""Runs without a server, on machines that never come up: how a run goes on, whatever its jobs ask for."""

from contextlib import asynccontextmanager

import anyio
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from terraphim_runner.model.errors import InfrastructureError
from terraphim_runner.model.states import Conclusion
from terraphim_runner.planning.graph import PlannedGroup
from terraphim_runner.services.local import LocalPlan, LocalRun
from terraphim_runner.workflow import parse
from terraphim_runner.workflow.linking import CalledFile, FileReference, link


class Told:
    """An observer that keeps what it is told, and checks that nothing is told twice. It takes its time for that."""

    def __init__(self):
        self.ended = {}
        self.rejected = {}
        self.begun = []
        self.at_work = {}

    def reporter(self, leg):
        raise AssertionError("no machine ever comes up")

    async def leg_started(self, leg):
        assert leg.key not in self.begun
        self.begun.append(leg.key)
        self._enter(leg)

    async def leg_pending(self, leg, groups):
        for _ in range(10):
            await anyio.lowlevel.checkpoint()
        assert groups == tuple(group.name for group in leg.groups)

    async def leg_completed(self, leg, result):
        assert leg.key not in self.ended
        self.ended[leg.key] = result.conclusion
        self.at_work.pop(leg.key, None)

    async def call_started(self, call):
        self._enter(call)

    async def call_completed(self, call, conclusion, outputs, diagnostics):
        assert call.key not in self.ended
        self.ended[call.key] = conclusion
        self.at_work.pop(call.key, None)

    async def job_skipped(self, job, name, reason):
        self.ended[job] = Conclusion.SKIPPED

    async def job_rejected(self, job, name, diagnostics):
        self.rejected[job] = diagnostics[0].message

    def _enter(self, leg):
        taken = {group.name.casefold() for other in self.at_work.values() for group in other.groups}
        assert not taken & {group.name.casefold() for group in leg.groups}, "two have one turn"
        self.at_work[leg.key] = leg


@asynccontextmanager
async def no_machine(leg):
    await anyio.lowlevel.checkpoint()
    raise InfrastructureError(doing="start a machine", reason="there is none")
    yield


def run_of(root, called, group=None):
    parsed = parse(".github/workflows/ci.yml", root).workflow
    assert parsed is not None
    linked = link(parsed, {FileReference(path=".github/workflows/called.yml"): CalledFile(text=called)})
    assert not linked.has_errors, linked.diagnostics
    told = Told()
    plan = LocalPlan(workflow=linked.workflow, contexts={}, source=None, lease=no_machine, group=group, parallel=4)
    return LocalRun(plan, told), told


async def finish(run):
    with anyio.fail_after(10):
        return await run.execute()


GROUP = st.one_of(
    st.none(),
    st.tuples(
        st.sampled_from(["x", "X", "y", "own"]), st.sampled_from(["", ", queue: max", ", cancel-in-progress: true"])
    ),
)


def concurrency(group):
    return "" if group is None else f"concurrency: {{ group: {group[0]}{group[1]} }}, "


@given(
    st.lists(st.tuples(st.booleans(), GROUP), min_size=1, max_size=6), GROUP, st.lists(GROUP, min_size=1, max_size=3)
)
@example([(True, ("x", "")), (True, ("y", ""))], None, [("x", ""), ("y", "")])
@example([(False, None), (False, ("x", "")), (False, ("x", ""))], None, [None])
@settings(max_examples=150, deadline=None)
def test_run_ends_and_every_leg_ends_once_whatever_groups_are_asked_for(jobs, of_called, below):
    lines = [
        f"  j{number}: {{ {concurrency(group)}"
        + ("uses: ./.github/workflows/called.yml }" if calls else "runs-on: x, steps: [{ run: x }] }")
        for number, (calls, group) in enumerate(jobs)
    ]
    inner = [
        f"  b{number}: {{ {concurrency(group)}runs-on: x, steps: [{{ run: x }}] }}"
        for number, group in enumerate(below)
    ]
    head = "" if of_called is None else f"concurrency: {{ group: {of_called[0]}{of_called[1]} }}\n"
    called = f"on: workflow_call\n{head}jobs:\n" + "\n".join(inner)
    run, told = run_of("on: push\njobs:\n" + "\n".join(lines), called, PlannedGroup(name="Own"))
    assert anyio.run(finish, run) in {Conclusion.FAILURE, Conclusion.CANCELLED}
    assert {f"j{number}" for number in range(len(jobs))} <= set(told.ended)
    assert told.at_work == {}


@pytest.mark.parametrize("calls", [True, False])
def test_run_cancelled_while_legs_wait_for_a_turn_ends_with_all_of_them_cancelled(calls):
    what = "uses: ./.github/workflows/called.yml" if calls else "runs-on: x, steps: [{ run: x }]"
    jobs = "\n".join(f"  j{number}: {{ concurrency: {{ group: x, queue: max }}, {what} }}" for number in range(3))
    run, told = run_of(f"on: push\njobs:\n{jobs}", "on: workflow_call\njobs:\n  b: { runs-on: x, steps: [{ run: x }] }")
    run.cancel()
    assert anyio.run(finish, run) is Conclusion.CANCELLED
    assert told.begun == []


def test_calls_that_multiply_are_bounded_as_on_a_server():
    numbers = ", ".join(map(str, range(30)))
    matrix = f"    strategy: {{fail-fast: false, matrix: {{n: [{numbers}]}}}}\n"
    root = f"on: push\njobs:\n  top:\n{matrix}    uses: ./.github/workflows/called.yml\n"
    jobs = "".join(f"  a{number}:\n    runs-on: x\n    steps: [{{run: x}}]\n{matrix}" for number in range(3))
    run, told = run_of(root, f"on: workflow_call\njobs:\n{jobs}")
    assert anyio.run(run.execute) is Conclusion.FAILURE
    assert set(told.rejected.values()) == {"the run would have 1050 jobs with this one's, expected at most 1024"}
    assert len(told.begun) == 33 * 30
