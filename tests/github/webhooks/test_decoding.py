"""Payloads, good and hostile."""

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from terraphim_runner.github.webhooks import Ignored, PayloadError, as_pull_request_target, decode, from_fork
from terraphim_runner.model.event import Delivery, Event
from terraphim_runner.model.ids import DeliveryId

SHA, OLD, BASE, MERGE, ZERO = "a" * 40, "b" * 40, "c" * 40, "d" * 40, "0" * 40
REPOSITORY = {"full_name": "octo/hello", "clone_url": "https://github.com/octo/hello.git", "default_branch": "trunk"}
PUSH = {"ref": "refs/heads/main", "before": OLD, "after": SHA, "repository": REPOSITORY, "sender": {"login": "ada"}}
PULL = {
    "action": "opened",
    "repository": REPOSITORY,
    "pull_request": {
        "number": 7,
        "merge_commit_sha": MERGE,
        "head": {"ref": "topic", "sha": SHA, "repo": {"full_name": "octo/hello"}},
        "base": {"ref": "main", "sha": BASE},
    },
}


def delivered(event: str, payload: object) -> Event | Ignored:
    body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return decode(Delivery(id=DeliveryId("1"), event=event, body=body, received_at=datetime.now(UTC)))


def event_of(name: str, payload: object) -> Event:
    found = delivered(name, payload)
    assert isinstance(found, Event)
    return found


def changed(payload: dict, path: str, value: object) -> dict:
    copy = json.loads(json.dumps(payload))
    *parents, last = path.split(".")
    place = copy
    for part in parents:
        place = place[part]
    place[last] = value
    return copy


def test_decode_push_to_a_branch_is_for_its_head():
    event = event_of("push", {**PUSH, "head_commit": {"id": SHA}, "something": "new"})
    assert (event.name, event.ref, event.sha, event.before) == ("push", "refs/heads/main", SHA, OLD)
    assert (event.actor, event.repository.full_name, event.repository.default_branch) == ("ada", "octo/hello", "trunk")
    assert event.payload["something"] == "new"
    assert (event.base_ref, event.head_ref, event.action, event.changed_files) == (None, None, None, None)


def test_decode_push_of_an_annotated_tag_is_for_its_commit():
    event = event_of(
        "push", {**PUSH, "ref": "refs/tags/v1", "before": ZERO, "created": True, "head_commit": {"id": BASE}}
    )
    assert (event.ref, event.sha, event.before) == ("refs/tags/v1", BASE, ZERO)


def test_decode_push_of_another_ref_is_ignored():
    assert delivered("push", {**PUSH, "ref": "refs/notes/x"}) == Ignored(
        reason="the pushed ref 'refs/notes/x' is neither a branch nor a tag", action=None
    )


@pytest.mark.parametrize("change", [{"deleted": True, "after": ZERO, "head_commit": None}, {"after": ZERO}])
@pytest.mark.parametrize("ref", ["refs/heads/topic", "refs/tags/v1"])
def test_decode_push_that_deletes_is_for_the_default_branch(ref, change):
    event = event_of("push", {**PUSH, "ref": ref, **change})
    assert (event.ref, event.sha, event.before) == ("refs/heads/trunk", "", None)
    assert (event.payload["ref"], event.payload["deleted"]) == (ref, True)


def test_decode_push_that_asks_to_be_skipped_is_ignored():
    found = delivered("push", {**PUSH, "head_commit": {"id": SHA, "message": "wip [skip ci]"}})
    assert found == Ignored(reason="the head commit's message contains '[skip ci]'", action=None)


def test_decode_push_with_only_what_is_needed_is_accepted():
    event = event_of("push", {"ref": "refs/heads/main", "after": SHA, "repository": {"full_name": "octo/hello"}})
    assert (event.repository.clone_url, event.before, event.actor) == ("", None, "")


def test_decode_pull_request_is_for_the_merge_commit():
    event = event_of("pull_request", PULL)
    assert (event.ref, event.sha, event.before) == ("refs/pull/7/merge", MERGE, BASE)
    assert (event.base_ref, event.head_ref, event.action) == ("main", "topic", "opened")
    assert not from_fork(event)


def test_decode_pull_request_without_a_merge_commit_is_for_the_head():
    assert event_of("pull_request", changed(PULL, "pull_request.merge_commit_sha", None)).sha == SHA


@pytest.mark.parametrize(("merged", "ref"), [(True, "refs/heads/main"), (False, "refs/pull/7/merge")])
def test_decode_pull_request_that_was_merged_is_for_the_branch_it_went_into(merged, ref):
    event = event_of("pull_request", changed({**PULL, "action": "closed"}, "pull_request.merged", merged))
    assert (event.ref, event.sha) == (ref, MERGE)


def test_decode_pull_request_in_conflict_still_means_pull_request_target():
    event = event_of("pull_request", changed(PULL, "pull_request.mergeable", False))
    assert as_pull_request_target(event).name == "pull_request_target"


@pytest.mark.parametrize("name", ["pull_request_review", "pull_request_review_comment"])
def test_decode_review_of_a_pull_request_is_for_its_merge_commit(name):
    action = "submitted" if name == "pull_request_review" else "created"
    assert event_of(name, {**PULL, "action": action}).ref == "refs/pull/7/merge"


@pytest.mark.parametrize("repo", [None, {"full_name": "eve/hello"}])
def test_decode_pull_request_of_a_fork_is_told(repo):
    assert from_fork(event_of("pull_request", changed(PULL, "pull_request.head.repo", repo)))


def test_decode_pull_request_target_never_runs_the_pull_requests_code():
    direct = event_of("pull_request_target", PULL)
    derived = as_pull_request_target(event_of("pull_request", PULL))
    assert direct == derived
    assert (direct.name, direct.ref, direct.sha) == ("pull_request_target", "refs/heads/trunk", "")
    assert (direct.base_ref, direct.head_ref) == ("main", "topic")


@pytest.mark.parametrize("ref", ["refs/heads/main", "main"])
def test_decode_workflow_dispatch_is_for_the_tip_of_its_ref(ref):
    event = event_of("workflow_dispatch", {"ref": ref, "inputs": {"a": "b"}, "repository": REPOSITORY})
    assert (event.ref, event.sha) == ("refs/heads/main", "")


def test_decode_ping_is_ignored():
    assert delivered("ping", {"zen": "Keep it logically awesome."}) == Ignored(reason="a ping", action=None)


def test_decode_event_of_no_repository_is_ignored():
    assert delivered("organization", {"action": "member_added"}) == Ignored(
        reason="the event 'organization' is not of a repository", action="member_added"
    )


@pytest.mark.parametrize("name", ["star", "pull_request_review_thread", "pull_request_comment", "installation"])
def test_decode_event_that_no_workflow_can_ask_for_is_ignored(name):
    found = delivered(name, {"action": "created", "repository": REPOSITORY})
    assert found == Ignored(reason=f"the event {name!r} triggers no workflow", action="created")


@pytest.mark.parametrize(
    ("name", "action"), [("merge_group", "destroyed"), ("check_suite", "requested"), ("issues", "invented")]
)
def test_decode_activity_that_no_workflow_can_ask_for_is_ignored(name, action):
    found = delivered(name, {"action": action, "repository": REPOSITORY})
    assert found == Ignored(reason=f"the activity {action!r} of the event {name!r} triggers no workflow", action=action)


# Documentation, "Events that trigger workflows": "last commit on default branch".
ON_DEFAULT_BRANCH = (
    *("branch_protection_rule", "check_run", "check_suite", "delete", "discussion", "discussion_comment", "fork"),
    *("gollum", "image_version", "issue_comment", "issues", "label", "milestone", "page_build", "project"),
    *("project_card", "project_column", "public", "repository_dispatch", "schedule", "status", "watch"),
    "workflow_run",
)


@pytest.mark.parametrize("name", ON_DEFAULT_BRANCH)
def test_decode_event_of_no_commit_is_for_the_default_branch(name):
    event = event_of(name, {"repository": REPOSITORY, "ref": "topic"})
    assert (event.name, event.ref, event.sha) == (name, "refs/heads/trunk", "")


@pytest.mark.parametrize("name", ["deployment", "deployment_status"])
@pytest.mark.parametrize(("ref", "full"), [("topic", "refs/heads/topic"), ("refs/tags/v1", "refs/tags/v1"), (SHA, "")])
def test_decode_deployment_is_for_what_is_deployed(name, ref, full):
    event = event_of(name, {"action": "created", "deployment": {"ref": ref, "sha": SHA}, "repository": REPOSITORY})
    assert (event.ref, event.sha) == (full, SHA)


def test_decode_inactive_deployment_status_is_ignored():
    payload = {"deployment": {"ref": "main", "sha": SHA}, "deployment_status": {"state": "inactive"}}
    assert isinstance(delivered("deployment_status", {**payload, "repository": REPOSITORY}), Ignored)


@pytest.mark.parametrize(
    ("version", "ref", "sha"),
    [
        ({"target_commitish": "topic", "target_oid": SHA}, "refs/heads/topic", SHA),
        ({"target_commitish": "topic"}, "refs/heads/topic", ""),
        ({}, "refs/heads/trunk", ""),
        (None, "refs/heads/trunk", ""),
    ],
)
def test_decode_package_is_for_the_commit_that_it_was_made_of(version, ref, sha):
    package = {"action": "published", "registry_package": {"package_version": version}, "repository": REPOSITORY}
    event = event_of("registry_package", package)
    assert (event.ref, event.sha) == (ref, sha)


def test_decode_created_branches_and_tags_are_for_themselves():
    create = {"ref": "v1", "ref_type": "tag", "repository": REPOSITORY}
    assert event_of("create", create).ref == "refs/tags/v1"
    assert event_of("create", {**create, "ref_type": "branch"}).ref == "refs/heads/v1"


def test_decode_release_is_for_its_tag():
    event = event_of("release", {"release": {"tag_name": "v1"}, "repository": REPOSITORY})
    assert (event.ref, event.sha) == ("refs/tags/v1", "")


@pytest.mark.parametrize(("action", "runs"), [("created", False), ("published", True)])
def test_decode_draft_of_a_release_is_ignored_until_it_is_published(action, runs):
    payload = {"action": action, "release": {"tag_name": "v1", "draft": True}, "repository": REPOSITORY}
    assert isinstance(delivered("release", payload), Event) is runs


def test_decode_checks_of_github_actions_are_ignored():
    check = {"check_suite": {"app": {"slug": "github-actions"}}}
    assert isinstance(delivered("check_run", {"check_run": check, "repository": REPOSITORY}), Ignored)


def test_decode_merge_group_is_for_its_head():
    group = {
        "head_sha": SHA,
        "head_ref": "refs/heads/gh-readonly-queue/main/pr-1",
        "base_sha": BASE,
        "base_ref": "refs/heads/main",
    }
    event = event_of("merge_group", {"merge_group": group, "repository": REPOSITORY})
    assert (event.ref, event.sha, event.before) == (group["head_ref"], SHA, BASE)


@pytest.mark.parametrize(
    ("path", "value", "told"),
    [
        ("ref", "main", "ref: Value error, found the ref 'main'"),
        ("ref", "refs/heads/../x", "no '..'"),
        ("ref", 7, "ref: Input should be a valid string"),
        ("ref", "refs/heads/a\nb", "control characters"),
        ("after", "HEAD", "after: Value error"),
        ("before", "-x", "before: Value error"),
        ("deleted", "yes", "deleted: Input should be a valid boolean"),
        ("repository", "octo/hello", "repository: Input should be"),
        ("repository", None, "repository: Input should be"),
        ("repository.full_name", "octo/../..", "repository.full_name: Value error"),
        ("repository.full_name", "../../etc/passwd", "repository.full_name: Value error"),
        ("repository.clone_url", "ext::sh -c id", "repository.clone_url: Value error"),
        ("repository.default_branch", "-b", "repository.default_branch: Value error"),
        ("sender.login", "a\nb", "sender.login"),
        ("action", ["x"], "action: expected printable text"),
        ("action", "a\x1b[2J", "action: expected printable text"),
    ],
)
def test_decode_push_with_a_faulty_field_names_it(path, value, told):
    with pytest.raises(PayloadError) as caught:
        delivered("push", changed(PUSH, path, value))
    assert told in caught.value.reason


@pytest.mark.parametrize(
    ("path", "value"),
    [("pull_request.number", 0), ("pull_request.number", "7"), ("pull_request.head.ref", "--x"), ("pull_request", [])],
)
def test_decode_pull_request_with_a_faulty_field_is_refused(path, value):
    with pytest.raises(PayloadError):
        delivered("pull_request", changed(PULL, path, value))


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"\xff", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b'{"a": NaN}', "not JSON"),
        (b"payload=%7B%7D", "application/json"),
        (b"[]", "found a JSON list"),
        (b"null", "found a JSON NoneType"),
    ],
)
def test_decode_body_that_is_no_object_is_refused(body, told):
    with pytest.raises(PayloadError) as caught:
        delivered("push", body)
    assert told in caught.value.reason


@pytest.mark.parametrize("name", ["", "Push", "push\n", "../push", "x" * 65])
def test_decode_faulty_event_name_is_refused(name):
    with pytest.raises(PayloadError):
        delivered(name, PUSH)


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)
EVENTS = st.sampled_from(
    ["push", "pull_request", "pull_request_target", "workflow_dispatch", "create", "release", "issues"]
)
PATHS = st.sampled_from(
    ["ref", "after", "action", "repository", "sender", "pull_request", "release", "head_commit", "ref_type"]
)


@given(EVENTS, st.binary(max_size=60))
def test_decode_any_bytes_give_a_payload_error_at_worst(event, body):
    try:
        delivered(event, body)
    except PayloadError:
        return


@given(
    EVENTS,
    st.dictionaries(PATHS, ANY_JSON, max_size=5),
    st.sampled_from(["full_name", "clone_url", "default_branch"]),
    ANY_JSON,
)
def test_decode_any_shape_gives_checked_names_or_a_payload_error(event, shape, key, value):
    payload = {**PUSH, **PULL, "repository": {**REPOSITORY, key: value}, **shape}
    try:
        found = delivered(event, payload)
    except PayloadError:
        return
    if isinstance(found, Event):
        assert found.ref.startswith("refs/")
        assert found.repository.full_name == "octo/hello"
        assert found.repository.clone_url in {REPOSITORY["clone_url"], ""}
        assert found.actor in {
            "ada",
            "",
            *([shape["sender"].get("login")] if isinstance(shape.get("sender"), dict) else []),
        }
