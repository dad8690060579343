"""How legs are named and what their job-level settings may be."""

from collections.abc import Callable

import pytest

HEAD = """
on: push
jobs:
  build:
    steps: [{run: 'true'}]
"""


def job(*lines: str, runs_on: str = "ubuntu-latest") -> str:
    return HEAD + "".join(f"    {line}\n" for line in (f"runs-on: {runs_on}", *lines))


NAMES = {
    "no matrix": ([], ["build"]),
    "static name": (["name: Compile"], ["Compile"]),
    "matrix": (["strategy: {matrix: {os: [linux], py: [3.12, '3.9', true]}}"], None),
    "static name with a matrix": (["name: Compile", "strategy: {matrix: {os: [linux]}}"], ["Compile (linux)"]),
    "name with matrix values": (["name: on ${{ matrix.os }}", "strategy: {matrix: {os: [linux, mac]}}"], None),
    "name with another expression": (
        ["name: for ${{ github.ref }}", "strategy: {matrix: {os: [linux]}}"],
        ["for refs/heads/x"],
    ),
    "name that evaluates to nothing": (["name: ${{ vars.none }}", "strategy: {matrix: {os: [linux]}}"], None),
    "no matrix to be shown": (["name: '${{ toJSON(matrix) }}'"], ["null"]),
    "blank name": (["name: '  '", "strategy: {matrix: {os: [linux]}}"], ["build (linux)"]),
    "nested values": (["strategy: {matrix: {c: [{os: linux, tags: [a, b]}]}}"], ["build (linux, a, b)"]),
    "include that adds": (["strategy: {matrix: {os: [linux], include: [{os: linux, x: 1}]}}"], ["build (linux)"]),
    "include alone": (["strategy: {matrix: {include: [{os: linux, x: 1}]}}"], ["build (linux, 1)"]),
}
NAMES["matrix"] = (NAMES["matrix"][0], ["build (linux, 3.12)", "build (linux, 3.9)", "build (linux, true)"])
NAMES["name with matrix values"] = (NAMES["name with matrix values"][0], ["on linux", "on mac"])
NAMES["name that evaluates to nothing"] = (NAMES["name that evaluates to nothing"][0], ["build (linux)"])


@pytest.mark.parametrize("case", NAMES)
def test_leg_is_named_as_github_names_it(drive: Callable, case: str):
    lines, expected = NAMES[case]

    run = drive(job(*lines), github={"ref": "refs/heads/x"}, vars={})
    run.settle()

    assert run.names("build") == expected


def test_long_name_is_cut_at_a_hundred_characters(drive: Callable):
    run = drive(job(f"strategy: {{matrix: {{x: [{'y' * 200}]}}}}"))
    run.settle()

    (name,) = run.names("build")
    assert name == "build (" + "y" * 90 + "..."
    assert len(name) == 100


def test_name_from_a_payload_cannot_steer_a_terminal(drive: Callable):
    run = drive(job("name: ${{ github.event.title }}"), github={"event": {"title": "a\x1b[2J\r\nb\u009b1mc"}})
    run.settle()

    assert run.names("build") == ["a [2J b 1mc"]


LABELS = {
    "ubuntu-latest": ("ubuntu-latest",),
    "[self-hosted, linux, self-hosted]": ("self-hosted", "linux"),
    "${{ matrix.os }}": ("debian-12",),
    '${{ fromJSON(\'["a", "b"]\') }}': ("a", "b"),
    "['${{ matrix.os }}', x64]": ("debian-12", "x64"),
    "${{ fromJSON(vars.both) }}": ("a", "group:big"),
    "${{ fromJSON(vars.group) }}": ("group:big",),
    "{labels: '${{ matrix.os }}'}": ("debian-12",),
    "${{ matrix.number }}": ("22.04",),
    "[a, '${{ fromJSON(vars.list) }}']": ("a", "b", "c"),
}


@pytest.mark.parametrize("runs_on", LABELS)
def test_runs_on_becomes_labels(drive: Callable, runs_on: str):
    text = job("strategy: {matrix: {os: [debian-12], number: [22.04]}}", runs_on=runs_on)

    groups = {"both": '{"group": "big", "labels": ["a"]}', "group": '{"group": "big"}'}
    run = drive(text, vars={**groups, "list": '["b", "c"]'})
    run.settle()

    assert run.leg("build/0").leg.labels == LABELS[runs_on]


def test_settings_have_their_defaults(drive: Callable):
    run = drive(job())
    run.settle()

    leg = run.leg("build").leg
    assert (leg.timeout_minutes, leg.continue_on_error, leg.matrix) == (360, False, {})
    assert leg.strategy == {"fail-fast": True, "job-index": 0, "job-total": 1, "max-parallel": 1}


def test_strategy_context_has_githubs_keys(drive: Callable):
    run = drive(job("strategy: {matrix: {x: [1, 2]}, fail-fast: false, max-parallel: 1}"))
    run.settle()

    assert run.leg("build/1").leg.strategy == {
        "fail-fast": False,
        "job-index": 1,
        "job-total": 2,
        "max-parallel": 1,
    }


@pytest.mark.parametrize(("written", "total"), [("", 3), ("max-parallel: 0,", 3), ("max-parallel: 2,", 2)])
def test_max_parallel_is_unlimited_by_default(drive: Callable, written: str, total: int):
    run = drive(job(f"strategy: {{{written} matrix: {{x: [1, 2, 3]}}}}"))
    run.settle()

    assert len(run.started) == total
    assert run.leg("build/0").leg.strategy["max-parallel"] == total


def test_settings_may_be_expressions_and_fractions(drive: Callable):
    text = job(
        "timeout-minutes: ${{ matrix.x }}",
        "continue-on-error: ${{ matrix.x > 1 }}",
        "strategy: {matrix: {x: [0.5, 2]}, fail-fast: '${{ 1 == 2 }}', max-parallel: '${{ fromJSON(vars.n) }}'}",
    )

    run = drive(text, vars={"n": "1"})
    run.settle()

    legs = [run.leg(key).leg for key in ("build/0", "build/1")]
    assert [leg.timeout_minutes for leg in legs] == [0.5, 2]
    assert [leg.continue_on_error for leg in legs] == [False, True]
    assert legs[0].strategy["fail-fast"] is False
    assert run.started == ["build/0"]


@pytest.mark.parametrize("minutes", ["0", "-1.5", "${{ fromJSON('0') }}"])
def test_timeout_of_zero_or_less_is_no_limit_of_the_jobs_own(drive: Callable, minutes: str):
    run = drive(job(f"timeout-minutes: {minutes}"))
    run.settle()
    assert run.rejected == {}
    assert run.leg("build").leg.timeout_minutes == 360


def test_enormous_timeout_is_cut_to_a_runs_longest_life(drive: Callable):
    run = drive(job("timeout-minutes: 1e300"))
    run.settle()

    assert run.leg("build").leg.timeout_minutes == 35 * 24 * 60


REJECTED = {
    "timeout-minutes: ${{ vars.t }}": "'timeout-minutes' evaluates to a value of kind string; expected a number",
    "timeout-minutes: ${{ vars.none }}": "'timeout-minutes' evaluates to a value of kind null; expected a number",
    "timeout-minutes: ${{ fromJSON('1e999') }}": "'timeout-minutes' is Infinity; expected a finite number",
    "continue-on-error: ${{ vars.t }}": "'continue-on-error' evaluates to a value of kind string; expected true",
    "name: ${{ fromJSON('nope') }}": "the name does not evaluate",
    "strategy: {fail-fast: '${{ vars.t }}', matrix: {x: [1]}}": "'fail-fast' evaluates to a value of kind string",
    "strategy: {max-parallel: '${{ vars.t }}', matrix: {x: [1]}}": "'max-parallel' evaluates to a value of kind string",
    "strategy: {matrix: {x: '${{ vars.t }}'}}": "matrix vector 'x' is a string; expected a list of values",
    "strategy: {matrix: '${{ vars.t }}'}": "the matrix is a string; expected an object of vectors",
    "strategy: {matrix: {x: [1], exclude: [{y: 1}]}}": "'exclude' names 'y'; expected one of the vectors: x",
}


@pytest.mark.parametrize("line", REJECTED)
def test_setting_without_a_meaning_rejects_the_job(drive: Callable, line: str):
    run = drive(job(line), vars={"t": "5"})
    run.settle()

    (message,) = run.rejected["build"]
    assert REJECTED[line] in message


@pytest.mark.parametrize(
    ("runs_on", "message"),
    [
        ("${{ vars.none }}", "'runs-on' names no label"),
        ("${{ vars.empty }}", "'runs-on' has an empty label"),
        ("['${{ vars.list }}']", "'runs-on' has a value of kind array"),
        ("${{ vars.long }}", "longer than 256 characters"),
        ("${{ fromJSON(vars.many) }}", "names 65 labels"),
    ],
)
def test_runs_on_without_a_usable_label_rejects_the_job(drive: Callable, runs_on: str, message: str):
    many = "[" + ",".join(f'"l{number}"' for number in range(65)) + "]"
    run = drive(job(runs_on=runs_on), vars={"empty": " ", "list": [["a"]], "long": "x" * 300, "many": many})
    run.settle()

    (found,) = run.rejected["build"]
    assert message in found


STRATEGIES = {
    "matrix alone": ('{"matrix": {"os": ["a", "b"]}}', ["build (a)", "build (b)"], True, 2),
    "everything": (
        '{"Matrix": {"os": ["a", "b"]}, "fail-fast": false, "max-parallel": 1}',
        ["build (a)", "build (b)"],
        False,
        1,
    ),
    "no matrix": ('{"fail-fast": true, "max-parallel": null}', ["build"], True, 1),
    "everything excluded": ('{"matrix": {"os": ["a"], "exclude": [{"os": "a"}]}}', [], True, 0),
}


@pytest.mark.parametrize("case", STRATEGIES)
def test_strategy_as_one_expression_is_used_like_a_written_one(drive: Callable, case: str):
    text, names, fail_fast, limit = STRATEGIES[case]

    run = drive(job("strategy: ${{ fromJSON(vars.STRATEGY) }}"), vars={"STRATEGY": text})
    run.settle()

    assert run.rejected == {}
    assert run.names("build") == names
    for leg in run.jobs["build"].legs:
        assert (leg.leg.strategy["fail-fast"], leg.leg.strategy["max-parallel"]) == (fail_fast, limit)


BAD_STRATEGIES = {
    "null": "expected an object",
    "[1]": "expected an object",
    '{"fail-fast": "yes"}': "'fail-fast' evaluates to a value of kind string",
    '{"max-parallel": "2"}': "'max-parallel' evaluates to a value of kind string",
    '{"max": 2}': "an object with 'max'",
    '{"matrix": {"os": []}}': "matrix vector 'os' is empty",
    '{"matrix": "a"}': "the matrix is a string",
    "{": "does not evaluate",
}


@pytest.mark.parametrize("text", BAD_STRATEGIES)
def test_strategy_as_one_expression_of_the_wrong_kind_fails_the_job(drive: Callable, text: str):
    run = drive(job("strategy: ${{ fromJSON(vars.STRATEGY) }}"), vars={"STRATEGY": text})
    run.run()

    assert len(run.rejected["build"]) == 1
    assert BAD_STRATEGIES[text] in run.rejected["build"][0]
    assert run.conclusion == "failure"
