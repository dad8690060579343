"""The whole way, as a user sees it: a signed push over HTTP to a server process, its jobs in real machines."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from bench.figures import BARS

pytestmark = [pytest.mark.vm, pytest.mark.timeout(180)]
ROOT = Path(__file__).parents[2]


def test_demo_comes_to_the_expected_verdicts_and_shows_no_secret():
    done = subprocess.run(
        [sys.executable, "-m", "demo"], cwd=ROOT, capture_output=True, text=True, timeout=170, check=False
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    assert "every verdict is the expected one" in done.stdout
    assert "the token is ***" in done.stdout
    assert "correct-horse" not in done.stdout
    assert "the cake is burnt" in done.stdout


def test_bench_prints_one_json_object_with_every_figure():
    done = subprocess.run(
        [sys.executable, "-m", "bench", "--json", "--rounds", "1"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=170,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    figures = json.loads(done.stdout)
    assert figures.keys() == BARS.keys()
    # Whether the bars are kept is measured by "make bench" on a quiet machine, never in a test.
    assert all((value if isinstance(value, int | float) else value["n"]) > 0 for value in figures.values())
