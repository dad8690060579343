"""``terraphim-runner plan``: what an event would run, without running anything."""

import json
from collections.abc import Callable
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from terraphim_runner.cli.arguments import pairs
from terraphim_runner.cli.console import for_terminal
from terraphim_runner.cli.local_event import local_event
from terraphim_runner.cli.workflow_file import print_diagnostics, read_linked
from terraphim_runner.model.errors import UsageError
from terraphim_runner.model.event import Event
from terraphim_runner.planning import (
    PlanOutline,
    dispatch_inputs,
    github_context,
    outline,
    run_name,
    select_job,
    selectable,
)
from terraphim_runner.planning.diagrams import render_mermaid, render_svg
from terraphim_runner.planning.graph import PlannedGroup
from terraphim_runner.planning.groups import run_group
from terraphim_runner.workflow.tree import Workflow
from terraphim_runner.workflow.triggers import match

_BAD_INPUT: Final = 2


class Format(StrEnum):
    """How the plan is printed."""

    TEXT = "text"
    JSON = "json"
    MERMAID = "mermaid"
    SVG = "svg"


_PICTURES: Final[dict[Format, Callable[[PlanOutline], str]]] = {
    Format.MERMAID: render_mermaid,
    Format.SVG: render_svg,
}


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("plan")(plan)


def plan(
    event: Annotated[str, typer.Argument(help="The event: push, pull_request, workflow_dispatch …")],
    *,
    workflow: Annotated[Path, typer.Option(help="The workflow file.")],
    repo: Annotated[Path, typer.Option(help="The checkout that the event is about.")] = Path(),
    event_file: Annotated[Path | None, typer.Option(help="The event's payload as JSON.")] = None,
    job: Annotated[
        str | None, typer.Option(help="Only this job and those that it needs; call/job for a called one.")
    ] = None,
    var: Annotated[list[str] | None, typer.Option(help="K=V for the vars context.")] = None,
    inputs: Annotated[list[str] | None, typer.Option("--input", help="K=V for the inputs context.")] = None,
    form: Annotated[Format, typer.Option("--format", help="Text, JSON, or a picture.")] = Format.TEXT,
) -> None:
    """Show which jobs and matrix legs an event would run; exit 0 also when it triggers nothing, 2 on bad input."""
    variables = pairs(var or [], "--var")
    what = local_event(event, repo, event_file, pairs(inputs or [], "--input"))
    parsed = read_linked(workflow, repo)
    chosen = parsed if job is None else _only(parsed, job)
    verdict = match(parsed, what)
    contexts = _contexts(parsed, what, variables)
    listed = outline(chosen, event, contexts)
    name = run_name(parsed, contexts)
    group = _group(parsed, contexts)
    if form is Format.JSON:
        triggered = {
            "triggered": verdict.matched,
            "trigger_reason": verdict.reason,
            "run_name": name,
            "concurrency": None if group is None else asdict(group),
        }
        typer.echo(json.dumps({**triggered, **listed.to_json()}, indent=2))
        return
    if form in _PICTURES:
        typer.echo(_PICTURES[form](listed), nl=False)
        return
    if not verdict.matched:
        typer.echo(for_terminal(f"{event} does not trigger {parsed.path}: {verdict.reason}. If it did:"))
    typer.echo(for_terminal(f"the run is called {name!r}"))
    if group is not None:
        cancels = ", and cancels what is in progress there" if group.cancel_in_progress else ""
        typer.echo(for_terminal(f"it waits for its turn in {group.name!r}{cancels}"))
    for line in listed.render().splitlines():
        typer.echo(for_terminal(line))


def _group(workflow: Workflow, contexts: dict[str, Any]) -> PlannedGroup | None:
    group = run_group(workflow, contexts)
    if isinstance(group, tuple):
        print_diagnostics((diagnostic, workflow.source) for diagnostic in group)
        raise typer.Exit(_BAD_INPUT)
    return group


def _only(workflow: Workflow, job: str) -> Workflow:
    try:
        return select_job(workflow, job)
    except KeyError:
        raise UsageError(f"found no job {job!r} in {workflow.path}; it has {', '.join(selectable(workflow))}") from None


def _contexts(workflow: Workflow, event: Event, variables: dict[str, str]) -> dict[str, Any]:
    inputs = dispatch_inputs(workflow, event)
    if inputs.problems:
        raise UsageError("; ".join(inputs.problems))
    github = github_context(event, workflow=workflow, run_id="1", run_number=1)
    return {"github": github, "vars": variables, "inputs": dict(inputs.values)}
