"""The census of a folder of workflow files, on the project's own golden files."""

import json
import subprocess
import sys
from pathlib import Path

from bench.collection import take

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "tests/golden"


def test_collection_of_golden_files_breaks_nothing(tmp_path: Path) -> None:
    paths = sorted(path for path in GOLDEN.rglob("*.yml") if path.parent.name != "actions")
    census = take(paths, tmp_path)
    assert census.broken == []
    assert census.files == len(paths)
    assert census.valid >= sum(path.name.startswith("valid_") for path in paths)
    assert census.plans
    assert census.expressions


def test_collection_notes_a_file_that_fails_and_goes_on(tmp_path: Path) -> None:
    good = tmp_path / "good.yml"
    good.write_text("on: push\njobs: {a: {runs-on: x, steps: [run: 'echo ${{ github.ref }}']}}\n")
    census = take([tmp_path / "gone.yml", good], tmp_path)
    assert [line.split(": ")[1] for line in census.broken] == ["FileNotFoundError"]
    assert (census.valid, census.plans, census.expressions) == (1, 1, 1)


def test_collection_prints_one_json_object_with_errors_by_rule(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep/bad.yaml").write_text("on: push\njobs: {}\n")
    command = [sys.executable, "-m", "bench.collection", str(tmp_path), "--json"]
    finished = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60)
    found = json.loads(finished.stdout)
    assert (found["files"], found["valid"], found["errors_by_rule"]) == (1, 0, {"no-jobs": 1})
    assert "bad.yaml:2:7: found a workflow without jobs" in found["errors"][0]
