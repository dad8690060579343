"""The command line: one module per command, one place that turns errors into messages and exit codes."""

import sys

import typer

from terraphim_runner.cli import doctor, image, plan, run, serve, validate
from terraphim_runner.cli import eval as eval_command
from terraphim_runner.model.errors import InfrastructureError, UsageError

_BAD_INPUT = 2


def build_app() -> typer.Typer:
    """Return the command line with every command registered."""
    app = typer.Typer(
        name="terraphim-runner",
        help="A self-hosted runner for GitHub Actions: every job in its own microVM.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
    )
    for module in (run, serve, validate, plan, eval_command, image, doctor):
        module.register(app)
    return app


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
