"""``terraphim-runner explain``: whether an event would run each job of a checkout, and the exact reason if not."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from terraphim_runner.cli.arguments import pairs
from terraphim_runner.cli.checkout import NO_COMMIT
from terraphim_runner.cli.console import for_terminal
from terraphim_runner.cli.local_event import local_event
from terraphim_runner.cli.workflow_file import read_linked, workflow_paths
from terraphim_runner.expressions.explanation import Part
from terraphim_runner.model.event import Event
from terraphim_runner.planning import Outlook, dispatch_inputs, github_context, run_name
from terraphim_runner.planning.explanation import JobExplanation, explain_jobs
from terraphim_runner.planning.groups import run_group
from terraphim_runner.workflow.tree import Workflow
from terraphim_runner.workflow.triggers import match

_BAD_INPUT: Final = 2
_WORDS: Final = {
    Outlook.RUNS: "runs",
    Outlook.SKIPPED: "does not run",
    Outlook.UNKNOWN: "not known yet",
    Outlook.REJECTED: "fails without running",
}


class Format(StrEnum):
    """How the explanation is printed."""

    TEXT = "text"
    JSON = "json"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Explained:
    """One workflow. ``reason`` is why the event triggers it, or why not; ``run_name`` is what its run is called."""

    workflow: Workflow
    triggered: bool
    reason: str
    jobs: tuple[JobExplanation, ...]
    run_name: str | None = None


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("explain")(explain)


def explain(
    event: Annotated[str, typer.Argument(help="The event: push, pull_request, workflow_dispatch …")],
    *,
    workflow: Annotated[
        Path | None, typer.Option(help="The workflow file; without it all those of the checkout.")
    ] = None,
    repo: Annotated[Path, typer.Option(help="The checkout that the event is about.")] = Path(),
    event_file: Annotated[Path | None, typer.Option(help="The event's payload as JSON.")] = None,
    var: Annotated[list[str] | None, typer.Option(help="K=V for the vars context.")] = None,
    inputs: Annotated[list[str] | None, typer.Option("--input", help="K=V for the inputs context.")] = None,
    form: Annotated[Format, typer.Option("--format", help="Text for people, JSON for programs.")] = Format.TEXT,
) -> None:
    """Tell of each workflow and job whether an event would run it, and exactly why not; exit 2 on bad input.

    Workflows with errors are told on stderr and left out; then the exit code is 2, too.
    """
    variables = pairs(var or [], "--var")
    what = local_event(event, repo, event_file, pairs(inputs or [], "--input"))
    workflows, broken = _read(repo, workflow)
    explained = [_explain(item, what, variables) for item in workflows]
    if form is Format.JSON:
        told = {"event": event, **_event_to_json(what), "workflows": [_to_json(item) for item in explained]}
        typer.echo(json.dumps(told, indent=2))
    else:
        typer.echo(for_terminal(_event_line(what)))
        for item in explained:
            for line in _lines(item):
                typer.echo(for_terminal(line))
    if broken:
        raise typer.Exit(_BAD_INPUT)


def _read(repository: Path, named: Path | None) -> tuple[list[Workflow], bool]:
    workflows: list[Workflow] = []
    broken = False
    for path in workflow_paths(repository, named):
        try:
            workflows.append(read_linked(path, repository))
        except typer.Exit:
            broken = True
    return workflows, broken


def _explain(workflow: Workflow, event: Event, variables: Mapping[str, str]) -> _Explained:
    verdict = match(workflow, event)
    if not verdict.matched:
        return _not_triggered(workflow, verdict.reason)
    inputs = dispatch_inputs(workflow, event)
    if inputs.problems:
        return _not_triggered(workflow, "; ".join(inputs.problems))
    contexts: dict[str, Any] = {
        "github": github_context(event, workflow=workflow, run_id="1", run_number=1),
        "vars": dict(variables),
        "inputs": dict(inputs.values),
    }
    jobs = explain_jobs(workflow, event.name, contexts)
    group = run_group(workflow, contexts)
    if isinstance(group, tuple):
        # The run ends before any job is looked at.
        jobs = tuple(replace(job, outlook=Outlook.REJECTED, reason=group[0].message, legs=None) for job in jobs)
    name = run_name(workflow, contexts)
    return _Explained(workflow=workflow, triggered=True, reason=verdict.reason, jobs=jobs, run_name=name)


def _not_triggered(workflow: Workflow, reason: str) -> _Explained:
    jobs = tuple(
        JobExplanation(
            key=job.key, outlook=Outlook.SKIPPED, needs=tuple(need.job for need in job.needs), reason="not triggered"
        )
        for job in workflow.jobs.values()
    )
    return _Explained(workflow=workflow, triggered=False, reason=reason, jobs=jobs)


def _event_line(event: Event) -> str:
    action = f" {event.action!r}" if event.action is not None else ""
    place = f" on {event.ref}" if event.ref else ""
    commit = "" if event.sha == NO_COMMIT else f" at {event.sha[:12]}"
    files = "" if event.changed_files is None else f", {_counted(len(event.changed_files), 'changed file')}"
    return f"{event.name}{action}{place}{commit} by {event.actor}{files}"


def _event_to_json(event: Event) -> dict[str, Any]:
    return {
        "action": event.action,
        "ref": event.ref,
        "sha": event.sha,
        "actor": event.actor,
        "changed_files": None if event.changed_files is None else len(event.changed_files),
    }


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def _to_json(explained: _Explained) -> dict[str, Any]:
    return {
        "workflow": explained.workflow.title,
        "path": explained.workflow.path,
        "triggered": explained.triggered,
        "reason": explained.reason,
        "run_name": explained.run_name,
        "jobs": [job.to_json() for job in explained.jobs],
    }


def _lines(explained: _Explained) -> Iterator[str]:
    title = f" ({explained.workflow.name})" if explained.workflow.name else ""
    verdict = "is triggered" if explained.triggered else "is not triggered"
    yield f"{explained.workflow.path}{title} {verdict}: {explained.reason}"
    if explained.triggered:
        yield f"  the run is called {explained.run_name!r}"
        for job in explained.jobs:
            yield from _job_lines(job)


def _job_lines(job: JobExplanation) -> Iterator[str]:
    after = f", after {', '.join(job.needs)}" if job.needs else ""
    legs = f", {job.legs} legs" if job.legs is not None and job.legs > 1 else ""
    reason = f": {job.reason}" if job.reason else ""
    yield f"  {job.key}{after}: {_WORDS[job.outlook]}{legs}{reason}"
    if job.depends_on and job.outlook is Outlook.UNKNOWN:
        yield f"    depends on {', '.join(job.depends_on)}"
    if job.condition is not None:
        whole, *parts = _part_lines(job.condition, depth=2)
        # Any value may decide: an object or a text that is not empty is true, null and 0 are false.
        plain = job.condition.value in {"true", "false", None} or job.condition.truth is None
        yield whole if plain else f"{whole}, which counts as {str(job.condition.truth).lower()}"
        yield from parts
    for call in job.calls:
        yield f"    {call.name} calls {call.path}"
        for inner in call.jobs:
            yield from (f"    {line}" for line in _job_lines(inner))


def _part_lines(part: Part, *, depth: int) -> Iterator[str]:
    skipped = "" if part.reached else "  (not looked at)"
    yield f"{'  ' * depth}{part.source}  →  {_value(part)}{skipped}"
    for item in part.parts:
        yield from _part_lines(item, depth=depth + 1)


def _value(part: Part) -> str:
    if part.value is not None:
        return part.value
    if part.problem is not None:
        return f"does not evaluate: {part.problem}"
    if part.truth is not None:
        return f"{str(part.truth).lower()} in any case"
    return "not known yet"
