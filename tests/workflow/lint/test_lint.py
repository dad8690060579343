"""Golden pairs: a workflow and the warnings about it; and what holds for all rules."""

import re
import time
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from terraphim_runner.model.source import Severity, Span
from terraphim_runner.workflow import parse
from terraphim_runner.workflow.lint import MAX_PER_RULE, RULES, lint
from terraphim_runner.workflow.tree import UsesStep, Workflow

CASES = sorted((Path(__file__).parent / "golden").glob("*.yml"))
COMMIT = "0123456789abcdef0123456789abcdef01234567"


def read(text: str, name: str = "ci.yml") -> Workflow:
    result = parse(name, text, check_support=False)
    assert result.workflow is not None, [item.headline() for item in result.diagnostics]
    return result.workflow


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.stem)
def test_lint_golden_file_yields_exactly_the_expected_warnings(case: Path) -> None:
    text = case.read_text()
    found = lint(read(text, case.name))
    rendered = "\n".join(item.render(text) for item in found) or "no problems"
    assert rendered + "\n" == case.with_suffix(".expected").read_text()
    assert all(item.severity is Severity.WARNING for item in found)
    places = [item.span.start for item in found]
    assert places == sorted(places)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_lint_rule_that_is_disabled_is_silent_and_the_others_are_not(rule) -> None:
    for case in CASES:
        workflow = read(case.read_text())
        others = [item for item in lint(workflow) if item.rule != rule.id]
        assert list(lint(workflow, disabled=frozenset({rule.id}))) == others


def test_lint_job_that_calls_a_workflow_needs_no_timeout() -> None:
    text = "on: push\njobs: { a: { uses: ./.github/workflows/x.yml } }\n"
    called = parse("ci.yml", text, check_support=False).workflow
    assert called is not None
    assert lint(called) == ()


def test_lint_rules_have_ids_summaries_and_explanations_in_order() -> None:
    ids = [rule.id for rule in RULES]
    assert ids == sorted(set(ids))
    assert all(re.fullmatch(r"[a-z]+(-[a-z]+)+", name) for name in ids)
    assert all(rule.summary and rule.id in rule.docs for rule in RULES)
    documented = (Path(__file__).parents[3] / "docs/lint.md").read_text()
    assert re.findall(r"^## `([a-z-]+)`$", documented, re.MULTILINE) == ids


def using(*uses: str) -> Workflow:
    workflow = read("on: push\njobs: {a: {runs-on: x, timeout-minutes: 1, steps: [{uses: actions/checkout@v4}]}}\n")
    job = next(iter(workflow.jobs.values()))
    (step,) = job.steps
    assert isinstance(step, UsesStep)
    steps = tuple(replace(step, uses=item, uses_span=Span.at(1, number)) for number, item in enumerate(uses, 1))
    return replace(workflow, jobs={job.key: replace(job, steps=steps)})


def test_lint_actions_that_are_not_fixed_to_a_commit_are_told() -> None:
    found = lint(
        using(
            "actions/cache@v4",
            "GitHub/codeql-action/init@v3",
            f"owner/name@{COMMIT}",
            "owner/name@v1.2",
            "owner/name/folder@main",
            f"owner/name@{COMMIT[:7]}",
            "./local",
            "docker://alpine:3.20",
            f"docker://alpine@sha256:{COMMIT}{COMMIT[:24]}",
            "$/.github/actions/mine",
        )
    )
    assert [(item.span.start.column, item.rule) for item in found] == [(c, "unpinned-action") for c in (4, 5, 6, 8)]
    assert found[0].message.startswith("found the third-party action 'owner/name' at 'v1.2', expected a full commit")


def test_lint_script_of_a_script_action_is_a_script() -> None:
    workflow = using(f"actions/github-script@{COMMIT}")
    job = next(iter(workflow.jobs.values()))
    text = "on: push\njobs: {a: {runs-on: x, steps: [{run: 'echo ${{ github.head_ref }}'}]}}\n"
    script = next(iter(read(text).jobs.values())).steps[0].run
    (step,) = job.steps
    step = replace(step, with_={"script": script})
    changed = replace(workflow, source=text, jobs={job.key: replace(job, steps=(step,))})
    assert [item.rule for item in lint(changed)] == ["script-injection"]


def test_lint_of_a_file_with_thousands_of_mistakes_is_quick_and_bounded() -> None:
    line = "          echo ${{ github.head_ref }} ${{ steps.s.outputs.x }}\n"
    many = f"      - run: |\n{line * 100}" * 80
    text = (
        "on: push\njobs:\n  a:\n    runs-on: x\n    timeout-minutes: 1\n    steps:\n"
        f"      - id: s\n        run: |\n          git fetch {'git fetch ' * 20_000}\n{many}"
    )
    workflow = read(text)
    began = time.monotonic()
    found = lint(workflow)
    assert time.monotonic() - began < 2
    assert len(found) == 2 * MAX_PER_RULE


def test_lint_of_a_script_of_blank_lines_and_separators_is_quick() -> None:
    script = "          \n" * 20_000 + "          " + "; ( ) | & " * 20_000
    text = (
        "on: push\njobs:\n  a:\n    runs-on: x\n    timeout-minutes: 1\n    steps:\n"
        f"      - id: s\n        run: |\n          echo\n{script}\n      - run: echo ${{{{ steps.s.outputs.x }}}}\n"
    )
    workflow = read(text)
    began = time.monotonic()
    assert [item.rule for item in lint(workflow)] == ["unset-output"]
    assert time.monotonic() - began < 1


@given(st.lists(st.sampled_from(["'", '"', "|", ">", "!a", "&b", "\\", "é", "\n", " ", "${{ github.head_ref }}", "x"])))
def test_lint_place_of_any_spelling_is_inside_of_the_file(parts: list[str]) -> None:
    text = f"on: push\njobs: {{a: {{runs-on: x, steps: [{{run: {''.join(parts)} }}]}}}}\n"
    workflow = parse("x.yml", text).workflow
    if workflow is not None:
        for item in lint(workflow):
            assert 1 <= item.span.start.line <= text.count("\n") + 1


def test_lint_of_a_long_chain_of_jobs_that_cannot_run_is_quick() -> None:
    jobs = "".join(f"  a{n}: {{needs: a{n + 1}, runs-on: x, steps: [run: a]}}\n" for n in range(3_000))
    workflow = read(f"on: push\njobs:\n{jobs}  a3000: {{if: false, runs-on: x, steps: [run: a]}}\n")
    began = time.monotonic()
    found = lint(workflow, disabled=frozenset({"missing-timeout"}))
    assert time.monotonic() - began < 1
    assert [item.rule for item in found] == ["unreachable-job"] * MAX_PER_RULE
