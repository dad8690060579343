"""How long the language takes, and how long a command of the language takes to be there."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from bench.figures import Figures
from terraphim_runner.expressions import ANYTHING, Scope, evaluate, from_json, parse_condition, parser
from terraphim_runner.planning import advance
from terraphim_runner.planning.graph import Expand, RunSnapshot
from terraphim_runner.workflow import parse
from terraphim_runner.workflow.tree import Workflow

WORKFLOW = Path(__file__).parent / "typical.yml"
_FILES = 1000
_EVALUATIONS = 1000
_CONDITION = "github.event_name == 'push' && startsWith(github.ref, 'refs/heads/') && !contains(matrix.os, 'windows')"
_MATRIX = """\
on: push
jobs:
  test:
    name: Test ${{ matrix.a }} on ${{ matrix.os }}
    runs-on: ${{ matrix.os }}
    timeout-minutes: 5
    strategy:
      matrix:
        os: [linux, other]
        a: [1, 2, 3, 4, 5, 6, 7, 8]
        b: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16]
    steps: [{run: make}]
"""
_LEGS = 256


def measure(figures: Figures, *, rounds: int) -> None:
    """Measure parsing, evaluation, planning, and the two commands that people wait for most."""
    figures.add("workflow_parse_ms", _parse(rounds))
    figures.add("eval_us", _evaluate(rounds))
    figures.add("plan_256_leg_matrix_ms", _plan(rounds))
    figures.add("import_cli_ms", _samples(min(20, rounds), 1e3, lambda: _command("--help")))
    figures.add("validate_1000_files_s", _validate(min(5, rounds)))


def _samples(rounds: int, units: float, action: Callable[[], object]) -> list[float]:
    samples: list[float] = []
    for _ in range(rounds):
        began = time.perf_counter()
        action()
        samples.append((time.perf_counter() - began) * units)
    return samples


def _parse(rounds: int) -> list[float]:
    """Parse a typical workflow, each time as if its expressions had never been seen."""
    text = WORKFLOW.read_text()
    samples: list[float] = []
    for _ in range(rounds):
        parser._parse_known.cache_clear()  # noqa: SLF001 - a benchmark has to defeat the cache
        samples += _samples(1, 1e3, lambda: _read("typical.yml", text))
    return samples


def _read(path: str, text: str) -> Workflow:
    found = parse(path, text)
    if found.workflow is None:
        raise SystemExit(f"the benchmark's workflow has errors: {found.diagnostics}")
    return found.workflow


def _evaluate(rounds: int) -> list[float]:
    """Evaluate a typical condition that was parsed before; a sample is the mean of many."""
    expression = parse_condition(_CONDITION, allowed=ANYTHING)
    contexts = {
        "github": from_json({"event_name": "push", "ref": "refs/heads/main", "event": {"commits": [{"id": "x"}] * 20}}),
        "matrix": from_json({"os": "ubuntu-latest", "python": "3.12"}),
    }
    scope = Scope(contexts=contexts, functions={"success": lambda _: True})
    if evaluate(expression, scope) is not True:
        raise SystemExit("the benchmark's condition is not true")

    def many() -> None:
        for _ in range(_EVALUATIONS):
            evaluate(expression, scope)

    return _samples(rounds, 1e6 / _EVALUATIONS, many)


def _plan(rounds: int) -> list[float]:
    """Expand a job into as many legs as GitHub allows, their names and labels evaluated."""
    workflow = _read("matrix.yml", _MATRIX)
    run = RunSnapshot(contexts={"github": {"event_name": "push", "ref": "refs/heads/main"}, "vars": {}, "inputs": {}})
    (decision,) = advance(workflow, run)
    if not isinstance(decision, Expand) or len(decision.legs) != _LEGS:
        raise SystemExit(f"the benchmark's matrix does not have {_LEGS} legs: {decision}")
    return _samples(rounds, 1e3, lambda: advance(workflow, run))


def _validate(rounds: int) -> list[float]:
    """Run the whole command on files that all differ, on one core."""
    text = WORKFLOW.read_text()
    with tempfile.TemporaryDirectory(prefix="terraphim-bench-") as name:
        for number in range(_FILES):
            # No two files share an expression, so none is parsed from memory.
            different = text.replace("matrix.python", f"matrix.python{number}").replace("refs/tags/v", f"v{number}")
            (Path(name) / f"{number}.yml").write_text(different)
        return _samples(rounds, 1, lambda: _command("validate", name))


def _command(*arguments: str) -> None:
    program = Path(sys.executable).with_name("terraphim-runner")
    core = min(os.sched_getaffinity(0))
    command = ["taskset", "--cpu-list", str(core), str(program), *arguments]
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    if finished.returncode != 0:
        raise SystemExit(f"{arguments} ended with {finished.returncode}: {finished.stderr[-2000:]}")
