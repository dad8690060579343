"""The payload's commit, held against the repository."""

from dataclasses import replace

import pytest

from terraphim_runner.github.contents import changes, settle
from terraphim_runner.model.event import Event
from terraphim_runner.ports import CheckoutError

pytestmark = pytest.mark.anyio
MISSING = "d" * 40


@pytest.fixture
def pull(origin):
    """Give a pull request's event whose merge commit is current, and the commits by name."""
    base = origin.git("rev-parse", "HEAD")
    origin.git("checkout", "-q", "-b", "topic")
    origin.write("topic", "1")
    head = origin.commit()
    origin.git("update-ref", "refs/pull/7/head", head)
    origin.git("checkout", "-q", "--detach", "main")
    origin.git("merge", "-q", "--no-ff", "-m", "merge", "topic")
    merge = origin.git("rev-parse", "HEAD")
    origin.git("update-ref", "refs/pull/7/merge", merge)
    origin.git("checkout", "-q", "main")
    origin.git("branch", "-D", "topic")
    event = Event(
        name="pull_request",
        action="opened",
        repository=origin.repository,
        ref="refs/pull/7/merge",
        sha=merge,
        before=base,
        payload={"pull_request": {"number": 7, "head": {"sha": head}, "merge_commit_sha": merge}},
    )
    return event, head, merge


async def test_settle_empty_commit_is_the_refs_tip(origin, mirror):
    event = Event(name="schedule", action=None, repository=origin.repository, ref="refs/heads/main", sha="")
    assert (await settle(mirror, event)).sha == origin.git("rev-parse", "HEAD")


async def test_settle_push_of_a_missing_commit_fails_closed(origin, mirror):
    event = Event(name="push", action=None, repository=origin.repository, ref="refs/heads/main", sha=MISSING)
    with pytest.raises(CheckoutError):
        await settle(mirror, event)


async def test_settle_pull_request_with_a_current_merge_commit_keeps_it(mirror, pull):
    event, _, merge = pull
    assert (await settle(mirror, event)).sha == merge
    assert await changes(mirror, event) == ("topic",)


async def test_settle_pull_request_with_a_stale_merge_commit_takes_the_head(origin, mirror, pull):
    event, head, merge = pull
    origin.git("checkout", "-q", "--detach", head)
    newer = origin.commit("pushed again")
    origin.git("update-ref", "refs/pull/7/head", newer)
    stale = replace(event, payload={"pull_request": {"head": {"sha": newer}, "merge_commit_sha": merge}})
    assert (await settle(mirror, stale)).sha == newer


async def test_settle_pull_request_without_its_merge_commit_takes_the_head(mirror, pull):
    event, head, _ = pull
    assert (await settle(mirror, replace(event, sha=MISSING))).sha == head


async def test_settle_merged_pull_request_keeps_its_squashed_commit(origin, mirror, pull):
    event, head, _ = pull
    squashed = origin.commit("squashed")
    merged = replace(event, sha=squashed, payload={"pull_request": {"head": {"sha": head}, "merged": True}})
    assert (await settle(mirror, merged)).sha == squashed


async def test_settle_pull_request_brings_the_heads_message(origin, mirror, pull):
    event, head, _ = pull
    origin.git("checkout", "-q", "--detach", head)
    skipping = origin.commit("wip [skip ci]")
    origin.git("update-ref", "refs/pull/7/head", skipping)
    settled = await settle(mirror, replace(event, payload={"pull_request": {"head": {"sha": skipping}}}))
    assert settled.head_message is not None
    assert settled.head_message.strip() == "wip [skip ci]"
    as_target = replace(event, name="pull_request_target", ref="refs/heads/main", sha="")
    assert (await settle(mirror, as_target)).head_message is None


async def test_changes_of_a_new_branch_are_those_since_before_its_first_commit(origin, mirror):
    origin.git("checkout", "-q", "-b", "topic")
    origin.write("one", "1")
    first = origin.commit("one")
    origin.write("two", "2")
    last = origin.commit("two")
    event = Event(
        name="push",
        action=None,
        repository=origin.repository,
        ref="refs/heads/topic",
        sha=last,
        before="0" * 40,
        payload={"commits": [{"id": first}, {"id": last}]},
    )
    await settle(mirror, event)
    assert await changes(mirror, event) == ("one", "two")
    assert await changes(mirror, replace(event, payload={"commits": []})) == ()


@pytest.mark.parametrize("commits", [None, "x", [None], [{"id": "--x"}], [{"id": MISSING}]])
async def test_changes_of_a_new_branch_with_a_strange_payload_are_unknown(origin, mirror, commits):
    event = Event(
        name="push",
        action=None,
        repository=origin.repository,
        ref="refs/heads/main",
        sha=origin.git("rev-parse", "HEAD"),
        before="0" * 40,
        payload={"commits": commits},
    )
    await settle(mirror, event)
    assert await changes(mirror, event) is None
