"""``validate``: check workflow files and action metadata without running anything."""

import difflib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final

import typer

from terraphim_runner.cli.console import for_terminal
from terraphim_runner.cli.local_actions import LocalActions, is_workflow_folder, repository_of
from terraphim_runner.cli.source_file import read_source
from terraphim_runner.cli.workflow_file import local_files
from terraphim_runner.model.errors import UsageError
from terraphim_runner.model.source import Diagnostic, Related, Severity
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
from terraphim_runner.workflow.metadata import parse_action
from terraphim_runner.workflow.metadata.linking import FILE_NAMES
from terraphim_runner.workflow.tree import CallJob, Workflow

_DEFAULT: Final = Path(".github/workflows")
_SUFFIXES: Final = (".yml", ".yaml")
_NOT_SUPPORTED: Final = RuleText(id="not-supported", summary="legal, and not carried out by this runner yet")
_OF_ALL_CALLS: Final = frozenset({"call-depth", "call-count", "call-size"})
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
        typer.Argument(
            help="Workflow files, action.yml files, directories of them, or checkouts.", show_default=str(_DEFAULT)
        ),
    ] = None,
    *,
    output: Annotated[
        _Format,
        typer.Option(
            "--format", help="text for people, json for programs, github for a step's log, sarif for code scanning."
        ),
    ] = _Format.TEXT,
    disable: Annotated[
        list[str] | None, typer.Option(metavar="RULE", help="Do not warn of this; several with commas.")
    ] = None,
    warnings: Annotated[bool, typer.Option("--warnings/--no-warnings", help="Warn of what is legal and bites.")] = True,
) -> None:
    """Check workflow and action files by GitHub's rules: exit 0 when all are right, 2 when one is wrong or missing.

    Warnings do not change the exit code.
    """
    disabled = _disabled(disable or [])
    checkouts: dict[Path, LocalActions] = {}
    files = _files(paths or [_DEFAULT])
    checked = tuple(_check(file, disabled if warnings else None, checkouts) for file in files)
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
    wanted = [name.strip() for item in names for name in item.split(",")]
    for name in wanted:
        near = difflib.get_close_matches(name, known, n=1)
        if name not in known and near:
            raise UsageError(f"found --disable {name!r}, which is no rule; did you mean {near[0]!r}?")
    return frozenset(wanted)


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


def _is_action(file: Path) -> bool:
    return file.name in FILE_NAMES and not is_workflow_folder(file.parent)


def _inside(directory: Path) -> list[Path]:
    """Return the action's metadata, else the checkout's workflows, else every workflow that lies in the directory."""
    metadata = next((directory / name for name in FILE_NAMES if (directory / name).exists()), None)
    if metadata is not None and _is_action(metadata):
        return [metadata]
    folder = directory / _DEFAULT
    return (_workflows(folder) if folder.is_dir() else []) or _workflows(directory)


def _workflows(directory: Path) -> list[Path]:
    try:
        return sorted(item for item in directory.iterdir() if item.suffix in _SUFFIXES)
    except OSError as error:
        raise UsageError(f"could not list the directory {str(directory)!r}: {error.strerror}") from error


def _check(file: Path, disabled: frozenset[str] | None, checkouts: dict[Path, LocalActions]) -> CheckedFile:
    """Return what is wrong with a file, warnings included unless ``disabled`` is None.

    ``checkouts`` keeps, by its root, what was read of each checkout that a workflow lies in.
    """
    path = str(file)
    kind = "action" if _is_action(file) else "workflow"
    content = read_source(file, path)
    if isinstance(content, Diagnostic):
        return CheckedFile(path=path, kind=kind, diagnostics=(content,))
    workflow = None
    if kind == "action":
        found = parse_action(path, content).diagnostics
    else:
        # The question is whether the file is right under GitHub's rules, not whether this runner can run it.
        result = parse(path, content, check_support=False)
        workflow, found = result.workflow, result.diagnostics
    if workflow is not None:
        linked = _linked(file, workflow)
        # What is wrong in the called files themselves is told when they are checked.
        found += tuple(item for item in linked.diagnostics if item.path == path)
        found += tuple(_too_far(linked, path))
        found = tuple(sorted(found, key=lambda item: item.span.start))
        workflow = linked.workflow
    if disabled is None:
        found = tuple(item for item in found if item.severity is Severity.ERROR)
        return CheckedFile(path=path, kind=kind, text=content, diagnostics=found)
    kept = [item for item in found if item.severity is Severity.ERROR or item.rule not in disabled]
    if workflow is not None:
        kept += _warnings(file, workflow, disabled, checkouts)
    kept.sort(key=lambda item: item.span.start)
    return CheckedFile(path=path, kind=kind, text=content, diagnostics=tuple(kept))


def _warnings(
    file: Path, workflow: Workflow, disabled: frozenset[str], checkouts: dict[Path, LocalActions]
) -> Iterator[Diagnostic]:
    """Yield what bites in a valid workflow, its steps held against the actions of the checkout that it lies in."""
    root = repository_of(file)
    actions = checkouts.setdefault(root, LocalActions(root)).of(workflow) if root is not None else {}
    yield from lint(workflow, disabled=disabled, actions=actions)
    if _NOT_SUPPORTED.id not in disabled:
        yield from _gaps(workflow)


def _linked(file: Path, workflow: Workflow) -> Linked:
    """Link a file that lies in a checkout with those of the same checkout that it calls."""
    folder = file.absolute().parent
    calls = any(isinstance(job, CallJob) for job in workflow.jobs.values())
    if not calls or folder.parts[-2:] != _DEFAULT.parts:
        return Linked(workflow=workflow)
    at = FileReference(path=(_DEFAULT / file.name).as_posix())
    return Linker(workflow, at=at, check_support=False).follow(local_files(folder.parent.parent))


def _too_far(linked: Linked, path: str) -> Iterator[Diagnostic]:
    """Yield what is wrong with all the calls together: the file where they end is right by itself."""
    jobs = [job for job in linked.workflow.jobs.values() if isinstance(job, CallJob)]
    for item in linked.diagnostics:
        if item.path == path or item.rule not in _OF_ALL_CALLS:
            continue
        leads = next((job for job in jobs if item.path in _reached(linked.workflow.calls.get(job.key))), jobs[0])
        yield replace(
            item,
            path=path,
            span=leads.uses_span,
            message=f"the calls that begin here lead too far: {item.message}",
            related=(Related(message="where they end", span=item.span, path=item.path),),
        )


def _reached(workflow: Workflow | None) -> set[str]:
    """Return the paths of a called workflow and of all below it."""
    paths: set[str] = set()
    waiting = [] if workflow is None else [workflow]
    while waiting:
        called = waiting.pop()
        if called.path not in paths:
            paths.add(called.path)
            waiting += called.calls.values()
    return paths


def _gaps(workflow: Workflow) -> Iterator[Diagnostic]:
    """Yield a warning for each thing in a valid workflow that ``run`` and the server refuse for now."""
    for gap in unsupported(workflow)[:MAX_PER_RULE]:
        yield replace(gap, severity=Severity.WARNING)


def _print(found: Validation) -> None:
    diagnostics = render_diagnostics(found)
    for line in diagnostics.split("\n") if diagnostics else ():
        typer.echo(for_terminal(line), err=True)
    typer.echo(render_summary(found), err=not found.is_valid)
