"""Commands that are imported when they are called, so that ``--help`` and the language's commands need no server.

This is the one place that imports by name. A command's module offers ``register(app)``; the table that names it
(``main.COMMANDS``) also tells what ``--help`` lists, which a test compares with what the module says itself.
"""

from importlib import import_module
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_group


class LazyCommand(TyperCommand):
    """Stands for a command until it is called: parsing its arguments is the first thing that needs the module."""

    def __init__(self, name: str, module: str, help_text: str) -> None:
        super().__init__(name, help=help_text, callback=None)
        self._module = module

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        """Import the command and return a context of it, so that it is what runs."""
        return self.load().make_context(info_name, args, parent=parent, **extra)

    def load(self) -> Any:
        """Return the command itself."""
        app = typer.Typer(callback=_group, add_completion=False, pretty_exceptions_enable=False)
        import_module(self._module).register(app)
        return get_group(app).commands[str(self.name)]


def lazy_group(name: str, help_text: str, commands: list[LazyCommand]) -> TyperGroup:
    """Return a group of commands none of which is imported."""
    table: dict[str, Any] = {str(command.name): command for command in commands}
    return TyperGroup(name=name, help=help_text, commands=table, no_args_is_help=True)


def _group() -> None:
    """Make a group even of one command."""
