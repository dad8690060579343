"""``validate``: check workflow files without running anything."""

import difflib
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final

import typer

from terraphim_runner.cli.console import for_terminal
from terraphim_runner.cli.workflow_file import local_files
from terraphim_runner.model.errors import UsageError
from terraphim_runner.model.source import Diagnostic, Severity, Span
from terraphim_runner.reports.validation import (
    CheckedFile,
    RuleText,
    Validation,
    render_commands,
    render_diagnostics,
    render_json,
    render_sarif,
    render_summary,
)
from terraphim_runner.workflow import parse, unsupported
from terraphim_runner.workflow.linking import FileReference, Linked, Linker
from terraphim_runner.workflow.lint import MAX_PER_RULE, RULES, lint
from terraphim_runner.workflow.tree import CallJob, Workflow
from terraphim_runner.workflow.yaml import MAX_BYTES

_DEFAULT: Final = Path(".github/workflows")
_SUFFIXES: Final = (".yml", ".yaml")
_NOT_SUPPORTED: Final = RuleText(id="not-supported", summary="legal, and not carried out by this runner yet")
_OK: Final = 0
_INVALID: Final = 2


class _Format(StrEnum):
    TEXT = "text"
    JSON = "json"
    GITHUB = "github"
    SARIF = "sarif"


_DOCUMENTS: Final[dict[_Format, Callable[[Validation], str]]] = {
    _Format.JSON: render_json,
    _Format.GITHUB: render_commands,
    _Format.SARIF: render_sarif,
}


def register(app: typer.Typer) -> None:
    """Add ``validate`` to the command line."""
    app.command("validate")(_validate)


def _validate(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(help="Workflow files or directories of them.", show_default=str(_DEFAULT)),
    ] = None,
    *,
    output: Annotated[
        _Format,
        typer.Option(
            "--format", help="text for people, json for programs, github for a step's log, sarif for code scanning."
        ),
    ] = _Format.TEXT,
    disable: Annotated[list[str] | None, typer.Option(metavar="RULE", help="Do not warn of this.")] = None,
    warnings: Annotated[bool, typer.Option("--warnings/--no-warnings", help="Warn of what is legal and bites.")] = True,
) -> None:
    """Check workflow files by GitHub's rules: exit 0 when all are right, 2 when one is not or is not there.

    Warnings do not change the exit code.
    """
    disabled = _disabled(disable or [])
    checked = tuple(_check(file, disabled if warnings else None) for file in _files(paths or [_DEFAULT]))
    described = (RuleText(id=rule.id, summary=rule.summary) for rule in RULES)
    found = Validation(files=checked, rules=(*described, _NOT_SUPPORTED))
    if output is _Format.TEXT:
        _print(found)
    else:
        document = _DOCUMENTS[output](found)
        for line in document.split("\n") if document else ():
            typer.echo(for_terminal(line))
    raise typer.Exit(_OK if found.is_valid else _INVALID)


def _disabled(names: list[str]) -> frozenset[str]:
    """Return the rules that are switched off. A parser's warning can be, too, so only a near miss is refused."""
    known = [*(rule.id for rule in RULES), _NOT_SUPPORTED.id]
    for name in names:
        near = difflib.get_close_matches(name, known, n=1)
        if name not in known and near:
            raise UsageError(f"found --disable {name!r}, which is no rule; did you mean {near[0]!r}?")
    return frozenset(names)


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


def _check(file: Path, disabled: frozenset[str] | None) -> CheckedFile:
    """Return what is wrong with a file, warnings included unless ``disabled`` is None."""
    path = str(file)
    content = _read(file)
    if isinstance(content, Diagnostic):
        return CheckedFile(path=path, diagnostics=(content,))
    # The question is whether the file is right under GitHub's rules, not whether this runner can run it.
    result = parse(path, content, check_support=False)
    found = list(result.diagnostics)
    workflow = result.workflow
    if workflow is not None:
        linked = _linked(file, workflow)
        # What is wrong in the called files themselves is told when they are checked.
        found += [item for item in linked.diagnostics if item.path == path]
        workflow = linked.workflow
    if disabled is None:
        found = [item for item in found if item.severity is Severity.ERROR]
        return CheckedFile(path=path, text=content, diagnostics=tuple(found))
    kept = [item for item in found if item.severity is Severity.ERROR or item.rule not in disabled]
    if workflow is not None:
        kept += lint(workflow, disabled=disabled)
        if _NOT_SUPPORTED.id not in disabled:
            kept += _gaps(workflow)
    return CheckedFile(path=path, text=content, diagnostics=tuple(sorted(kept, key=lambda item: item.span.start)))


def _linked(file: Path, workflow: Workflow) -> Linked:
    """Link a file that lies in a checkout with those of the same checkout that it calls."""
    folder = file.absolute().parent
    calls = any(isinstance(job, CallJob) for job in workflow.jobs.values())
    if not calls or folder.parts[-2:] != _DEFAULT.parts:
        return Linked(workflow=workflow)
    at = FileReference(path=(_DEFAULT / file.name).as_posix())
    return Linker(workflow, at=at, check_support=False).follow(local_files(folder.parent.parent))


def _gaps(workflow: Workflow) -> Iterator[Diagnostic]:
    """Yield a warning for each thing in a valid workflow that ``run`` and the server refuse for now."""
    for gap in unsupported(workflow)[:MAX_PER_RULE]:
        yield replace(gap, severity=Severity.WARNING)


def _read(file: Path) -> str | Diagnostic:
    """Return a file's text, or why there is none: a file that cannot be read is wrong, too."""
    path = str(file)
    try:
        # Opened without waiting: a named pipe in a directory of workflows must not hang the command.
        descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, "rb") as stream:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                return _unreadable(path, "it is no regular file")
            # One byte more than is legal is enough for the parser to refuse the file.
            content = stream.read(MAX_BYTES + 1)
    except OSError as error:
        return _unreadable(path, error.strerror or type(error).__name__)
    if len(content) > MAX_BYTES:
        return _unreadable(path, f"it is larger than {MAX_BYTES // 1024} KiB")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        return _unreadable(path, f"byte {error.start + 1} is not UTF-8", line)


def _unreadable(path: str, reason: str, line: int = 1) -> Diagnostic:
    message = f"the file cannot be read: {reason}"
    return Diagnostic(path=path, span=Span.at(line, 1), rule="unreadable", message=message)


def _print(found: Validation) -> None:
    diagnostics = render_diagnostics(found)
    for line in diagnostics.split("\n") if diagnostics else ():
        typer.echo(for_terminal(line), err=True)
    typer.echo(render_summary(found), err=not found.is_valid)
