"""``terraphim-runner eval`` as a person or a program calls it: a real process."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from terraphim_runner.cli.eval import evaluate_line

PROGRAM = """
import sys, typer
from terraphim_runner.cli import eval
from terraphim_runner.model.errors import UsageError
app = typer.Typer()
app.callback()(lambda: None)
eval.register(app)
try:
    app()
except UsageError as error:
    sys.exit(f"error: {error}" and (sys.stderr.write(f"error: {error}\\n") and 2))
"""


def run(*arguments: str, cwd: Path, stdin: bytes = b"") -> tuple[int, str, str]:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, "eval", *arguments],
        input=stdin,
        capture_output=True,
        cwd=cwd,
        timeout=30,
        check=False,
    )
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def test_text_is_printed_raw_and_anything_else_as_json(tmp_path: Path) -> None:
    context = tmp_path / "context.json"
    context.write_text('{"github": {"ref": "refs/heads/ä", "tags": ["a", 1.0, null]}}', "utf-8")
    option = ("--context-file", str(context))
    assert run("github.ref", *option, cwd=tmp_path) == (0, "refs/heads/ä\n", "")
    assert run("${{ github.tags }}", *option, cwd=tmp_path) == (0, '["a", 1, null]\n', "")
    assert run("ref=${{ github.ref }}", *option, "--json", cwd=tmp_path) == (
        0,
        '{"result": "ref=refs/heads/ä", "kind": "string"}\n',
        "",
    )
    assert run("-Infinity", cwd=tmp_path) == (0, '"-Infinity"\n', "")


def test_bad_input_is_told_on_stderr_with_exit_2(tmp_path: Path) -> None:
    (tmp_path / "bad.json").write_text("[1", "utf-8")
    (tmp_path / "list.json").write_text("[1]", "utf-8")
    for arguments, message in (
        (("1 = 1",), "error: found '=', expected '==' (at character 3 of the expression)\n"),
        (("fromJSON('')",), "error: found empty text as the argument of fromJSON(), expected JSON\n"),
        ((), "error: found no expression, expected EXPR or --batch FILE\n"),
        (("1", "--context-file", "none.json"), "cannot read the context file 'none.json': No such file or directory\n"),
        (("1", "--context-file", "bad.json"), "the context file 'bad.json' is not JSON: "),
        (("1", "--context-file", "list.json"), "holds an array, expected an object of contexts\n"),
        (("1", "--batch", "-"), "expected --batch alone\n"),
        (("--batch", "none.jsonl"), "cannot read the batch 'none.jsonl': No such file or directory\n"),
    ):
        code, output, errors = run(*arguments, cwd=tmp_path)
        assert (code, output) == (2, "")
        assert message in errors


def test_batch_answers_every_line_in_order(tmp_path: Path) -> None:
    lines = [
        b'{"expr": "1 == 1"}',
        b'{"expr": "a.b", "context": {"a": {"b": [1e999, {"c": NaN}]}}}',
        b"",
        b"not json",
        b"\xff\xfe",
        b"[]",
        b'{"context": {}}',
        b'{"expr": "1", "context": []}',
        b'{"expr": "nope"}',
        b'{"expr": "\xc3\xa9 ${{ -0 }}"}',
    ]
    (tmp_path / "batch.jsonl").write_bytes(b"\n".join(lines))
    code, output, errors = run("--batch", "batch.jsonl", cwd=tmp_path)
    assert (code, errors) == (0, "")
    answers = [json.loads(line) for line in output.splitlines()]
    assert answers[0] == {"result": True, "kind": "boolean"}
    assert answers[1] == {"result": ["Infinity", {"c": "NaN"}], "kind": "array"}
    assert [list(answer) for answer in answers[2:9]] == [["error"]] * 7
    assert answers[9] == {"result": "é 0", "kind": "string"}
    assert run("--batch", "-", cwd=tmp_path, stdin=b"\n".join(lines))[1] == output


@pytest.mark.parametrize(
    "line",
    [
        b'{"expr": "hashFiles(a)", "context": {"a": "x\\u0000"}}',
        b'{"expr": "hashFiles(1)", "context": {"github": {"workspace": "x\\u0000"}}}',
        b'{"expr": "a", "context": {"a": ' + b"[" * 5_000 + b"]" * 5_000 + b"}}",
        b'{"expr": 5}',
        b"[" * 200_000,
        b"null",
    ],
)
def test_hostile_line_of_a_batch_is_answered_with_an_error(line: bytes) -> None:
    assert list(evaluate_line(line)) == ["error"]


def test_hash_files_looks_below_the_workspace_of_the_context(tmp_path: Path) -> None:
    (tmp_path / "lock").write_bytes(b"x")
    request = {"expr": "hashFiles('lock') != ''", "context": {"github": {"workspace": str(tmp_path)}}}
    assert evaluate_line(json.dumps(request).encode()) == {"result": True, "kind": "boolean"}
