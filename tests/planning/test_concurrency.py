"""Whose turn it is, where those who have to leave take their time."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from terraphim_runner.planning.concurrency import MAX_WAITING, Arrangement, Claim, arrange
from terraphim_runner.planning.graph import PlannedGroup
from terraphim_runner.workflow.tree import Queue

GROUPS = [
    PlannedGroup(name="g"),
    PlannedGroup(name="g", cancel_in_progress=True),
    PlannedGroup(name="g", queue=Queue.MAX),
]


def carried_out(claims: list[Claim[int]], found: Arrangement[int]) -> list[Claim[int]]:
    gone = {who for who, _ in found.displaced}
    assert found.granted not in gone
    return [
        replace(claim, holds=claim.holds or claim.id == found.granted, displaced=claim.displaced or claim.id in gone)
        for claim in claims
    ]


@given(st.lists(st.sampled_from(GROUPS) | st.integers(0, 20), max_size=60))
def test_any_group_is_held_by_one_and_asking_again_changes_nothing(events):
    """A group is a request that comes; a number is one of those who hold or have to leave, and goes."""
    claims: list[Claim[int]] = []
    for number, event in enumerate(events):
        if isinstance(event, PlannedGroup):
            claims.append(Claim(id=number, group=event))
        elif going := [claim for claim in claims if claim.holds or claim.displaced]:
            claims.remove(going[event % len(going)])
        claims = carried_out(claims, arrange(claims))
        assert arrange(claims) == Arrangement()
        holding = [claim.id for claim in claims if claim.holds]
        waiting = [claim.id for claim in claims if not claim.holds and not claim.displaced]
        assert len(holding) <= 1
        assert holding or not waiting
        assert all(holding[0] < other for other in waiting)


@given(st.integers(1, MAX_WAITING + 10), st.lists(st.booleans(), max_size=40))
def test_queue_goes_on_in_the_order_in_which_they_came(count, ends):
    claims: list[Claim[int]] = []
    granted: list[int] = []
    coming = list(range(count))
    for is_end in [*ends, *([False] * count), *([True] * count)]:
        if is_end:
            claims = [claim for claim in claims if not claim.holds]
        elif coming:
            claims.append(Claim(id=coming.pop(0), group=GROUPS[2]))
        found = arrange(claims)
        claims = carried_out(claims, found)
        granted += [found.granted] if found.granted is not None else []
    displaced = [claim.id for claim in claims if claim.displaced]
    assert granted == sorted(granted)
    assert sorted([*granted, *displaced]) == list(range(count))
    assert not displaced or count > MAX_WAITING
