"""``validate``: check workflow files without running anything."""

import json
import os
import stat
from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from terraphim_runner.cli.console import printable
from terraphim_runner.model.errors import UsageError
from terraphim_runner.model.source import Diagnostic, Span, has_errors
from terraphim_runner.workflow import parse
from terraphim_runner.workflow.yaml import MAX_BYTES

_DEFAULT: Final = Path(".github/workflows")
_SUFFIXES: Final = (".yml", ".yaml")
_OK: Final = 0
_INVALID: Final = 2


class _Format(StrEnum):
    TEXT = "text"
    JSON = "json"


def register(app: typer.Typer) -> None:
    """Add ``validate`` to the command line."""
    app.command("validate")(_validate)


def _validate(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(help="Workflow files or directories of them.", show_default=str(_DEFAULT)),
    ] = None,
    output: Annotated[_Format, typer.Option("--format", help="text for people, json for programs.")] = _Format.TEXT,
) -> None:
    """Check workflow files: exit 0 when all of them can be run, 2 when one cannot or is not there."""
    files = _files(paths or [_DEFAULT])
    found: list[tuple[Diagnostic, str | None]] = []
    for file in files:
        text, diagnostics = _check(file)
        found += [(diagnostic, text) for diagnostic in diagnostics]
    if output is _Format.JSON:
        typer.echo(json.dumps(_as_json(files, [diagnostic for diagnostic, _ in found]), indent=2))
    else:
        _print(files, found)
    raise typer.Exit(_INVALID if has_errors(diagnostic for diagnostic, _ in found) else _OK)


def _files(paths: Iterable[Path]) -> list[Path]:
    """Return the files to check, each once; raises ``UsageError`` for a path that leads to none."""
    files: dict[Path, None] = {}
    for path in paths:
        if path.is_dir():
            inside = _inside(path)
            if not inside:
                raise UsageError(f"found no workflow in {str(path)!r}, expected files that end with .yml or .yaml")
            files.update(dict.fromkeys(inside))
        elif path.exists():
            files[path] = None
        else:
            raise UsageError(f"found no file or directory {str(path)!r}, expected a workflow or a directory of them")
    return list(files)


def _inside(directory: Path) -> list[Path]:
    try:
        return sorted(item for item in directory.iterdir() if item.suffix in _SUFFIXES)
    except OSError as error:
        raise UsageError(f"could not list the directory {str(directory)!r}: {error.strerror}") from error


def _check(file: Path) -> tuple[str | None, tuple[Diagnostic, ...]]:
    """Return a file's text and what is wrong with it; a file that cannot be read is wrong, too."""
    path = str(file)
    try:
        # Opened without waiting: a named pipe in a directory of workflows must not hang the command.
        descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, "rb") as stream:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                return None, (_unreadable(path, "it is no regular file"),)
            # One byte more than is legal is enough for the parser to refuse the file.
            content = stream.read(MAX_BYTES + 1)
    except OSError as error:
        return None, (_unreadable(path, error.strerror or type(error).__name__),)
    if len(content) > MAX_BYTES:
        return None, (_unreadable(path, f"it is larger than {MAX_BYTES // 1024} KiB"),)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        return None, (_unreadable(path, f"byte {error.start + 1} is not UTF-8", line),)
    return text, parse(path, text).diagnostics


def _unreadable(path: str, reason: str, line: int = 1) -> Diagnostic:
    message = f"the file cannot be read: {reason}"
    return Diagnostic(path=path, span=Span.at(line, 1), rule="unreadable", message=message)


def _print(files: list[Path], found: list[tuple[Diagnostic, str | None]]) -> None:
    for diagnostic, text in found:
        for line in diagnostic.render(text).splitlines():
            typer.echo(printable(line), err=True)
    workflows = "1 workflow" if len(files) == 1 else f"{len(files)} workflows"
    if found:
        problems = "1 problem" if len(found) == 1 else f"{len(found)} problems"
        typer.echo(f"{workflows}, {problems}", err=True)
    else:
        typer.echo(f"{workflows}, no problems")


def _as_json(files: list[Path], found: list[Diagnostic]) -> dict[str, Any]:
    return {
        "valid": not has_errors(found),
        "files": [str(file) for file in files],
        "diagnostics": [
            {
                "path": item.path,
                "span": _span(item.span),
                "severity": item.severity.value,
                "rule": item.rule,
                "message": item.message,
                "fix": item.fix,
                "related": [{"message": other.message, "span": _span(other.span)} for other in item.related],
            }
            for item in found
        ],
    }


def _span(span: Span) -> dict[str, dict[str, int]]:
    return {
        name: {"line": place.line, "column": place.column} for name, place in (("start", span.start), ("end", span.end))
    }
