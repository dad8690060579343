"""The command line: one module per command, one place that turns errors into messages and exit codes."""

import sys
from typing import Final

from typer.core import TyperGroup

from terraphim_runner.cli.lazy import LazyCommand, lazy_group
from terraphim_runner.model.errors import InfrastructureError, UsageError

_BAD_INPUT = 2

COMMANDS: Final = (
    (
        "run",
        "terraphim_runner.cli.run",
        "Run the workflows of a local checkout; exit 0 all jobs succeeded, 1 a job failed, 2 bad input.",
    ),
    (
        "serve",
        "terraphim_runner.cli.serve",
        "Receive GitHub's webhooks and run their workflows, each job in its own machine.",
    ),
    (
        "validate",
        "terraphim_runner.cli.validate",
        "Check workflow and action files by GitHub's rules: exit 0 when all are right, 2 when one is wrong or missing.",
    ),
    (
        "plan",
        "terraphim_runner.cli.plan",
        "Show which jobs and matrix legs an event would run; exit 0 also when it triggers nothing, 2 on bad input.",
    ),
    (
        "explain",
        "terraphim_runner.cli.explain",
        "Tell of each workflow and job whether an event would run it, and exactly why not; exit 2 on bad input.",
    ),
    (
        "eval",
        "terraphim_runner.cli.eval",
        "Evaluate an expression and print its value: text as it is, anything else as JSON.",
    ),
    ("image", "terraphim_runner.cli.image", "Build, list and remove the images that machines boot from."),
    ("doctor", "terraphim_runner.cli.doctor", "Tell what is usable here. Exit code 0 when jobs can run, else 1."),
)
"""Each command's name, its module, and the first paragraph of its help."""


def build_app() -> TyperGroup:
    """Return the command line with every command named and none imported."""
    commands = [LazyCommand(name, module, text) for name, module, text in COMMANDS]
    return lazy_group(
        "terraphim-runner", "A self-hosted runner for GitHub Actions: every job in its own microVM.", commands
    )


def main() -> None:
    """Run the command; exit 2 with one clear message for bad input, 1 for trouble of ours."""
    try:
        build_app()()
    except UsageError as error:
        sys.stderr.write(f"error: {error}\n")
        sys.exit(_BAD_INPUT)
    except InfrastructureError as error:
        sys.stderr.write(f"error: {error}\n")
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
