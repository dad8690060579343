"""One workflow file of a local checkout, read and checked."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

import typer

from terraphim_runner.cli.console import for_terminal
from terraphim_runner.cli.working_files import read_working_file
from terraphim_runner.model.errors import UsageError
from terraphim_runner.model.source import Diagnostic
from terraphim_runner.workflow import parse
from terraphim_runner.workflow.linking import CalledFile, FileReference, Linked, Linker
from terraphim_runner.workflow.tree import Workflow

MAX_WORKFLOW_BYTES: Final = 1024 * 1024

_BAD_INPUT: Final = 2


def read_workflow(named: Path, repository: Path, *, to_run: bool = True) -> Workflow:
    """Return the valid workflow that ``named`` means: a path from here, from the repository, or a bare file name.

    One that is not ``to_run`` may hold what is not carried out yet.

    What is wrong or doubtful in it is printed to stderr; with an error the command ends with exit code 2. Raises
    ``UsageError`` when the file cannot be read at all.
    """
    path = _find(named, repository)
    text = _read(path)
    result = parse(_shown(path, repository), text, check_support=to_run)
    print_diagnostics((diagnostic, text) for diagnostic in result.diagnostics)
    if result.workflow is None:
        raise typer.Exit(_BAD_INPUT)
    return result.workflow


def read_linked(named: Path, repository: Path) -> Workflow:
    """Return a workflow that is not to run, with those of the same checkout that it calls, directly or not.

    Workflows of other repositories are not fetched.
    """
    workflow = read_workflow(named, repository, to_run=False)
    return checked(Linker(workflow, check_support=False).follow(local_files(repository)))


def local_files(repository: Path) -> Callable[[FileReference], CalledFile | None]:
    """Return what reads called files of the checkout as they lie there, and nothing of other repositories."""

    def read(reference: FileReference) -> CalledFile | None:
        return None if reference.repository is not None else read_working_file(repository, reference.path)

    return read


def checked(linked: Linked) -> Workflow:
    """Return the workflow with its calls; what is wrong with them is printed and ends the command with exit code 2."""
    print_diagnostics((diagnostic, linked.source_of(diagnostic)) for diagnostic in linked.diagnostics)
    if linked.has_errors:
        raise typer.Exit(_BAD_INPUT)
    return linked.workflow


def print_diagnostics(diagnostics: Iterable[tuple[Diagnostic, str | None]]) -> None:
    """Print diagnostics to stderr, each with the text of its file."""
    for diagnostic, text in diagnostics:
        for line in diagnostic.render(text).splitlines():
            typer.echo(for_terminal(line), err=True)


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
