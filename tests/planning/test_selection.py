"""Choosing a job, also one of a called workflow."""

import pytest

from terraphim_runner.planning import select_job, selectable
from terraphim_runner.workflow import parse
from terraphim_runner.workflow.linking import CalledFile, FileReference, link

JOB = "{{runs-on: x, needs: {}, steps: [{{run: 'true'}}]}}"
ROOT = f"""
on: push
jobs:
  first: {JOB.format("[]")}
  Deploy: {{uses: ./.github/workflows/called.yml, needs: first}}
  after: {JOB.format("Deploy")}
"""
CALLED = f"""
on: workflow_call
jobs:
  build: {JOB.format("[]")}
  test: {JOB.format("build")}
  lint: {JOB.format("[]")}
"""


@pytest.fixture
def linked():
    root = parse("ci.yml", ROOT).workflow
    assert root is not None
    found = link(root, {FileReference(path=".github/workflows/called.yml"): CalledFile(text=CALLED)})
    assert not found.has_errors
    return found.workflow


def test_select_job_keeps_a_call_with_all_its_jobs_and_what_it_needs(linked):
    chosen = select_job(linked, "deploy")
    assert list(chosen.jobs) == ["first", "Deploy"]
    assert list(chosen.calls["Deploy"].jobs) == ["build", "test", "lint"]


def test_select_job_of_a_called_workflow_keeps_what_it_needs_on_both_levels(linked):
    chosen = select_job(linked, "deploy/TEST")
    assert list(chosen.jobs) == ["first", "Deploy"]
    assert list(chosen.calls["Deploy"].jobs) == ["build", "test"]
    assert list(linked.calls["Deploy"].jobs) == ["build", "test", "lint"]


@pytest.mark.parametrize("key", ["gone", "deploy/gone", "first/build", "deploy/build/x", "", "/build"])
def test_select_job_that_does_not_exist_raises_key_error(linked, key):
    with pytest.raises(KeyError):
        select_job(linked, key)


def test_selectable_names_the_jobs_of_called_workflows_below_their_call(linked):
    assert selectable(linked) == ("first", "Deploy", "Deploy/build", "Deploy/test", "Deploy/lint", "after")
