"""The ``validate`` command."""

import json
import os
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from terraphim_runner.cli import validate
from terraphim_runner.model.errors import UsageError

GOOD = "on: push\njobs: { a: { runs-on: x, steps: [run: echo] } }\n"
DOUBTFUL = "on: { push: { branches: ['!x'] } }\njobs: { a: { runs-on: x, steps: [run: echo] } }\n"


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
