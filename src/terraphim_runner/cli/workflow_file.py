"""One workflow file of a local checkout, read and checked."""

from pathlib import Path
from typing import Final

import typer

from terraphim_runner.cli.console import for_terminal
from terraphim_runner.model.errors import UsageError
from terraphim_runner.workflow import parse
from terraphim_runner.workflow.tree import Workflow

MAX_WORKFLOW_BYTES: Final = 1024 * 1024

_BAD_INPUT: Final = 2


def read_workflow(named: Path, repository: Path) -> Workflow:
    """Return the valid workflow that ``named`` means: a path from here, from the repository, or a bare file name.

    What is wrong or doubtful in it is printed to stderr; with an error the command ends with exit code 2. Raises
    ``UsageError`` when the file cannot be read at all.
    """
    path = _find(named, repository)
    text = _read(path)
    result = parse(_shown(path, repository), text)
    for diagnostic in result.diagnostics:
        for line in diagnostic.render(text).splitlines():
            typer.echo(for_terminal(line), err=True)
    if result.workflow is None:
        raise typer.Exit(_BAD_INPUT)
    return result.workflow


def workflow_paths(repository: Path, named: Path | None) -> list[Path]:
    """Return the named workflow, or every one of the checkout by name. Raises ``UsageError`` when there is none."""
    folder = repository / ".github/workflows"
    paths = [named] if named else sorted(path for path in folder.glob("*") if path.suffix in {".yml", ".yaml"})
    if not paths:
        raise UsageError(f"found no workflow below {str(folder)!r}; name one with --workflow")
    return paths


def _find(named: Path, repository: Path) -> Path:
    for path in (named, repository / named, repository / ".github/workflows" / named):
        if path.is_file():
            return path
    raise UsageError(f"found no workflow file {str(named)!r}, here or below {str(repository)!r}")


def _read(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            content = stream.read(MAX_WORKFLOW_BYTES + 1)
    except OSError as error:
        raise UsageError(f"cannot read {str(path)!r}: {error.strerror}") from error
    if len(content) > MAX_WORKFLOW_BYTES:
        raise UsageError(f"{str(path)!r} is larger than {MAX_WORKFLOW_BYTES} bytes; expected a workflow file")
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise UsageError(f"{str(path)!r} is not UTF-8: byte {error.start} is not; expected a workflow file") from error


def _shown(path: Path, repository: Path) -> str:
    try:
        return path.resolve().relative_to(repository.resolve()).as_posix()
    except ValueError:
        return path.as_posix()
