"""Why jobs run or do not: the command ``explain`` and what it prints."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from terraphim_runner.cli import explain as explain_command
from terraphim_runner.model.errors import UsageError
from terraphim_runner.planning.explanation import explain_jobs

TEXT = """\
name: CI
on:
  push: {branches: [main]}
  workflow_dispatch: {inputs: {go: {required: true, type: string}}}
jobs:
  build: {runs-on: x, strategy: {matrix: {os: [a, b]}}, steps: [{run: 'true'}]}
  open: {runs-on: x, needs: build, if: needs.build.outputs.go == vars.GO, steps: [{run: 'true'}]}
  closed: {runs-on: x, needs: build, if: needs.build.outputs.go && github.ref == 'refs/tags/v1', steps: [{run: 'true'}]}
  below-closed: {runs-on: x, needs: closed, steps: [{run: 'true'}]}
  below-both: {runs-on: x, needs: [open, closed], if: github.actor, steps: [{run: 'true'}]}
  below-open: {runs-on: x, needs: open, steps: [{run: 'true'}]}
  cleanup: {runs-on: x, needs: [open, closed], if: always() || needs.open.result, steps: [{run: 'true'}]}
  rescue: {runs-on: x, needs: open, if: failure(), steps: [{run: 'true'}]}
  bad: {runs-on: x, if: "fromJSON('{')", steps: [{run: 'true'}]}
"""
EXPECTED = """\
push on refs/heads/main by local
.github/workflows/ci.yml (CI) is triggered: push to branch 'main' passes 'branches'
  the run is called 'CI'
  build: runs, 2 legs
  bad: fails without running: the 'if' of job 'bad' does not evaluate: {problem}
    success() && fromJSON('{{')  →  does not evaluate: {problem}
      success()  →  true
      fromJSON('{{')  →  does not evaluate: {problem}
  open, after build: not known yet: its 'if' depends on 'needs': needs.build.outputs.go == vars.GO
    depends on needs.build.outputs.go
    success() && needs.build.outputs.go == vars.GO  →  not known yet
      success()  →  true
      needs.build.outputs.go == vars.GO  →  not known yet
        needs.build.outputs.go  →  not known yet
        vars.GO  →  'yes'
  closed, after build: does not run: its 'if' is false whatever the jobs before it find out
    success() && needs.build.outputs.go && github.ref == 'refs/tags/v1'  →  false in any case
      success()  →  true
      needs.build.outputs.go  →  not known yet
      github.ref == 'refs/tags/v1'  →  false
        github.ref  →  'refs/heads/main'
  below-closed, after closed: does not run: 'closed' does not run
  below-both, after open, closed: does not run: its 'if' is false whatever the jobs before it find out \
('closed' does not run)
    success() && github.actor  →  false
      success()  →  false
      github.actor  →  'local'  (not looked at)
  below-open, after open: not known yet: it is not known whether 'open' runs
  cleanup, after open, closed: runs
    always() || needs.open.result  →  true in any case
      always()  →  true
      needs.open.result  →  not known yet  (not looked at)
  rescue, after open: does not run: its 'if' is false when all jobs before it succeed: failure()
    failure()  →  false
"""
PROBLEM = "the argument of fromJSON() is not JSON: expected a key or '}' at line 1, column 2, found the end"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    folder = tmp_path / ".github/workflows"
    folder.mkdir(parents=True)
    (folder / "ci.yml").write_text(TEXT)
    return tmp_path


@pytest.fixture
def invoke(checkout: Path) -> Callable:
    app = typer.Typer()
    explain_command.register(app)
    return lambda *arguments: CliRunner().invoke(app, [*arguments, "--repo", str(checkout)])


def test_explain_tells_of_each_job_and_each_part(invoke: Callable):
    result = invoke("push", "--var", "GO=yes")
    assert result.stdout == EXPECTED.format(problem=PROBLEM)
    # The jobs have no timeout: warnings are for "validate" alone.
    assert (result.exit_code, result.stderr) == (0, "")


def test_explain_says_which_filter_keeps_an_event_out(invoke: Callable, checkout: Path):
    (checkout / "event.json").write_text(json.dumps({"ref": "refs/heads/topic"}))
    result = invoke("push", "--event-file", str(checkout / "event.json"))
    assert result.stdout.splitlines() == [
        "push on refs/heads/topic by local",
        ".github/workflows/ci.yml (CI) is not triggered: branch 'topic' matches none of 'branches': 'main'",
    ]


def test_explain_json_has_every_workflow_and_job(invoke: Callable, checkout: Path):
    (checkout / ".github/workflows/other.yml").write_text("on: issues\njobs: {a: {runs-on: x, steps: [run: 'true']}}\n")
    result = invoke("push", "--format", "json")
    told = json.loads(result.stdout)
    first, second = told["workflows"]
    assert (told["event"], told["ref"], told["changed_files"]) == ("push", "refs/heads/main", None)
    assert (first["run_name"], second["run_name"]) == ("CI", None)
    jobs = {job["key"]: job for job in first["jobs"]}
    assert first["triggered"] is True
    assert jobs["build"]["legs"] == 2
    assert jobs["open"]["depends_on"] == ["needs.build.outputs.go"]
    assert jobs["closed"]["condition"]["parts"][2]["parts"][0]["value"] == "'refs/heads/main'"
    assert (second["triggered"], second["jobs"][0]["outlook"]) == (False, "skipped")
    assert second["reason"] == "the event is 'push', the workflow runs on 'issues'"


def test_explain_run_whose_group_does_not_evaluate_runs_no_job(invoke: Callable, checkout: Path):
    text = "on: push\nconcurrency: {group: '${{ github.head_ref }}'}\njobs: {a: {runs-on: x, steps: [{run: x}]}}\n"
    (checkout / ".github/workflows/ci.yml").write_text(text)
    told = invoke("push").stdout
    assert "  a: fails without running: 'concurrency' has an empty string as its group; expected a name" in told


def test_explain_missing_input_is_the_reason(invoke: Callable):
    assert "is not triggered: input 'go' is required" in invoke("workflow_dispatch").stdout


def test_explain_broken_workflow_is_told_and_the_others_are_explained(invoke: Callable, checkout: Path):
    (checkout / ".github/workflows/broken.yml").write_text("on: push\njobs: {}\n")
    result = invoke("push")
    assert result.exit_code == 2
    assert "broken.yml:2:7" in result.stderr
    assert ".github/workflows/ci.yml (CI) is triggered" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(["psh"], "unknown event 'psh'"), (["push", "--workflow", "no.yml"], "found no workflow file 'no.yml'")],
)
def test_explain_bad_input_is_a_clear_error(invoke: Callable, arguments: list[str], message: str):
    result = invoke(*arguments)
    assert isinstance(result.exception, UsageError)
    assert message in str(result.exception)


def test_explain_hostile_names_cannot_steer_the_terminal(invoke: Callable, checkout: Path):
    text = 'name: "a\\x1b]0;x\\x07"\non: push\njobs: {a: {if: "\'\\x1b[31m\'", runs-on: x, steps: [run: "true"]}}\n'
    (checkout / ".github/workflows/ci.yml").write_text(text)
    assert "\x1b" not in invoke("push").stdout


def test_explanation_of_a_status_function_with_names_stays_open(workflow: Callable):
    named = "  named: {runs-on: x, needs: [open, closed], if: success('open'), steps: [{run: 'true'}]}\n"
    found = {job.key: job for job in explain_jobs(workflow(TEXT + named), "push", {"github": {"ref": "x"}})}
    assert found["named"].outlook == "unknown"


def test_explain_value_that_is_no_boolean_is_said_to_count_as_one(invoke: Callable, checkout: Path):
    text = "on: push\njobs:\n  a: {runs-on: x, if: github.event.repository, steps: [run: 'true']}\n"
    (checkout / ".github/workflows/ci.yml").write_text(
        text + "  b: {runs-on: x, if: github.event.nothing, steps: [run: 'true']}\n"
    )
    lines = invoke("push").stdout.splitlines()
    whole = [line for line in lines if line.lstrip().startswith("success() &&")]
    assert whole[0].endswith(", which counts as true")
    assert whole[1] == "    success() && github.event.nothing  →  null, which counts as false"
