"""``terraphim-runner run``: the workflows of a local checkout, in real VMs, without a server."""

import os
import signal
import sys
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import anyio
import typer

from terraphim_runner.cli.arguments import VmChoice, pairs, read_pairs_file, secret_pairs
from terraphim_runner.cli.called_files import called_files
from terraphim_runner.cli.console import Console
from terraphim_runner.cli.local_event import local_event
from terraphim_runner.cli.workflow_file import checked, print_diagnostics, read_workflow, workflow_paths
from terraphim_runner.data_directory import data_directory
from terraphim_runner.execution.watched import watched
from terraphim_runner.expressions import from_json, to_string
from terraphim_runner.github.contents.working_tree import WorkingTree
from terraphim_runner.machines import check_labels, open_provider
from terraphim_runner.model.errors import UsageError
from terraphim_runner.model.event import Event
from terraphim_runner.model.secret import Secret
from terraphim_runner.model.states import Conclusion
from terraphim_runner.planning import dispatch_inputs, github_context, run_name, select_job, selectable
from terraphim_runner.planning.graph import Planned, PlannedLeg
from terraphim_runner.planning.groups import run_group
from terraphim_runner.ports import MachineSpec, Provider, Session
from terraphim_runner.reports import RunReport
from terraphim_runner.services.calls import resolve
from terraphim_runner.services.local import LocalPlan, LocalRun
from terraphim_runner.workflow.support import unsupported
from terraphim_runner.workflow.tree import CallJob, Workflow
from terraphim_runner.workflow.triggers import match

_SERVER_URL = "https://github.com"
_API_URL = "https://api.github.com"
_BAD_INPUT = 2
_IMAGE = "default"
_MAX_TOLD = 4
"""Workflows whose jobs are listed when none has the wanted one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Choices:
    """What the command line asks for, checked."""

    repository: Path
    secrets: Mapping[str, Secret]
    variables: Mapping[str, str]
    environment: Mapping[str, str]
    inputs: Mapping[str, str]
    matrix: Mapping[str, str]
    vm: VmChoice
    machine_readable: bool
    debug: bool


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("run")(run)


def run(
    event: Annotated[str, typer.Argument(help="The event: push, pull_request, workflow_dispatch …")] = "push",
    *,
    workflow: Annotated[
        Path | None, typer.Option(help="The workflow file; without it all that the event triggers.")
    ] = None,
    repo: Annotated[Path, typer.Option(help="The checkout; its uncommitted changes are part of the run.")] = Path(),
    job: Annotated[
        str | None, typer.Option(help="Only this job and those that it needs; call/job for a called one.")
    ] = None,
    event_file: Annotated[Path | None, typer.Option(help="The event's payload as JSON.")] = None,
    secret: Annotated[list[str] | None, typer.Option(help="K=V, or K alone to take $K.")] = None,
    secret_file: Annotated[Path | None, typer.Option(help="Secrets as lines K=V.")] = None,
    var: Annotated[list[str] | None, typer.Option(help="K=V for the vars context.")] = None,
    env: Annotated[list[str] | None, typer.Option(help="K=V for the environment of every step.")] = None,
    inputs: Annotated[list[str] | None, typer.Option("--input", help="K=V for the inputs context.")] = None,
    matrix: Annotated[list[str] | None, typer.Option(help="K:V; only legs with this value.")] = None,
    vm: Annotated[VmChoice, typer.Option(help="Where jobs run; process means no isolation.")] = VmChoice.AUTO,
    machine_readable: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
    debug: Annotated[bool, typer.Option(help="Show ::debug:: lines and set RUNNER_DEBUG.")] = False,
) -> None:
    """Run the workflows of a local checkout; exit 0 all jobs succeeded, 1 a job failed, 2 bad input."""
    secrets = read_pairs_file(secret_file) if secret_file else {}
    choices = _Choices(
        repository=repo,
        secrets={name: Secret(value) for name, value in secrets.items()} | secret_pairs(secret or [], os.environ),
        variables=pairs(var or [], "--var"),
        environment=pairs(env or [], "--env"),
        inputs=pairs(inputs or [], "--input"),
        matrix=pairs(matrix or [], "--matrix", separator=":"),
        vm=vm,
        machine_readable=machine_readable,
        debug=debug,
    )
    what = local_event(event, repo, event_file, choices.inputs)
    workflows = _linked(_triggered(_read(repo, workflow), what, named=workflow is not None), repo)
    workflows = _supported(_only(workflows, job))
    for each in workflows:
        _inputs(each, what)
    conclusions: list[Conclusion] = []
    try:
        conclusions = anyio.run(_run_all, workflows, what, choices)
    except* BrokenPipeError:
        # The reader went away (| head): everything was ended on the way here, and nobody is left to be told.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(1) from None
    if any(conclusion not in {Conclusion.SUCCESS, Conclusion.SKIPPED} for conclusion in conclusions):
        raise typer.Exit(1)


def _read(repository: Path, named: Path | None) -> list[Workflow]:
    """Parse the named workflow, or every one of the checkout; diagnostics go to stderr and end the command."""
    workflows: list[Workflow] = []
    broken = False
    for path in workflow_paths(repository, named):
        try:
            workflows.append(read_workflow(path, repository, to_run=False))
        except typer.Exit:
            # Every broken file is told before the command ends.
            broken = True
    if broken:
        raise typer.Exit(_BAD_INPUT)
    return workflows


def _triggered(workflows: list[Workflow], event: Event, *, named: bool) -> list[Workflow]:
    """Keep what the event triggers. A named workflow runs although a filter excludes it, and that is said."""
    kept: list[Workflow] = []
    for workflow in workflows:
        verdict = match(workflow, event)
        listens = any(trigger.event == event.name for trigger in workflow.triggers)
        if verdict.matched or (named and listens):
            kept.append(workflow)
        if not verdict.matched:
            goes_on = "; it runs because it was named" if named and listens else ""
            typer.echo(f"{workflow.path}: {event.name} does not trigger it: {verdict.reason}{goes_on}", err=True)
    if not kept:
        raise UsageError(f"no workflow is triggered by {event.name!r}")
    return kept


def _supported(workflows: list[Workflow]) -> list[Workflow]:
    """Return the workflows, none of which asks for what is not carried out yet: that goes to stderr and ends it."""
    gaps = [(gap, workflow.source) for workflow in workflows for gap in unsupported(workflow)]
    if gaps:
        print_diagnostics(gaps)
        raise typer.Exit(_BAD_INPUT)
    return workflows


def _linked(workflows: list[Workflow], repository: Path) -> list[Workflow]:
    """Return the workflows with all that they call; what is wrong goes to stderr and ends the command."""
    if not any(isinstance(job, CallJob) for workflow in workflows for job in workflow.jobs.values()):
        return workflows
    fetch = called_files(repository, os.environ)
    linked: list[Workflow] = []
    broken = False
    for workflow in workflows:
        try:
            linked.append(checked(anyio.run(resolve, workflow, fetch)))
        except typer.Exit:
            broken = True
    if broken:
        raise typer.Exit(_BAD_INPUT)
    return linked


def _only(workflows: list[Workflow], wanted: str | None) -> list[Workflow]:
    """Return the workflows that have the wanted job, each with that job and all that it needs, directly or not."""
    if wanted is None:
        return workflows
    kept: list[Workflow] = []
    for workflow in workflows:
        with suppress(KeyError):
            kept.append(select_job(workflow, wanted))
    if not kept:
        there = "; ".join(f"{each.path} has {', '.join(selectable(each))}" for each in workflows[:_MAX_TOLD])
        raise UsageError(f"found no job {wanted!r}; {there}")
    return kept


async def _run_all(workflows: list[Workflow], event: Event, choices: _Choices) -> list[Conclusion]:
    provider = open_provider(choices.vm, data_directory(os.environ))
    conclusions: list[Conclusion] = []
    async with provider:
        # What an earlier run left behind that could not clean up; other runs' machines are locked and stay.
        await provider.sweep()
        for number, workflow in enumerate(workflows, start=1):
            conclusion = await _run_one(workflow, number, event, choices, provider)
            conclusions.append(conclusion)
            if conclusion is Conclusion.CANCELLED:
                break
    return conclusions


async def _run_one(workflow: Workflow, number: int, event: Event, choices: _Choices, provider: Provider) -> Conclusion:
    console = Console(machine_readable=choices.machine_readable)
    github = github_context(
        event,
        workflow=workflow,
        run_id=str(number),
        run_number=number,
        run_attempt=1,
        server_url=_SERVER_URL,
        api_url=_API_URL,
    )
    contexts = {"github": github, "vars": dict(choices.variables), "inputs": _inputs(workflow, event)}
    group = run_group(workflow, contexts)
    if isinstance(group, tuple):
        print_diagnostics((diagnostic, workflow.source) for diagnostic in group)
        return Conclusion.STARTUP_FAILURE
    plan = LocalPlan(
        workflow=workflow,
        contexts=contexts,
        group=group,
        source=WorkingTree(choices.repository),
        lease=_lease(provider),
        wants=_wants(choices.matrix),
        secrets=choices.secrets,
        environment=choices.environment,
        debug=choices.debug,
        parallel=max(1, os.cpu_count() or 1),
    )
    execution = LocalRun(plan, console)
    started_at = datetime.now(UTC)
    name = run_name(workflow, contexts)
    called = f", called {name!r}" if workflow.run_name is not None else ""
    began = {"workflow": workflow.path, "event": event.name, "run_name": name}
    console.emit("run_started", began, f"{workflow.title}: started{called}")
    conclusion = await _execute(execution, console)
    console.report(
        RunReport(
            workflow=workflow.title,
            event=event.name,
            ref=event.ref,
            sha=event.sha,
            conclusion=conclusion,
            jobs=tuple(console.jobs),
            started_at=started_at,
            completed_at=datetime.now(UTC),
        )
    )
    return conclusion


def _inputs(workflow: Workflow, event: Event) -> dict[str, Any]:
    found = dispatch_inputs(workflow, event)
    if found.problems:
        raise UsageError("; ".join(found.problems))
    return dict(found.values)


def _lease(provider: Provider) -> Callable[[PlannedLeg], AbstractAsyncContextManager[Session]]:
    @asynccontextmanager
    async def lease(leg: PlannedLeg):  # noqa: ANN202 - the decorator gives the type
        check_labels(leg.labels)
        async with provider.acquire(MachineSpec(image=_IMAGE)) as session:
            yield session

    return lease


def _wants(matrix: Mapping[str, str]) -> Callable[[Planned], bool]:
    return lambda leg: (
        all(key in leg.matrix and to_string(from_json(leg.matrix[key])) == value for key, value in matrix.items())
        or (not leg.matrix)
    )


async def _execute(execution: LocalRun, console: Console) -> Conclusion:
    """Run to the end. The first Ctrl-C cancels as GitHub would; the second ends everything at once, VMs included."""
    everything = anyio.CancelScope()

    async def listen() -> None:
        with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM, signal.SIGHUP) as signals:
            async for _ in signals:
                if everything.cancel_called:
                    return
                if execution.cancelled:
                    console.emit("stopping", {}, "stopping at once")
                    everything.cancel()
                else:
                    console.emit("cancelling", {}, "cancelling; once more to stop at once")
                    execution.cancel()

    async def execute() -> Conclusion:
        with everything:
            return await execution.execute()
        return Conclusion.CANCELLED

    return await watched(execute, listen)
