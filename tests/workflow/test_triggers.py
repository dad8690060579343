"""Which events trigger a workflow, and why."""

from collections.abc import Mapping
from typing import Any

import pytest

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
            "push to tag 'v1' passes 'branches', 'tags'",
        ),
        ("{push: {branches: [main], tags: ['v*']}}", push(), "push to branch 'main' passes 'branches', 'tags'"),
        (
            "{push: {paths: ['src/**']}}",
            push(changed_files=("README", "src/x")),
            "push to branch 'main' passes 'paths'",
        ),
        ("{push: {paths: ['src/**']}}", push("refs/tags/v1", changed_files=("a",)), "push to tag 'v1' passes 'paths'"),
        (
            "{push: {paths: ['src/**']}}",
            push(),
            "push to branch 'main' passes 'paths' (the changed files are not known)",
        ),
        (
            "{push: {paths-ignore: ['docs/**']}}",
            push(changed_files=("docs/a", "src/b")),
            "push to branch 'main' passes 'paths-ignore'",
        ),
        (
            "{push: {paths-ignore: ['docs/**']}}",
            push(changed_files=()),
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
        ("{schedule: [{cron: '0 5 * * *'}]}", event("schedule", payload={"schedule": "0 5 * * *"}), "schedule"),
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
            "pull_request_target",
            event("pull_request_target", action="opened", payload=message("[skip ci]")),
            "pull_request_target 'opened'",
        ),
        ("push", push(payload=message("skip ci, please")), "push to branch 'main'"),
        ("push", push(payload=message("skip-checks: true")), "push to branch 'main'"),
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
            "branch 'dev' matches none of 'main', 'release/**'",
        ),
        (
            "{push: {branches: ['**', '!dev']}}",
            push("refs/heads/dev"),
            "branch 'dev' is not let in by '**', '!dev', read in order",
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
        ("{push: {tags: ['v*']}}", push("refs/tags/x"), "tag 'x' matches none of 'v*'"),
        ("{push: {tags-ignore: ['v*']}}", push("refs/tags/v1"), "tag 'v1' is ignored by 'tags-ignore': 'v*'"),
        (
            "{push: {paths: ['src/**', '!src/doc/**']}}",
            push(changed_files=("README", "src/doc/x")),
            "none of the 2 changed files matches 'paths': 'src/**', '!src/doc/**'",
        ),
        (
            "{push: {paths: [src]}}",
            push(changed_files=("READ\nME",)),
            "none of the one changed file 'READ\\nME' matches 'paths': 'src'",
        ),
        (
            "{push: {paths-ignore: ['docs/**', '*.md']}}",
            push(changed_files=("docs/a", "README.md")),
            "'paths-ignore' ('docs/**', '*.md') leaves none of the 2 changed files",
        ),
        ("push", push(sha="0" * 40), "the push deletes branch 'main'"),
        ("push", push("refs/tags/v1", payload={"deleted": True}), "the push deletes tag 'v1'"),
        (
            "pull_request",
            pull("closed"),
            "the activity 'closed' is none of 'opened', 'synchronize', 'reopened', the types without 'types'",
        ),
        ("{pull_request: {types: [closed]}}", pull(), "the activity 'opened' is none of 'closed'"),
        ("{pull_request: {branches: [rel]}}", pull(), "base branch 'main' matches none of 'rel'"),
        (
            "{pull_request: {paths: [src]}}",
            pull(changed_files=("a", "b")),
            "none of the 2 changed files matches 'paths': 'src'",
        ),
        ("issues", event("issues", action="invented"), "the activity 'invented' triggers no workflow"),
        (
            "{repository_dispatch: {types: [a]}}",
            event("repository_dispatch", action="b"),
            "the activity 'b' is none of 'a'",
        ),
        (
            "{schedule: [{cron: '0 5 * * *'}]}",
            event("schedule", payload={"schedule": "0 6 * * *"}),
            "the schedule '0 6 * * *' is none of '0 5 * * *'",
        ),
        (
            "{workflow_run: {workflows: [build]}}",
            event("workflow_run", action="completed", payload={"workflow_run": {"name": "test"}}),
            "workflow 'test' is none of 'build'",
        ),
        *(
            ("push", push(payload=message(f"fix\n\nbody {word} end")), f"the head commit's message contains '{word}'")
            for word in ("[skip ci]", "[ci skip]", "[no ci]", "[skip actions]", "[actions skip]")
        ),
        *(
            ("push", push(payload=message(text)), "the head commit's message ends with 'skip-checks: true'")
            for text in ("fix\n\n\nskip-checks: true", "fix\r\n\r\nSigned-off-by: x\r\nskip-checks:true\r\n")
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
