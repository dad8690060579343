"""Concurrency groups: their evaluation, and whose turn it is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from terraphim_runner.planning.concurrency import MAX_WAITING, Claim, arrange
from terraphim_runner.planning.graph import PlannedGroup
from terraphim_runner.planning.groups import run_group
from terraphim_runner.workflow.tree import Queue

JOBS = "jobs: {x: {runs-on: x, steps: [{run: 'true'}]}}\n"
CONTEXTS = {"github": {"ref": "refs/heads/main", "event": {}}, "vars": {"CANCEL": "true"}, "inputs": {}}


@pytest.mark.parametrize(
    ("written", "group"),
    [
        ("prod", PlannedGroup(name="prod")),
        ("ci-${{ github.ref }}", PlannedGroup(name="ci-refs/heads/main")),
        ("{group: 1}", PlannedGroup(name="1")),
        ("{group: a, cancel-in-progress: true}", PlannedGroup(name="a", cancel_in_progress=True)),
        (
            "{group: a, cancel-in-progress: '${{ fromJSON(vars.CANCEL) }}'}",
            PlannedGroup(name="a", cancel_in_progress=True),
        ),
        ("{group: a, queue: max}", PlannedGroup(name="a", queue=Queue.MAX)),
        (
            """'${{ fromJSON(''{"group": "g", "cancel-in-progress": true}'') }}'""",
            PlannedGroup(name="g", cancel_in_progress=True),
        ),
    ],
)
def test_run_group_is_evaluated(workflow, written, group):
    assert run_group(workflow(f"on: push\nconcurrency: {written}\n{JOBS}"), CONTEXTS) == group


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("{group: '${{ github.head_ref }}'}", "'concurrency' has an empty string as its group; expected a name"),
        ("\"${{ fromJSON('[]') }}\"", "'concurrency' has a value of kind array as its group; expected a name"),
        (
            "{group: a, cancel-in-progress: '${{ vars.CANCEL }}'}",
            "'concurrency' has 'cancel-in-progress' of kind string; expected true or false",
        ),
        (
            "{group: a, queue: max, cancel-in-progress: '${{ fromJSON(vars.CANCEL) }}'}",
            "'concurrency' has 'queue: max' and 'cancel-in-progress: true'; expected one of them",
        ),
        (
            """'${{ fromJSON(''{"group": "g", "que": 1}'') }}'""",
            "'concurrency' evaluates to an object with 'que'; expected 'group', 'cancel-in-progress', 'queue'",
        ),
    ],
)
def test_group_that_is_none_is_told(workflow, written, message):
    found = run_group(workflow(f"on: push\nconcurrency: {written}\n{JOBS}"), CONTEXTS)
    assert isinstance(found, tuple)
    assert [item.message for item in found] == [message]


def test_workflow_without_concurrency_has_no_group(workflow):
    assert run_group(workflow(f"on: push\n{JOBS}"), CONTEXTS) is None


def test_job_and_called_workflow_wait_in_both_their_groups(linked, drive_of):
    caller = "on: push\njobs: {c: {uses: ./.github/workflows/w.yml, concurrency: B}}\n"
    run = drive_of(linked(caller, w=f"on: workflow_call\nconcurrency: a\n{JOBS}"))
    run.settle()
    assert [group.name for group in run.leg("c").leg.groups] == ["a", "B"]


def test_leg_names_the_group_of_its_own_matrix_values(drive):
    text = "on: push\njobs: {x: {runs-on: x, concurrency: 'g-${{ matrix.n }}', steps: [{run: 'true'}]}}\n"
    run = drive(text.replace("runs-on", "strategy: {matrix: {n: [1, 2]}}, runs-on"))
    run.settle()
    assert [leg.leg.groups[0].name for leg in run.jobs["x"].legs] == ["g-1", "g-2"]


def claim(number: int, *, cancel: bool = False, queue: Queue = Queue.SINGLE, holds: bool = False) -> Claim[int]:
    return Claim(id=number, group=PlannedGroup(name="g", cancel_in_progress=cancel, queue=queue), holds=holds)


def test_first_in_a_free_group_is_granted():
    assert arrange([claim(1)]).granted == 1


def test_first_of_several_that_came_to_a_free_group_is_granted_and_the_last_waits():
    found = arrange([claim(1), claim(2), claim(3)])
    assert found.granted == 1
    assert [who for who, _ in found.displaced] == [2]


def test_request_that_cancels_takes_a_free_group_from_all_that_came_before():
    found = arrange([claim(1), claim(2), claim(3, cancel=True)])
    assert found.granted == 3
    assert [who for who, _ in found.displaced] == [1, 2]


def test_newer_request_takes_the_place_of_the_one_that_waits():
    found = arrange([claim(1, holds=True), claim(2), claim(3)])
    assert found.granted is None
    assert [who for who, _ in found.displaced] == [2]


def test_newer_request_that_cancels_displaces_the_holder_and_waits_for_it():
    found = arrange([claim(1, holds=True), claim(2, cancel=True)])
    assert found.granted is None
    assert [who for who, _ in found.displaced] == [1]


def test_queue_lets_all_wait_in_order_up_to_its_bound():
    waiting = [claim(number, queue=Queue.MAX) for number in range(2, MAX_WAITING + 3)]
    found = arrange([claim(1, holds=True), *waiting])
    assert found.granted is None
    assert [who for who, _ in found.displaced] == [MAX_WAITING + 2]
    assert arrange(waiting[:3]).granted == 2


@given(
    st.lists(st.tuples(st.booleans(), st.sampled_from(Queue)), max_size=12),
    st.lists(st.integers(0, 3), max_size=40),
)
def test_any_group_has_one_holder_and_everybody_leaves(requests, turns):
    """Requests come and holders go in any order; what is decided is carried out and decided again."""
    claims: list[Claim[int]] = []
    ended: list[int] = []
    coming = list(enumerate(requests))

    def settle() -> None:
        for _ in range(2):
            found = arrange(claims)
            gone = {who for who, _ in found.displaced}
            assert found.granted not in gone
            for at, item in enumerate(claims):
                if item.id == found.granted:
                    claims[at] = Claim(id=item.id, group=item.group, holds=True)
                elif item.id in gone and item.holds:
                    claims[at] = Claim(id=item.id, group=item.group, holds=True, displaced=True)
            leaving = [item for item in claims if item.id in gone and not item.holds]
            ended.extend(item.id for item in leaving)
            claims[:] = [item for item in claims if item not in leaving]
        assert arrange(claims) == arrange([])
        assert sum(item.holds for item in claims) == (1 if claims else 0)

    for turn in [*turns, *([0, 3] * len(requests)), *([3] * len(requests))]:
        if turn == 0 and coming:
            number, (cancel, queue) = coming.pop(0)
            claims.append(claim(number, cancel=cancel and queue is Queue.SINGLE, queue=queue))
        elif turn == 3 and claims:
            holder = next(item for item in claims if item.holds)
            ended.append(holder.id)
            claims.remove(holder)
        settle()
    assert sorted(ended) == list(range(len(requests)))


def test_queue_that_is_an_expression_is_evaluated(workflow):
    text = f"on: push\nconcurrency: {{group: a, queue: '${{{{ vars.Q }}}}'}}\n{JOBS}"
    assert run_group(workflow(text), {**CONTEXTS, "vars": {"Q": "max"}}) == PlannedGroup(name="a", queue=Queue.MAX)
    found = run_group(workflow(text), {**CONTEXTS, "vars": {"Q": "many"}})
    assert isinstance(found, tuple)
    assert found[0].message == "'concurrency' has the queue 'many'; expected 'single' or 'max'"
