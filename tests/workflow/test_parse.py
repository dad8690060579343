"""The tree of valid workflows, and parsing under hostile input."""

import time
from pathlib import Path
from typing import cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from terraphim_runner.expressions import Template
from terraphim_runner.model.ids import JobKey
from terraphim_runner.model.source import Severity
from terraphim_runner.workflow import parse
from terraphim_runner.workflow.findings import MAX_SHOWN
from terraphim_runner.workflow.tree import RunStep, UsesStep, Workflow

GOLDEN = sorted((Path(__file__).parents[1] / "golden").glob("*/*.yml"))
TEXTS = [path.read_text() for path in GOLDEN]
JOBS = "jobs: { a: { runs-on: x, steps: [run: echo] } }\n"


@pytest.fixture
def complete(golden_directory: Path) -> Workflow:
    result = parse("w.yml", (golden_directory / "workflow/valid_complete.yml").read_text())
    assert result.workflow is not None
    return result.workflow


def only_rule(text: str) -> str:
    result = parse("w.yml", text)
    assert result.workflow is None
    assert len({item.rule for item in result.diagnostics}) == 1, result.diagnostics
    return result.diagnostics[0].rule


def source(value: object) -> str:
    assert isinstance(value, Template)
    return value.source


def test_parse_complete_workflow_keeps_top_level_sections(complete: Workflow) -> None:
    assert complete.title == "Everything at once"
    assert complete.run_name is not None
    assert [trigger.event for trigger in complete.triggers] == [
        "push",
        "pull_request",
        "schedule",
        "workflow_dispatch",
        "workflow_call",
    ]
    push, pull_request, schedule, dispatch, call = complete.triggers
    assert push.filters["branches"].patterns == ("main", "release/**", "!release/old-*")
    assert pull_request.filters["types"].patterns == ("opened", "labeled")
    assert schedule.settings["schedule"] == [{"cron": "30 5 * * MON-FRI", "timezone": "Europe/Berlin"}]
    assert dispatch.settings["inputs"]["level"]["options"] == ["low", "high"]
    assert dispatch.settings["inputs"]["dry"] == {"type": "boolean", "required": True}
    assert call.settings["secrets"] == {"token": {"required": True}}
    assert complete.permissions == {"contents": "read", "id-token": "write"}
    assert isinstance(complete.env, dict)
    assert {name: source(value) for name, value in complete.env.items()} == {
        "MODE": "755",
        "OWNER": "${{ github.repository_owner }}",
    }
    assert source(complete.defaults.shell) == "bash"


def test_parse_complete_workflow_keeps_every_key_of_a_job(complete: Workflow) -> None:
    job = complete.jobs[JobKey("build")]
    assert source(job.name) == "build on ${{ matrix.os }}"
    assert isinstance(job.runs_on, tuple)
    assert [source(label) for label in job.runs_on] == ["self-hosted", "${{ matrix.os }}"]
    assert job.permissions is not None
    assert job.permissions["contents"] == "read"
    assert "id-token" not in job.permissions
    assert job.strategy is not None
    assert job.strategy.fail_fast is not None
    assert job.strategy.fail_fast.parts == (False,)
    assert job.strategy.max_parallel is not None
    assert job.strategy.max_parallel.parts == (2.0,)
    assert isinstance(job.strategy.matrix, dict)
    assert list(job.strategy.matrix) == ["os", "include", "exclude"]
    include = cast("tuple[dict[str, dict[str, tuple[Template, ...]]], ...]", job.strategy.matrix["include"])
    assert [item.parts for item in include[0]["extra"]["deep"]] == [(1.0,), (True,), (None,)]
    assert isinstance(job.env, Template)
    assert source(job.defaults.working_directory) == "${{ env.DIR }}"
    assert source(job.outputs["sha"]) == "${{ steps.made.outputs.sha }}"
    assert source(job.timeout_minutes) == "${{ fromJSON(vars.LIMIT) }}"
    assert source(job.continue_on_error) == "${{ matrix.os == 'other' }}"
    assert (job.span.start.line, job.span.start.column) == (35, 3)
    after = complete.jobs[JobKey("after")]
    assert [need.job for need in after.needs] == ["build"]
    assert after.condition is not None
    assert after.condition.source == "always() && needs.build.result != 'skipped'"
    assert source(after.runs_on) == "linux"


def test_parse_complete_workflow_keeps_every_key_of_its_steps(complete: Workflow) -> None:
    checkout, made = complete.jobs[JobKey("build")].steps
    assert isinstance(checkout, UsesStep)
    assert checkout.uses == "actions/checkout@v4"
    assert isinstance(checkout.with_, dict)
    assert {name: source(value) for name, value in checkout.with_.items()} == {
        "fetch-depth": "0",
        "submodules": "false",
        "lfs": "false",
    }
    assert isinstance(made, RunStep)
    assert made.id == "made"
    assert source(made.name) == "Make"
    assert made.condition is not None
    assert source(made.run) == "make\n"
    assert source(made.shell) == "bash -e {0}"
    assert source(made.working_directory) == "src"
    assert isinstance(made.env, dict)
    assert source(made.env["A"]) == "1"
    assert made.timeout_minutes is not None
    assert made.timeout_minutes.parts == (0.5,)
    assert made.continue_on_error is not None
    assert made.continue_on_error.parts == (True,)
    empty_run, empty_if = complete.jobs[JobKey("after")].steps
    assert isinstance(empty_run, RunStep)
    assert source(empty_run.run) == ""
    assert empty_if.condition is None


def test_parse_scalars_follow_the_core_schema(golden_directory: Path) -> None:
    result = parse("w.yml", (golden_directory / "yaml/valid_scalars.yml").read_text())
    assert result.workflow is not None
    env = result.workflow.env
    assert isinstance(env, dict)
    assert {name: source(value) for name, value in env.items()} == {
        "on": "yes",
        "DATE": "2026-01-02",
        "GROUPED": "12_345",
        "INFINITE": "Infinity",
        "NOTHING": "",
        "TAGGED": "12",
    }
    jobs = result.workflow.jobs
    assert jobs[JobKey("a")].env == env
    assert jobs[JobKey("b")].steps == jobs[JobKey("a")].steps


def test_parse_needs_with_other_case_names_the_job_as_defined() -> None:
    text = "on: push\njobs:\n  Build: {runs-on: x, steps: [run: a]}\n  b: {needs: BUILD, runs-on: x, steps: [run: a]}\n"
    result = parse("w.yml", text)
    assert result.workflow is not None
    assert [need.job for need in result.workflow.jobs[JobKey("b")].needs] == ["Build"]


def test_parse_file_with_byte_order_mark_counts_columns_without_it() -> None:
    result = parse("w.yml", "\ufeffonn: push\n" + JOBS)
    assert {(item.span.start.line, item.span.start.column) for item in result.diagnostics} == {(1, 1)}
    assert parse("w.yml", "\ufeffon: push\n" + JOBS).workflow is not None


def test_parse_windows_line_ends_yields_the_same_places() -> None:
    text = "on: push\nenv:\n  A: |\n    one\n    ${{ nope }}\n" + JOBS
    unix, windows = (parse("w.yml", item).diagnostics for item in (text, text.replace("\n", "\r\n")))
    assert [item.span for item in unix] == [item.span for item in windows]
    assert (unix[0].span.start.line, unix[0].span.start.column) == (5, 9)


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("on: push\n" + "#" * 1024 * 1024, "file-size"),
        ("on: push # " + "é" * 600_000, "file-size"),
        ("env: " + "[" * 200, "yaml-size"),
        ("env: " + "{a: " * 200, "yaml-size"),
        ("- " * 200 + "x", "yaml-size"),
        (
            "a: &a [x, x]\n"
            + "".join(
                f"{i}: &{i} [*{p}, *{p}]\n" for p, i in zip("abcdefghijklmnopqrst", "bcdefghijklmnopqrstu", strict=True)
            ),
            "yaml-size",
        ),
        ("".join(f"k{i}: &n{i} {'[' * 20}{f'*n{i - 1}' if i else 'x'}{']' * 20}\n" for i in range(9)), "yaml-size"),
        ("on: [" + "x," * 60_000 + "]", "yaml-size"),
        (f"a: &a '{'x' * 900_000}'\nb: [*a, *a, *a]\n", "yaml-size"),
        ("on: push\x00", "yaml-syntax"),
        ("on: \ud800", "yaml-syntax"),
        ("on: \x1b[31m", "yaml-syntax"),
        ("%YAML 9.9\n---\non: push", "yaml-syntax"),
    ],
)
def test_parse_hostile_document_is_refused_quickly(text: str, rule: str) -> None:
    began = time.perf_counter()
    assert only_rule(text) == rule
    assert time.perf_counter() - began < 5


@pytest.mark.parametrize(("count", "rest"), [(150, "50"), (999, "899"), (20_000, "at least 900")])
def test_parse_thousands_of_mistakes_shows_a_bounded_number_and_the_rest_counted(count: int, rest: str) -> None:
    text = "on: push\nenv:\n" + "".join(f"  A{i}: ${{{{ nope }}}}\n" for i in range(count)) + JOBS
    result = parse("w.yml", text)
    assert len(result.diagnostics) == MAX_SHOWN + 1
    assert result.diagnostics[-1].message == f"{rest} more problems are not shown"
    assert all(item.severity is Severity.ERROR for item in result.diagnostics)


def test_parse_many_warnings_never_hide_an_error() -> None:
    inputs = ", ".join(f"unknown-{i}: 1" for i in range(300))
    checkout = f"{{uses: actions/checkout@v4, with: {{{inputs}}}}}"
    text = f"on: push\njobs:\n  a:\n    runs-on: x\n    steps:\n      - {checkout}\n"
    valid = parse("w.yml", text)
    assert valid.workflow is not None
    assert {item.severity for item in valid.diagnostics} == {Severity.WARNING}
    result = parse("w.yml", text + "      - oops\n")
    assert result.workflow is None
    assert any(item.severity is Severity.ERROR and item.rule == "type" for item in result.diagnostics)


def test_parse_long_chain_of_needs_does_not_exhaust_the_stack() -> None:
    count = 3000
    jobs = "".join(f"  j{i}: {{needs: j{(i + 1) % count}, runs-on: x, steps: [run: a]}}\n" for i in range(count))
    result = parse("w.yml", "on: push\njobs:\n" + jobs)
    assert {item.rule for item in result.diagnostics} == {"needs-cycle", "needs-start"}


def test_parse_alias_repeats_a_mistake_only_once_in_the_diagnostics() -> None:
    text = "on: push\nenv: &e {A: '${{ nope }}'}\njobs: {a: {runs-on: x, env: *e, steps: [{run: a, env: *e}]}}\n"
    places = [item.span.start for item in parse("w.yml", text).diagnostics if "nope" in item.message]
    assert {str(place) for place in places} == {"2:18"}


def test_parse_user_text_in_messages_is_short_and_escaped() -> None:
    result = parse("w.yml", f'on: push\n"x\\e[31m{"y" * 5000}": 1\n{JOBS}')
    assert len(result.diagnostics) == 1
    assert result.diagnostics[0].message.isprintable()
    assert len(result.diagnostics[0].message) < 400


@given(st.text(max_size=300))
@settings(max_examples=300, deadline=None)
def test_parse_arbitrary_text_never_raises(text: str) -> None:
    result = parse("w.yml", text)
    assert result.workflow is not None or result.diagnostics
    for item in result.diagnostics:
        item.render(text)


@given(st.sampled_from(TEXTS), st.data())
@settings(max_examples=500, deadline=None)
def test_parse_mutated_workflow_never_raises_and_keeps_its_promise(text: str, data: st.DataObject) -> None:
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(text)))
        end = data.draw(st.integers(start, min(len(text), start + 30)))
        piece = data.draw(st.sampled_from(PIECES) | st.text(max_size=5))
        text = text[:start] + piece + text[end:]
    result = parse("w.yml", text)
    has_errors = any(item.severity is Severity.ERROR for item in result.diagnostics)
    assert (result.workflow is None) == has_errors
    lines = text.count("\n") + text.count("\r") + text.count("\x85") + text.count("\u2028") + text.count("\u2029") + 1
    assert all(1 <= item.span.start.line <= lines and item.span.start.column >= 1 for item in result.diagnostics)


PIECES = [
    *("", "\n", "  ", "\t", ":", ": ", "- ", "[", "]", "{", "}", "'", '"', "|\n", ">-\n", "#", "&a ", "*a", "!!int "),
    *("${{ ", " }}", "${{ github.sha }}", "null", "true", "1e999", ".nan", "0o7", "<<: ", "? ", "---\n", "...\n"),
    *("on:", "jobs:", "uses: ", "run: ", "needs: ", "if: ", "matrix: ", "env: ", "steps: ", "__x", "\u2028", "\r"),
]
