"""``terraphim-runner doctor``: what is usable on this machine, why the rest is not, and what to do about it."""

import json
import os
from dataclasses import asdict
from typing import Annotated

import anyio
import typer

from terraphim_runner.cli.console import for_terminal
from terraphim_runner.cli.doctor_checks import Check, State, jobs_can_run, run_checks

_MARKS = {State.OK: "✓", State.LIMITED: "~", State.MISSING: "✗"}
_COLORS = {State.OK: typer.colors.GREEN, State.LIMITED: typer.colors.YELLOW, State.MISSING: typer.colors.RED}


def register(app: typer.Typer) -> None:
    """Add the ``doctor`` command to an application."""
    app.command("doctor")(doctor_command)


def doctor_command(
    *, as_json: Annotated[bool, typer.Option("--json", help="One JSON object instead of lines.")] = False
) -> None:
    """Tell what is usable here. Exit code 0 when jobs can run, else 1."""
    checks = anyio.run(run_checks, os.environ)
    usable = jobs_can_run(checks)
    if as_json:
        typer.echo(json.dumps({"usable": usable, "checks": [asdict(check) for check in checks]}, indent=2))
    else:
        for check in checks:
            _show(check)
        typer.echo("jobs can run here" if usable else "jobs cannot run here yet: see what is marked ✗")
    if not usable:
        raise typer.Exit(1)


def _show(check: Check) -> None:
    mark = typer.style(f"{_MARKS[check.state]} {check.name:<15}{check.state:<9}", fg=_COLORS[check.state])
    typer.echo(f"{mark}{for_terminal(check.found)}")
    if check.fix and check.state is not State.OK:
        typer.echo(f"{'':26}→ {for_terminal(check.fix)}")
