"""Which events trigger a workflow, and why."""

import time
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from terraphim_runner.model.event import Event, Repository
from terraphim_runner.workflow import match, parse
from terraphim_runner.workflow.tree import Workflow

JOBS = "\njobs: { a: { runs-on: x, steps: [run: echo] } }\n"
REPOSITORY = Repository(full_name="octo/demo", clone_url="https://example.test/octo/demo.git", default_branch="main")


def workflow(on: str) -> Workflow:
    result = parse("test.yml", f"on: {on}{JOBS}")
    assert result.workflow is not None, [item.headline() for item in result.diagnostics]
    return result.workflow


def event(name: str, ref: str = "refs/heads/main", *, payload: Mapping[str, Any] | None = None, **more: Any) -> Event:
    fields: dict[str, Any] = {"action": None, "sha": "a" * 40, **more}
    return Event(name=name, repository=REPOSITORY, ref=ref, payload=payload or {}, **fields)


def push(ref: str = "refs/heads/main", **more: Any) -> Event:
    return event("push", ref, **more)


def pull(action: str | None = "opened", base: str | None = "main", **more: Any) -> Event:
    return event("pull_request", "refs/pull/1/merge", action=action, base_ref=base, **more)


def message(text: str) -> dict[str, Any]:
    return {"head_commit": {"message": text}}


@pytest.mark.parametrize(
    ("on", "what", "reason"),
    [
        ("push", push(), "push to branch 'main'"),
        ("[pull_request, push]", push("refs/tags/v1"), "push to tag 'v1'"),
        ("{push: {branches: [main]}}", push(), "push to branch 'main' passes 'branches'"),
        ("{push: {branches-ignore: [dev]}}", push(), "push to branch 'main' passes 'branches-ignore'"),
        (
            "{push: {branches: [main], tags: ['v*']}}",
            push("refs/tags/v1"),
            "push to tag 'v1' passes 'tags'",
        ),
        ("{push: {branches: [main], tags: ['v*']}}", push(), "push to branch 'main' passes 'branches'"),
        (
            "{push: {paths: ['src/**']}}",
            push(changed_files=("README", "src/x")),
            "push to branch 'main' passes 'paths'",
        ),
        ("{push: {paths: ['src/**']}}", push("refs/tags/v1", changed_files=("a",)), "push to tag 'v1'"),
        (
            "{push: {paths: ['src/**']}}",
            push(),
            "push to branch 'main' ('paths' is not judged: the changed files are not known)",
        ),
        (
            "{push: {paths-ignore: ['docs/**']}}",
            push(changed_files=("docs/a", "src/b")),
            "push to branch 'main' passes 'paths-ignore'",
        ),
        ("pull_request", pull("synchronize"), "pull_request 'synchronize' into 'main'"),
        ("pull_request", pull(None), "pull_request into 'main'"),
        ("{pull_request: {types: [closed]}}", pull("closed"), "pull_request 'closed' into 'main'"),
        ("{pull_request: {branches: [main]}}", pull(), "pull_request 'opened' into 'main' passes 'branches'"),
        (
            "{pull_request: {branches: [main]}}",
            pull(base="refs/heads/main"),
            "pull_request 'opened' into 'main' passes 'branches'",
        ),
        ("issues", event("issues", action="labeled"), "issues 'labeled'"),
        ("workflow_dispatch", event("workflow_dispatch"), "workflow_dispatch"),
        ("repository_dispatch", event("repository_dispatch", action="deploy"), "repository_dispatch 'deploy'"),
        (
            "{repository_dispatch: {types: [deploy]}}",
            event("repository_dispatch", action="deploy"),
            "repository_dispatch 'deploy'",
        ),
        (
            "{schedule: [{cron: '0 5 * * *'}]}",
            event("schedule", payload={"schedule": "0 5 * * *"}),
            "schedule '0 5 * * *'",
        ),
        ("{schedule: [{cron: '0 5 * * *'}]}", event("schedule"), "schedule"),
        (
            "{workflow_run: {workflows: [build], branches: [main]}}",
            event(
                "workflow_run", action="completed", payload={"workflow_run": {"name": "build", "head_branch": "main"}}
            ),
            "workflow_run 'completed' passes 'workflows', 'branches'",
        ),
        (
            "{merge_group: {branches: [main]}}",
            event("merge_group", action="checks_requested", payload={"merge_group": {"base_ref": "refs/heads/main"}}),
            "merge_group 'checks_requested' passes 'branches'",
        ),
        (
            "{workflow_run: {workflows: [build], branches: [main]}}",
            event("workflow_run", action="completed"),
            (
                "workflow_run 'completed' ('workflows' is not judged: the event names no workflow; "
                "'branches' is not judged: the event names no branch)"
            ),
        ),
        (
            "{image_version: {names: ['My*'], versions: ['1.*']}}",
            event("image_version", action="ready", payload={"image_version": {"name": "MyNew"}}),
            "image_version 'ready' passes 'names' ('versions' is not judged: the event names no version)",
        ),
        (
            "pull_request_target",
            event("pull_request_target", action="opened", payload=message("[skip ci]")),
            "pull_request_target 'opened'",
        ),
        ("push", push(payload=message("skip ci, please")), "push to branch 'main'"),
        *(
            ("push", push(payload=message(text)), "push to branch 'main'")
            for text in (
                "",
                "skip-checks: true",
                "fix\n\nskip-checks: true",
                "fix\n\n\nskip-checks: true\nSigned-off-by: x",
                "fix\n\n\nskip-checks: maybe",
                "\n\n\n",
            )
        ),
        (
            "push",
            push(payload={"deleted": True, "ref": "refs/heads/topic"}),
            "push that deletes branch 'topic'",
        ),
        (
            "{push: {paths: ['src/**']}}",
            push(changed_files=("a",), payload={"commits": [{}] * 1001}),
            "push to branch 'main' ('paths' is not judged: the push has more than 1000 commits)",
        ),
        (
            "{push: {paths: ['last']}}",
            push(changed_files=(*(f"f{number}" for number in range(299)), "last")),
            "push to branch 'main' passes 'paths'",
        ),
        *(
            (
                f"{{workflow_run: {{workflows: ['{pattern}']}}}}",
                event("workflow_run", action="requested", payload={"workflow_run": {"name": "[CI] build+"}}),
                "workflow_run 'requested' passes 'workflows'",
            )
            for pattern in ("*", "[CI] build+", "*build*")
        ),
        (
            "{pull_request: {types: [closed]}}",
            pull("closed", payload={"pull_request": {"mergeable": False, "state": "closed"}}),
            "pull_request 'closed' into 'main'",
        ),
        (
            "pull_request_target",
            event("pull_request_target", action="opened", payload={"pull_request": {"mergeable": False}}),
            "pull_request_target 'opened'",
        ),
        ("release", event("release", action="published", payload={"release": {"draft": True}}), "release 'published'"),
        (
            "check_suite",
            event("check_suite", action="completed", payload={"check_suite": {"app": {"slug": "octo-ci"}}}),
            "check_suite 'completed'",
        ),
        ("push", push(payload={"head_commit": None}), "push to branch 'main'"),
        ("push", push(payload={"head_commit": {"message": 7}, "deleted": "no"}), "push to branch 'main'"),
    ],
)
def test_match_event_that_triggers_says_what_it_passed(on: str, what: Event, reason: str) -> None:
    found = match(workflow(on), what)
    assert (found.matched, found.reason) == (True, reason)


@pytest.mark.parametrize(
    ("on", "what", "reason"),
    [
        ("[push, fork]", pull(), "the event is 'pull_request', the workflow runs on 'push', 'fork'"),
        (
            "{push: {branches: [main, 'release/**']}}",
            push("refs/heads/dev"),
            "branch 'dev' matches none of 'branches': 'main', 'release/**'",
        ),
        (
            "{push: {branches: ['**', '!dev']}}",
            push("refs/heads/dev"),
            "branch 'dev' is not let in by 'branches': '**', '!dev', read in order",
        ),
        (
            "{push: {branches: ['!dev']}}",
            push(),
            "branch 'main' matches nothing: every pattern of 'branches' excludes ('!dev')",
        ),
        ("{push: {branches-ignore: ['m*']}}", push(), "branch 'main' is ignored by 'branches-ignore': 'm*'"),
        ("{push: {branches: [main]}}", push("refs/tags/main"), "'main' is a tag, 'push' filters branches only"),
        ("{push: {branches-ignore: [x]}}", push("refs/tags/v1"), "'v1' is a tag, 'push' filters branches only"),
        ("{push: {tags: ['v*']}}", push("refs/heads/v1"), "'v1' is a branch, 'push' filters tags only"),
        ("{push: {tags: ['v*']}}", push("refs/tags/x"), "tag 'x' matches none of 'tags': 'v*'"),
        ("{push: {tags-ignore: ['v*']}}", push("refs/tags/v1"), "tag 'v1' is ignored by 'tags-ignore': 'v*'"),
        (
            "{push: {paths: ['src/**', '!src/doc/**']}}",
            push(changed_files=("README", "src/doc/x")),
            "none of the 2 changed files ('README', 'src/doc/x') matches 'paths': 'src/**', '!src/doc/**'",
        ),
        (
            "{push: {paths: [src]}}",
            push(changed_files=("READ\nME",)),
            "the one changed file 'READ\\nME' matches none of 'paths': 'src'",
        ),
        (
            "{push: {paths-ignore: ['docs/**', '*.md']}}",
            push(changed_files=("docs/a", "README.md")),
            "'paths-ignore' ('docs/**', '*.md') covers all of the 2 changed files ('docs/a', 'README.md')",
        ),
        *(
            (
                f"{{push: {{{key}: ['docs/**']}}}}",
                push(changed_files=()),
                "no files changed, which no path filter lets in ('docs/**')",
            )
            for key in ("paths", "paths-ignore")
        ),
        (
            "{push: {paths: [last]}}",
            push(changed_files=(*(f"f{number}" for number in range(300)), "last")),
            "none of the first 300 of 301 changed files (the only ones that count) matches 'paths': 'last'",
        ),
        (
            "{push: {branches: [main]}}",
            push(payload={"deleted": True, "ref": "refs/heads/topic"}),
            "branch 'topic' matches none of 'branches': 'main'",
        ),
        (
            "{push: {paths-ignore: [x]}}",
            push(payload={"deleted": True, "ref": "refs/heads/topic"}),
            "no files changed, which no path filter lets in ('x')",
        ),
        (
            "{workflow_run: {workflows: ['[CI] build', 'test*']}}",
            event("workflow_run", action="completed", payload={"workflow_run": {"name": "build"}}),
            "workflow 'build' is none of 'workflows': '[CI] build', 'test*'",
        ),
        (
            "{image_version: {names: ['My*'], versions: ['1.*']}}",
            event("image_version", action="ready", payload={"image_version": {"name": "MyNew", "version": "2.0.0"}}),
            "image version '2.0.0' matches none of 'versions': '1.*'",
        ),
        (
            "pull_request",
            pull(payload={"pull_request": {"mergeable": False, "state": "open"}}),
            "the pull request has a merge conflict, so there is no merge commit to run on",
        ),
        (
            "release",
            event("release", action="created", payload={"release": {"draft": True}}),
            "the release is a draft, of which 'created' triggers no workflow",
        ),
        (
            "deployment_status",
            event("deployment_status", action="created", payload={"deployment_status": {"state": "inactive"}}),
            "the deployment's state is 'inactive', which triggers no workflow",
        ),
        (
            "check_run",
            event(
                "check_run",
                action="completed",
                payload={"check_run": {"check_suite": {"app": {"slug": "github-actions"}}}},
            ),
            "the checks are GitHub Actions' own, which trigger no workflow: it would be an endless circle",
        ),
        (
            "pull_request",
            pull("closed"),
            "the activity 'closed' is none of 'opened', 'synchronize', 'reopened', the types without 'types'",
        ),
        ("{pull_request: {types: [closed]}}", pull(), "the activity 'opened' is none of 'types': 'closed'"),
        ("{pull_request: {branches: [rel]}}", pull(), "base branch 'main' matches none of 'branches': 'rel'"),
        (
            "{pull_request: {paths: [src]}}",
            pull(changed_files=("a", "b")),
            "none of the 2 changed files ('a', 'b') matches 'paths': 'src'",
        ),
        ("issues", event("issues", action="invented"), "the activity 'invented' triggers no workflow"),
        (
            "{repository_dispatch: {types: [a]}}",
            event("repository_dispatch", action="b"),
            "the activity 'b' is none of 'types': 'a'",
        ),
        (
            "{schedule: [{cron: '0 5 * * *'}]}",
            event("schedule", payload={"schedule": "0 6 * * *"}),
            "the schedule '0 6 * * *' is none of '0 5 * * *'",
        ),
        (
            "{workflow_run: {workflows: [build]}}",
            event("workflow_run", action="completed", payload={"workflow_run": {"name": "test"}}),
            "workflow 'test' is none of 'workflows': 'build'",
        ),
        *(
            ("push", push(payload=message(f"fix\n\nbody {word} end")), f"the head commit's message contains '{word}'")
            for word in ("[skip ci]", "[ci skip]", "[no ci]", "[skip actions]", "[actions skip]")
        ),
        *(
            ("push", push(payload=message(text)), "the head commit's message ends with 'skip-checks: true'")
            for text in ("fix\n\n\nskip-checks: true", "fix\n\n\nSigned-off-by: x\nskip-checks: true\n\n")
        ),
        (
            "push",
            push(payload=message("fix\r\n\r\n\r\nSigned-off-by: x\r\nskip-checks:true\r\n")),
            "the head commit's message ends with 'skip-checks:true'",
        ),
    ],
)
def test_match_event_that_does_not_trigger_says_exactly_why(on: str, what: Event, reason: str) -> None:
    found = match(workflow(on), what)
    assert (found.matched, found.reason) == (False, reason)


def test_match_head_message_of_the_caller_comes_before_the_payload() -> None:
    skipping = match(workflow("pull_request"), pull(), head_message="wip [skip ci]")
    assert (skipping.matched, skipping.reason) == (False, "the head commit's message contains '[skip ci]'")
    assert match(workflow("push"), push(payload=message("[skip ci]")), head_message="go").matched


def test_match_head_message_of_the_event_keeps_a_pull_request_out() -> None:
    found = match(workflow("pull_request"), pull(head_message="wip\n\n\nskip-checks: true"))
    assert (found.matched, found.reason) == (False, "the head commit's message ends with 'skip-checks: true'")


def test_match_paths_that_would_keep_the_server_busy_are_not_judged() -> None:
    patterns = ", ".join(f"'**a{number}b'" for number in range(1000))
    long = tuple("a" * 4000 + str(number) for number in range(300))
    began = time.perf_counter()
    found = match(workflow(f"{{push: {{paths: [{patterns}]}}}}"), push(changed_files=long))
    assert time.perf_counter() - began < 2
    assert (found.matched, "too many patterns and paths" in found.reason) == (True, True)


def test_filter_of_too_many_patterns_is_refused() -> None:
    items = ", ".join(f"a{number}" for number in range(2001))
    result = parse("test.yml", f"on: {{push: {{branches: [{items}]}}}}{JOBS}")
    assert [item.rule for item in result.diagnostics if item.severity == "error"] == ["too-many-patterns"]


EVERYTHING = workflow(
    "{push: {branches: [a], paths: [b]}, pull_request: {branches: [a], paths-ignore: [b]}, release: , check_run: , "
    "check_suite: , deployment_status: , image_version: {names: [x], versions: [y]}, schedule: [{cron: '0 5 * * *'}], "
    "merge_group: {branches: [a]}, workflow_run: {workflows: ['[x', '*'], branches: [a]}, repository_dispatch: }"
)
KEYS = st.sampled_from(
    [
        *("ref", "deleted", "commits", "head_commit", "message", "pull_request", "mergeable", "state", "release"),
        *("draft", "check_run", "check_suite", "app", "slug", "deployment_status", "image_version", "name", "version"),
        *("schedule", "merge_group", "base_ref", "workflow_run", "head_branch"),
    ]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.sampled_from(["a", "created", "inactive"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=10,
)


@given(
    st.sampled_from([item.event for item in EVERYTHING.triggers]),
    st.none() | st.sampled_from(["created", "completed", "opened", "ready"]),
    st.dictionaries(KEYS, VALUES, max_size=5),
    st.none() | st.lists(st.text(max_size=4), max_size=3),
)
def test_match_any_payload_gives_a_verdict_with_a_reason(
    name: str, action: str | None, payload: dict[str, Any], files: list[str] | None
) -> None:
    changed = None if files is None else tuple(files)
    found = match(EVERYTHING, event(name, action=action, payload=payload, changed_files=changed))
    assert found.reason
