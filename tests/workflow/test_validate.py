"""The ``validate`` command."""

import json
import os
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from terraphim_runner.cli import validate
from terraphim_runner.model.errors import UsageError
from terraphim_runner.workflow.lint import MAX_PER_RULE

GOOD = "on: push\njobs: { a: { runs-on: x, timeout-minutes: 5, steps: [run: echo] } }\n"
DOUBTFUL = "on: { push: { branches: ['!x'] } }\njobs: { a: { runs-on: x, steps: [run: echo] } }\n"
BITING = "on: push\njobs: { a: { runs-on: x, steps: [run: 'echo ${{ github.head_ref }}'] } }\n"
BROKEN = "on: push\nenv: {A: 1, a: 2}\njobs: { a: { runs-on: x, steps: [run: echo] } }\n"


@pytest.fixture(autouse=True)
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / ".github/workflows").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def validated(*arguments: str) -> Result:
    app = typer.Typer()
    validate.register(app)
    return CliRunner().invoke(app, list(arguments))


def test_validate_without_paths_checks_the_workflows_of_the_directory(repository: Path) -> None:
    (repository / ".github/workflows/a.yml").write_text(GOOD)
    (repository / ".github/workflows/b.yaml").write_text(GOOD)
    (repository / ".github/workflows/README.md").write_text("no workflow")
    result = validated()
    assert (result.exit_code, result.stdout, result.stderr) == (0, "2 workflows, no problems\n", "")


def test_validate_checkout_means_its_workflows_and_no_other_files(repository: Path) -> None:
    (repository / ".github/workflows/a.yml").write_text(GOOD)
    (repository / "compose.yml").write_text("services: {}\n")
    for argument in (".", str(repository)):
        result = validated(argument)
        assert (result.exit_code, result.stdout, result.stderr) == (0, "1 workflow, no problems\n", "")


@pytest.mark.parametrize(("last", "code"), [(11, 0), (12, 2)])
def test_validate_calls_that_lead_too_far_are_told_where_they_begin(repository: Path, last: int, code: int) -> None:
    folder = repository / ".github/workflows"
    call = "jobs: {{ other: {{ uses: ./.github/workflows/l2.yml }}, c: {{ uses: ./.github/workflows/l{}.yml }} }}\n"
    (folder / "l1.yml").write_text("on: push\n" + call.format(3))
    (folder / "l2.yml").write_text("on: workflow_call\n" + GOOD.partition("\n")[2])
    for level in range(3, last + 1):
        below = call.format(level + 1) if level < last else GOOD.partition("\n")[2]
        (folder / f"l{level}.yml").write_text("on: workflow_call\n" + below)
    result = validated(".github/workflows/l1.yml", "--no-warnings", "--format", "json")
    assert result.exit_code == code
    told = {(item["rule"], item["span"]["start"]["column"]) for item in json.loads(result.stdout)["diagnostics"]}
    assert told == (set() if code == 0 else {("call-depth", 65)})


def test_validate_file_with_mistakes_shows_the_place_and_exits_2() -> None:
    Path("bad.yml").write_text("on: push\njobs: {}\n")
    result = validated("bad.yml")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.splitlines() == [
        "bad.yml:2:7: found a workflow without jobs, expected at least one below 'jobs' [no-jobs]",
        " 2 | jobs: {}",
        "   |       ^^",
        "1 workflow, 1 problem",
    ]


def test_validate_file_with_warnings_only_exits_0() -> None:
    Path("w.yml").write_text(DOUBTFUL)
    result = validated("w.yml")
    assert result.exit_code == 0
    assert "warning: every pattern of 'branches' excludes" in result.stderr


def test_validate_json_is_one_document_for_programs() -> None:
    Path("good.yml").write_text(GOOD)
    Path("bad.yml").write_text("on: push\nenv: {A: 1, a: 2}\njobs: { a: { runs-on: x, steps: [run: echo] } }\n")
    result = validated("good.yml", "bad.yml", "--format", "json")
    assert result.exit_code == 2
    found = json.loads(result.stdout)
    assert found["valid"] is False
    assert found["files"] == ["good.yml", "bad.yml"]
    (item,) = found["diagnostics"]
    assert item["path"] == "bad.yml"
    assert item["rule"] == "duplicate-key"
    assert item["severity"] == "error"
    assert item["span"] == {"start": {"line": 2, "column": 13}, "end": {"line": 2, "column": 14}}
    assert item["related"][0]["span"]["start"] == {"line": 2, "column": 7}
    assert json.loads(validated("good.yml", "--format", "json").stdout)["valid"] is True


@pytest.mark.parametrize(
    ("argument", "words"),
    [("gone.yml", "found no file or directory 'gone.yml'"), ("empty", "found no workflow in 'empty'")],
)
def test_validate_path_that_leads_nowhere_is_a_usage_error(repository: Path, argument: str, words: str) -> None:
    (repository / "empty").mkdir()
    result = validated(argument)
    assert isinstance(result.exception, UsageError)
    assert words in str(result.exception)


def test_validate_file_that_is_no_readable_text_is_a_diagnostic_not_a_hang(repository: Path) -> None:
    (repository / "binary.yml").write_bytes(b"on: push\n\xff\n")
    (repository / "large.yml").write_bytes(b"#" * (1024 * 1024 + 1))
    (repository / "loop.yml").symlink_to("loop.yml")
    os.mkfifo(repository / "pipe.yml")
    result = validated("binary.yml", "large.yml", "pipe.yml")
    assert result.exit_code == 2
    assert result.stderr.splitlines()[:-1] == [
        "binary.yml:2:1: the file cannot be read: byte 10 is not UTF-8 [unreadable]",
        "large.yml:1:1: the file cannot be read: it is larger than 1024 KiB [unreadable]",
        "pipe.yml:1:1: the file cannot be read: it is no regular file [unreadable]",
    ]
    assert "loop.yml:1:1: the file cannot be read" in validated(".").stderr


def test_validate_hostile_content_cannot_steer_the_terminal() -> None:
    Path("bad.yml").write_text("on: push\n\x1b]0;x\x07: y\n")
    assert "\x1b" not in validated("bad.yml").stderr


def test_validate_warnings_do_not_change_the_exit_code_and_are_counted() -> None:
    Path("w.yml").write_text(BITING)
    result = validated("w.yml")
    assert (result.exit_code, result.stdout) == (0, "1 workflow, 2 warnings\n")
    assert "w.yml:2:9: warning: job 'a' has no 'timeout-minutes'" in result.stderr
    assert "w.yml:2:49: warning: found 'github.head_ref' in a script" in result.stderr


def test_validate_rule_that_is_disabled_is_silent() -> None:
    Path("w.yml").write_text(BITING)
    result = validated("w.yml", "--disable", "script-injection", "--disable", "missing-timeout")
    assert (result.stdout, result.stderr) == ("1 workflow, no problems\n", "")


def test_validate_warning_of_the_parser_can_be_disabled_too() -> None:
    Path("w.yml").write_text(DOUBTFUL)
    assert "filter-excludes-all" not in validated("w.yml", "--disable", "filter-excludes-all").stderr


def test_validate_without_warnings_shows_errors_only() -> None:
    Path("doubtful.yml").write_text(DOUBTFUL)
    assert validated("doubtful.yml", "--no-warnings").stdout == "1 workflow, no problems\n"
    Path("bad.yml").write_text(BROKEN)
    result = validated("bad.yml", "--no-warnings")
    assert result.exit_code == 2
    assert "[duplicate-key]" in result.stderr


def test_validate_misspelled_rule_is_a_usage_error() -> None:
    Path("w.yml").write_text(GOOD)
    result = validated("w.yml", "--disable", "missing-timeouts")
    assert isinstance(result.exception, UsageError)
    assert "did you mean 'missing-timeout'?" in str(result.exception)


def test_validate_for_a_step_prints_workflow_commands() -> None:
    Path("a,b.yml").write_text(BROKEN)
    Path("w.yml").write_text(BITING)
    result = validated("a,b.yml", "w.yml", "--format", "github", "--disable", "missing-timeout")
    assert result.exit_code == 2
    first, second = result.stdout.splitlines()
    assert first.startswith("::error file=a%2Cb.yml,line=2,col=13,endColumn=13,title=duplicate-key::")
    assert second.startswith("::warning file=w.yml,line=2,col=49,endColumn=63,title=script-injection::found")
    assert "%0Afix: " in second


def test_validate_for_code_scanning_prints_one_sarif_document() -> None:
    Path("bad name.yml").write_text(BROKEN)
    Path("w.yml").write_text(BITING)
    result = validated("bad name.yml", "w.yml", "--format", "sarif")
    assert result.exit_code == 2
    document = json.loads(result.stdout)
    assert document["version"] == "2.1.0"
    (run,) = document["runs"]
    rules = run["tool"]["driver"]["rules"]
    assert [rule["id"] for rule in rules] == ["duplicate-key", "missing-timeout", "script-injection"]
    assert rules[1]["shortDescription"]["text"]
    error = run["results"][0]
    assert (error["level"], error["ruleId"], error["ruleIndex"]) == ("error", "duplicate-key", 0)
    place = error["locations"][0]["physicalLocation"]
    assert place["artifactLocation"]["uri"] == "bad%20name.yml"
    assert place["region"] == {"startLine": 2, "startColumn": 13, "endLine": 2, "endColumn": 14}
    assert error["relatedLocations"][0]["physicalLocation"]["region"]["startColumn"] == 7
    assert {item["level"] for item in run["results"][1:]} == {"warning"}


@pytest.mark.parametrize("form", ["text", "json", "github", "sarif"])
def test_validate_hostile_content_in_any_format_stays_inside_of_its_line(form: str) -> None:
    Path("bad.yml").write_text('on: push\n"a\\n::error::x\\x1b]0;x\\x07": y\n')
    result = validated("bad.yml", "--format", form)
    shown = result.stdout + result.stderr
    assert "\x1b" not in shown
    assert not any(line.startswith("::error::") for line in shown.splitlines())


@pytest.mark.parametrize("separator", ["\u2028", "\n", "\r", "\x0b", "\x85"])
def test_validate_hostile_file_name_cannot_begin_a_workflow_command(separator: str) -> None:
    Path(f"a{separator}::error::x.yml").write_text(BROKEN)
    result = validated(".", "--format", "github", "--no-warnings")
    assert [line[:12] for line in result.stdout.splitlines()] == ["::error file"]
    shown = validated(".").stderr
    assert "::error::x.yml:2:13: " in shown
    assert not any(line.startswith("::") for line in shown.splitlines())


ACTION = "on: push\njobs: {a: {runs-on: x, timeout-minutes: 5, steps: [{uses: owner/repo@main}]}}\n"


def test_validate_what_is_legal_and_not_carried_out_yet_is_a_warning() -> None:
    Path("w.yml").write_text(ACTION)
    result = validated("w.yml")
    assert (result.exit_code, result.stdout) == (0, "1 workflow, 2 warnings\n")
    assert "w.yml:2:59: warning: found the third-party action" in result.stderr
    assert "w.yml:2:59: warning: the action 'owner/repo@main'" in result.stderr
    assert "[not-supported]" in result.stderr


@pytest.mark.parametrize(
    "options",
    [
        ("--disable", "not-supported", "--disable", "unpinned-action"),
        ("--disable", "not-supported, unpinned-action"),
        ("--no-warnings",),
    ],
)
def test_validate_what_is_not_carried_out_yet_can_be_disabled(options: tuple[str, ...]) -> None:
    Path("w.yml").write_text(ACTION)
    result = validated("w.yml", *options)
    assert (result.exit_code, result.stdout, result.stderr) == (0, "1 workflow, no problems\n", "")


def test_validate_sarif_describes_what_is_not_carried_out_yet() -> None:
    Path("w.yml").write_text(ACTION)
    (run,) = json.loads(validated("w.yml", "--format", "sarif", "--disable", "unpinned-action").stdout)["runs"]
    (rule,) = run["tool"]["driver"]["rules"]
    assert rule["id"] == "not-supported"
    assert rule["shortDescription"]["text"]
    assert [item["level"] for item in run["results"]] == ["warning"]


def test_validate_thousands_of_steps_that_are_not_carried_out_are_told_in_part() -> None:
    steps = "      - uses: actions/setup-python@v5\n" * 1_000
    Path("w.yml").write_text(f"on: push\njobs:\n  a:\n    runs-on: x\n    timeout-minutes: 1\n    steps:\n{steps}")
    result = validated("w.yml")
    assert (result.exit_code, result.stdout) == (0, f"1 workflow, {MAX_PER_RULE} warnings\n")
