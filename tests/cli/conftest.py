"""The command line from outside, on a checkout of its own and with real processes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = str(Path(sys.executable).with_name("terraphim-runner"))


class Checkout:
    """A directory with workflows, and the command run in it."""

    def __init__(self, path, data):
        self.path = path
        self.environment = {**os.environ, "TERRAPHIM_DATA_DIR": str(data), "COLUMNS": "120"}
        self.workflows = path / ".github/workflows"
        self.workflows.mkdir(parents=True)

    def workflow(self, name, text):
        (self.workflows / name).write_text(text)

    def job(self, steps, name="ci.yml", more=""):
        self.workflow(name, f"on: push\njobs:\n  job:\n    runs-on: ubuntu-latest\n{more}    steps:\n{steps}")

    def command(self, *arguments):
        return [PROGRAM, *arguments]

    def start(self, *arguments, **settings):
        return subprocess.Popen(
            self.command(*arguments), cwd=self.path, env=self.environment, stdout=subprocess.PIPE, text=True, **settings
        )

    def run(self, *arguments, **environment):
        return subprocess.run(
            self.command(*arguments),
            cwd=self.path,
            env={**self.environment, **environment},
            capture_output=True,
            timeout=60,
            encoding="utf-8",
            check=False,
        )

    def run_here(self, *arguments, **environment):
        return self.run("run", "--vm", "process", *arguments, **environment)


@pytest.fixture
def checkout(tmp_path):
    repository = tmp_path / "hello"
    repository.mkdir()
    return Checkout(repository, tmp_path / "data")
