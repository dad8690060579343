"""``terraphim-runner eval``: evaluates expressions against contexts from a file, one or thousands of them.

The status functions follow ``job.status`` of the context, and are those of a job that goes well when it has none.
``hashFiles`` looks below ``github.workspace`` of the context, or below the current directory.
"""

import json
import os
import sys
from collections.abc import Callable, Mapping
from math import isfinite
from pathlib import Path
from typing import Annotated, Any, BinaryIO, Final, cast

import typer

from terraphim_runner.expressions import (
    CONTEXTS,
    SPECIAL_FUNCTIONS,
    Array,
    Availability,
    EvaluationError,
    ExpressionError,
    Object,
    Scope,
    Value,
    evaluate,
    from_json,
    kind,
    parse,
    parse_template,
    resolve,
    to_json,
    to_string,
)
from terraphim_runner.guest.hash_files import HashFilesError, hash_files
from terraphim_runner.model.errors import UsageError
from terraphim_runner.model.source import Span

MAX_CONTEXT_BYTES: Final = 64 * 1024 * 1024
"""How large a context file, or a line of a batch, may be."""

_STATUSES: Final = frozenset({"success", "failure", "cancelled"})


def register(app: typer.Typer) -> None:
    """Add the ``eval`` command to an application."""
    # So that "-1" is an expression.
    app.command("eval", context_settings={"ignore_unknown_options": True})(eval_command)


def eval_command(
    expression: Annotated[str | None, typer.Argument(metavar="EXPR", help="With or without ${{ }}.")] = None,
    *,
    context_file: Annotated[Path | None, typer.Option(help="JSON: an object of contexts; - is stdin.")] = None,
    batch: Annotated[
        Path | None, typer.Option(help='Evaluate lines of {"expr", "context"} instead; - is stdin.')
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result with its kind.")] = False,
) -> None:
    """Evaluate an expression and print its value: text as it is, anything else as JSON."""
    if batch is not None:
        if expression is not None or context_file is not None:
            raise UsageError("found --batch with an expression or a context file, expected --batch alone")
        _run_batch(batch)
        return
    if expression is None:
        raise UsageError("found no expression, expected EXPR or --batch FILE")
    contexts = {} if context_file is None else _read_contexts(context_file)
    try:
        value = evaluate_text(expression, contexts)
    except ExpressionError as error:
        raise UsageError(f"{error.message} (at character {error.offset + 1} of the expression)") from None
    except EvaluationError as error:
        raise UsageError(error.message) from None
    if isinstance(value, str) and not as_json:
        _write(value)
    else:
        _write(_dump(_report(value) if as_json else _plain(value)))


def evaluate_text(text: str, contexts: Mapping[str, Any]) -> Value:
    """Return the value of an expression, or of a text with ``${{ }}`` in it, against contexts as plain JSON.

    What is an expression as it stands is taken as one, even with ``${{`` inside of quotes. Allowed are the contexts
    that GitHub knows and those that are given. Raises ``ExpressionError``, ``EvaluationError``.
    """
    allowed = _availability(contexts)
    scope = _scope(contexts)
    try:
        expression = parse(text, allowed=allowed)
    except ExpressionError:
        if "${{" not in text:
            raise
        return resolve(parse_template(text, allowed=allowed, span=Span.at(1, 1)), scope)
    return evaluate(expression, scope)


def evaluate_line(line: bytes) -> dict[str, Any]:
    """Return what a batch answers to one line: ``result`` and ``kind``, or ``error``. Never raises for bad input."""
    try:
        value = evaluate_text(*_request(line))
    except (ExpressionError, EvaluationError, UsageError) as error:
        return {"error": str(error)}
    return _report(value)


def _request(line: bytes) -> tuple[str, dict[str, Any]]:
    request = _decode(line.rstrip(b"\r\n"), "the line")
    if not isinstance(request, dict):
        raise UsageError(f"the line is {_json_kind(request)}, expected an object with 'expr' and 'context'")
    members = cast("dict[str, object]", request)
    text, contexts = members.get("expr"), members.get("context")
    if not isinstance(text, str):
        raise UsageError(f"found {_json_kind(text)} as 'expr', expected text")
    if contexts is None:
        return text, {}
    if not isinstance(contexts, dict):
        raise UsageError(f"found {_json_kind(contexts)} as 'context', expected an object")
    return text, cast("dict[str, Any]", contexts)


def _run_batch(path: Path) -> None:
    try:
        if str(path) == "-":
            _answer(sys.stdin.buffer)
            return
        with path.open("rb") as lines:
            _answer(lines)
    except BrokenPipeError:
        # The reader has seen enough (| head), and nobody is left to be told.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(1) from None
    except OSError as error:
        raise UsageError(f"cannot read the batch {str(path)!r}: {error.strerror}") from None


def _answer(file: BinaryIO) -> None:
    while line := file.readline(MAX_CONTEXT_BYTES + 1):
        _write(_dump(evaluate_line(line)))
        while len(line) > MAX_CONTEXT_BYTES and not line.endswith(b"\n"):
            line = file.readline(MAX_CONTEXT_BYTES + 1)


def _availability(contexts: Mapping[str, Any]) -> Availability:
    # The given spelling wins, for that is what the scope is keyed by.
    own = {name.lower(): name for name in contexts}
    names = frozenset(own.values()) | (CONTEXTS - own.keys())
    return Availability(contexts=names, functions=SPECIAL_FUNCTIONS, where="eval", status_arguments=255)


def _scope(contexts: Mapping[str, Any]) -> Scope:
    values = from_json(contexts)
    if not isinstance(values, Object):
        raise TypeError(f"found {kind(values)} as the contexts, expected an object")
    job = values.get("job")
    given = job.get("status") if isinstance(job, Object) else None
    status = given.lower() if isinstance(given, str) and given.lower() in _STATUSES else "success"
    github = values.get("github")
    workspace = github.get("workspace") if isinstance(github, Object) else None
    root = Path(workspace) if isinstance(workspace, str) and workspace else Path()
    functions: dict[str, Callable[[list[Value]], Value]] = {
        **{name: _constant(name == status) for name in _STATUSES},
        "always": _constant(True),
        "hashFiles": lambda arguments: _hash_files(root, arguments),
    }
    return Scope(contexts=dict(values.items()), functions=functions)


def _hash_files(root: Path, patterns: list[Value]) -> str:
    try:
        return hash_files(root, [to_string(pattern) for pattern in patterns])
    except HashFilesError as error:
        raise EvaluationError(str(error)) from None


def _constant(value: bool) -> Callable[[list[Value]], Value]:
    return lambda _arguments: value


def _read_contexts(path: Path) -> dict[str, Any]:
    try:
        data = sys.stdin.buffer.read(MAX_CONTEXT_BYTES + 1) if str(path) == "-" else _read(path)
    except OSError as error:
        raise UsageError(f"cannot read the context file {str(path)!r}: {error.strerror}") from None
    contexts = _decode(data, f"the context file {str(path)!r}")
    if not isinstance(contexts, dict):
        raise UsageError(f"the context file {str(path)!r} holds {_json_kind(contexts)}, expected an object of contexts")
    return cast("dict[str, Any]", contexts)


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(MAX_CONTEXT_BYTES + 1)


def _decode(data: bytes, what: str) -> object:
    if len(data) > MAX_CONTEXT_BYTES:
        raise UsageError(f"{what} is larger than {MAX_CONTEXT_BYTES} bytes")
    try:
        return json.loads(data.decode("utf-8-sig"), parse_int=float)
    except UnicodeDecodeError:
        raise UsageError(f"{what} is not UTF-8") from None
    except json.JSONDecodeError as error:
        raise UsageError(f"{what} is not JSON: {error.msg.lower()} at line {error.lineno}:{error.colno}") from None
    except RecursionError:
        raise UsageError(f"{what} is nested too deep") from None


def _json_kind(plain: object) -> str:
    match plain:
        case None:
            return "null"
        case dict():
            return "an object"
        case list():
            return "an array"
        case _:
            return f"a {kind(from_json(plain))}"


def _report(value: Value) -> dict[str, Any]:
    return {"result": _plain(value), "kind": kind(value)}


def _plain(value: Value) -> Any:
    """Return plain JSON data in which NaN and infinities, which JSON does not know, are texts."""
    match value:
        case Array():
            return [_plain(item) for item in value]
        case Object():
            return {key: _plain(item) for key, item in value.items()}
        case float() if not isfinite(value):
            return to_string(value)
        case _:
            return to_json(value)


def _dump(plain: object) -> str:
    return json.dumps(plain, ensure_ascii=False)


def _write(text: str) -> None:
    sys.stdout.buffer.write(text.encode(errors="replace") + b"\n")
    sys.stdout.buffer.flush()
