"""The outline for people, and the command that prints it."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from terraphim_runner.cli import plan as plan_command
from terraphim_runner.model.errors import UsageError
from terraphim_runner.planning import outline, select_job

TEXT = """\
name: CI
on: {push: {branches: [main]}}
jobs:
  deploy:
    needs: [test]
    if: github.ref == 'refs/heads/release'
    runs-on: linux
    steps: [{run: 'true'}]
  build:
    runs-on: ${{ matrix.os }}
    strategy: {matrix: {os: [linux, mac]}}
    steps: [{run: 'true'}]
  test:
    needs: build
    runs-on: linux
    strategy: {matrix: '${{ fromJSON(needs.build.outputs.m) }}'}
    steps: [{run: 'true'}]
  rescue:
    needs: build
    if: failure()
    runs-on: linux
    steps: [{run: 'true'}]
  after:
    needs: build
    if: needs.build.outputs.go == 'yes'
    runs-on: linux
    steps: [{run: 'true'}]
  last:
    needs: after
    runs-on: linux
    steps: [{run: 'true'}]
  report:
    needs: deploy
    if: always()
    runs-on: linux
    steps: [{run: 'true'}]
"""
EXPECTED = """\
CI (.github/workflows/ci.yml) on push: 7 jobs
  build: 2 legs
    build (linux)  [linux]
    build (mac)  [mac]
  test, after build: runs: its matrix depends on 'needs': known when they are complete
  rescue, after build: skipped: its 'if' is false when all jobs before it succeed: failure()
  after, after build: unknown: its 'if' depends on 'needs': needs.build.outputs.go == 'yes'
  deploy, after test: skipped: its 'if' is false when all jobs before it succeed: github.ref == 'refs/heads/release'
  last, after after: unknown: it is not known whether 'after' runs
    last  [linux]
  report, after deploy: 1 leg
    report  [linux]"""


def test_outline_says_what_is_known_before_the_run(workflow: Callable):
    found = outline(workflow(TEXT), "push", {"github": {"ref": "refs/heads/main"}})

    assert found.render() == EXPECTED


def test_outline_of_a_bad_expression_tells_its_place(workflow: Callable):
    text = "on: push\njobs:\n  a:\n    if: fromJSON('{')\n    runs-on: x\n    steps: [{run: 'true'}]\n"

    found = outline(workflow(text), "push", {})

    assert found.jobs[0].outlook == "rejected"
    assert ".github/workflows/ci.yml:4:9: the 'if' of job 'a' does not evaluate" in found.render()


def test_outline_does_not_promise_a_matrix_below_a_job_that_may_not_run(workflow: Callable):
    computed = "    strategy: {matrix: '${{ fromJSON(needs.after.outputs.m) }}'}\n    steps: [{run: 'true'}]\n  report:"
    text = TEXT.replace("    steps: [{run: 'true'}]\n  report:", computed)

    found = {job.key: job for job in outline(workflow(text), "push", {"github": {}}).jobs}

    assert found["last"].outlook == "unknown"
    assert found["last"].legs is None


def test_outline_of_a_strategy_computed_from_needs_waits_for_them(workflow: Callable):
    text = TEXT.replace("jobs:", "jobs:\n  early:\n    runs-on: x\n    steps: [{run: 'true'}]", 1)
    text += "\n  late:\n    needs: early\n    runs-on: x\n    strategy: ${{ fromJSON(needs.early.outputs.s) }}\n"
    text += "    steps: [{run: 'true'}]\n"

    found = {job.key: job for job in outline(workflow(text), "push", {"github": {}}).jobs}

    assert (found["late"].outlook, found["late"].legs) == ("runs", None)
    assert found["late"].reason == "its strategy depends on 'needs': known when they are complete"


def test_selected_job_brings_all_that_it_needs(workflow: Callable):
    assert list(select_job(workflow(TEXT), "Deploy").jobs) == ["deploy", "build", "test"]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    folder = tmp_path / ".github/workflows"
    folder.mkdir(parents=True)
    (folder / "ci.yml").write_text(TEXT)
    return tmp_path


@pytest.fixture
def invoke(checkout: Path) -> Callable:
    app = typer.Typer()
    plan_command.register(app)

    def run(*arguments: str, **more):
        return CliRunner().invoke(app, [*arguments, "--repo", str(checkout)], **more)

    return run


def test_command_prints_the_outline(invoke: Callable):
    result = invoke("push", "--workflow", "ci.yml")

    assert result.exit_code == 0, result.output
    assert result.stdout == f"the run is called 'CI'\n{EXPECTED}\n"


def test_command_prints_json(invoke: Callable):
    result = invoke("push", "--workflow", "ci.yml", "--format", "json", "--job", "build")

    found = json.loads(result.stdout)
    assert found["triggered"] is True
    assert [job["key"] for job in found["jobs"]] == ["build"]
    assert found["jobs"][0]["legs"][1]["matrix"] == {"os": "mac"}


def test_command_says_why_an_event_triggers_nothing(invoke: Callable):
    result = invoke("pull_request", "--workflow", "ci.yml")

    assert result.exit_code == 0
    assert result.stdout.startswith(
        "pull_request does not trigger .github/workflows/ci.yml: the event is 'pull_request', the workflow runs on"
    )


def test_command_with_a_broken_workflow_prints_diagnostics_and_exits_2(invoke: Callable, checkout: Path):
    (checkout / "broken.yml").write_text("on: push\njobs:\n  a:\n    runs-on: x\n    stepz: []\n")

    result = invoke("push", "--workflow", "broken.yml")

    assert result.exit_code == 2
    assert result.stdout == ""
    assert "broken.yml:5:5" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["psh", "--workflow", "ci.yml"], "unknown event 'psh'; did you mean 'push'?"),
        (["push", "--workflow", "absent.yml"], "found no workflow file 'absent.yml'"),
        (["push", "--workflow", "ci.yml", "--job", "x"], "found no job 'x' in .github/workflows/ci.yml; it has deploy"),
        (["push", "--workflow", "ci.yml", "--var", "x"], "found --var 'x'"),
        (["push", "--workflow", "ci.yml", "--input", "a=b"], "only 'workflow_dispatch' takes inputs"),
        (["workflow_dispatch", "--workflow", "ci.yml", "--input", "a=b"], "unknown input 'a'"),
    ],
)
def test_command_with_bad_input_is_a_clear_error(invoke: Callable, arguments: list[str], message: str):
    result = invoke(*arguments)

    assert isinstance(result.exception, UsageError)
    assert message in str(result.exception)


def test_command_with_a_binary_file_is_a_clear_error(invoke: Callable, checkout: Path):
    (checkout / "x.yml").write_bytes(b"on: \xff\xfe")

    result = invoke("push", "--workflow", "x.yml")

    assert "is not UTF-8: byte 4" in str(result.exception)


def test_command_takes_variables_into_expressions(invoke: Callable, checkout: Path):
    (checkout / "v.yml").write_text("on: push\njobs: {a: {runs-on: '${{ vars.R }}', steps: [{run: 'true'}]}}\n")

    assert "[big]" in invoke("push", "--workflow", "v.yml", "--var", "R=big").stdout
