"""What runs are called."""

from collections.abc import Callable
from typing import Any

import pytest

from terraphim_runner.planning import run_name
from terraphim_runner.planning.run_name import MAX_RUN_NAME

JOBS = "on: push\njobs: {a: {runs-on: x, steps: [{run: 'true'}]}}\n"


def contexts(event_name: str, event: Any = None) -> dict[str, Any]:
    github = {"event_name": event_name, "actor": "mona", "event": event if event is not None else {}}
    return {"github": github, "inputs": {"target": "prod"}, "vars": {"TEAM": "red"}}


def test_run_name_is_evaluated_with_github_inputs_and_vars(workflow: Callable):
    text = "run-name: Deploy to ${{ inputs.target }} by @${{ github.actor }} of ${{ vars.TEAM }}\n" + JOBS

    assert run_name(workflow(text), contexts("push")) == "Deploy to prod by @mona of red"


PULL = {"pull_request": {"title": "Add a thing"}}
COMMIT = {"head_commit": {"message": "fix: the bug\n\nlong story"}}


@pytest.mark.parametrize(
    ("event_name", "event", "name"),
    [
        ("push", COMMIT, "fix: the bug"),
        ("push", {"head_commit": None}, "CI"),
        ("merge_group", {"merge_group": COMMIT}, "fix: the bug"),
        ("pull_request", PULL, "Add a thing"),
        ("pull_request_target", PULL, "Add a thing"),
        ("pull_request_review", PULL, "Add a thing"),
        ("issue_comment", {"issue": {"title": "It is broken"}}, "It is broken"),
        ("schedule", COMMIT, "CI"),
        ("workflow_dispatch", {}, "CI"),
        ("push", {"head_commit": {"message": 7}}, "CI"),
        ("pull_request", [], "CI"),
    ],
)
@pytest.mark.parametrize("key", ["", "run-name: '  '\n", "run-name: ${{ vars.MISSING }}\n"])
def test_run_name_without_one_is_what_the_event_is_called(
    workflow: Callable, key: str, event_name: str, event: Any, name: str
):
    assert run_name(workflow(f"name: CI\n{key}{JOBS}"), contexts(event_name, event)) == name


def test_run_name_of_a_workflow_without_a_name_is_its_path(workflow: Callable):
    assert run_name(workflow(JOBS), {}) == ".github/workflows/ci.yml"


def test_run_name_that_does_not_evaluate_is_the_events(workflow: Callable):
    text = "run-name: ${{ fromJSON('{') }}\n" + JOBS

    assert run_name(workflow(text), contexts("push", COMMIT)) == "fix: the bug"


def test_run_name_is_one_line_of_a_bounded_length(workflow: Callable):
    named = workflow('run-name: "a\\n  b ${{ github.event.x }}"\n' + JOBS)

    assert run_name(named, contexts("push")) == "a b"
    assert len(run_name(named, contexts("push", {"x": "y" * 1000}))) == MAX_RUN_NAME
