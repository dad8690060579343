"""The list of commands: complete, true, and quick because nothing is imported for it."""

import subprocess
import sys

import pytest

from terraphim_runner.cli.lazy import LazyCommand
from terraphim_runner.cli.main import COMMANDS, build_app

HEAVY = ("dbos", "sqlalchemy", "fastapi", "uvicorn", "pydantic", "anyio", "yaml")
SCRIPT = """
import sys
from terraphim_runner.cli.main import main
sys.argv = ["terraphim-runner", *sys.argv[1:]]
try:
    main()
finally:
    print("imported:", *[name for name in {heavy!r} if name in sys.modules], file=sys.stderr)
"""


def started(*arguments: str) -> subprocess.CompletedProcess[str]:
    script = SCRIPT.format(heavy=HEAVY)
    return subprocess.run(
        [sys.executable, "-c", script, *arguments], capture_output=True, text=True, timeout=60, check=False
    )


def test_help_imports_no_command_and_names_them_all():
    result = started("--help")
    assert result.returncode == 0
    assert result.stderr == "imported:\n"
    assert all(name in result.stdout for name, _, _ in COMMANDS)


def test_command_of_the_language_imports_no_server():
    result = started("eval", "1 == 1")
    assert result.stdout == "true\n"
    assert not {"dbos", "sqlalchemy", "fastapi", "uvicorn"} & set(result.stderr.split())


def test_command_that_is_unknown_is_bad_input():
    result = started("plam")
    assert result.returncode == 2
    assert "Did you mean 'plan'?" in result.stderr


@pytest.mark.parametrize("name", [name for name, _, _ in COMMANDS])
def test_command_is_listed_with_its_own_help(name: str):
    listed = build_app().commands[name]
    assert isinstance(listed, LazyCommand)
    own = listed.load()
    assert own.name == name
    assert " ".join(own.help.split("\n\n")[0].split()) == listed.help
