"""Concurrency groups and called workflows, on a real server that runs real jobs."""

from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.anyio

HANGING = """
on: push
concurrency: {group: "ci-${{ github.ref }}", cancel-in-progress: true}
jobs:
  a:
    runs-on: ubuntu-latest
    steps:
      - run: |
          touch "$FOLDER/began-$GITHUB_RUN_NUMBER"
          [ "$GITHUB_RUN_NUMBER" = 2 ] || sleep 300
      - if: always()
        run: touch "$FOLDER/tidied-$GITHUB_RUN_NUMBER"
"""
WAITING = """
on: push
jobs:
  deploy:
    concurrency: production
    runs-on: ubuntu-latest
    steps:
      - run: until [ -e "$FOLDER/go" ]; do sleep 0.05; done
"""
CALLER = """
on: push
jobs:
  deploy:
    strategy: {matrix: {where: [east, west]}}
    uses: ./.github/workflows/called.yml
    with: {where: "${{ matrix.where }}"}
    secrets: {KEY: "${{ secrets.TOKEN }}"}
  after:
    needs: deploy
    runs-on: ubuntu-latest
    steps:
      - run: echo "went ${{ needs.deploy.outputs.went }}"
"""
CALLED = """
on:
  workflow_call:
    inputs: {where: {type: string, required: true}}
    secrets: {KEY: {required: true}}
    outputs: {went: {value: "${{ jobs.build.outputs.went }}"}}
jobs:
  build:
    runs-on: ubuntu-latest
    outputs: {went: "${{ steps.go.outputs.went }}"}
    steps:
      - id: go
        run: |
          echo "to ${{ inputs.where }} by $GITHUB_WORKFLOW_REF"
          echo "handed down: ${{ toJSON(secrets.KEY != '') }}; not: '${{ secrets.TOKEN }}', '${{ secrets.OTHER }}'"
          echo "shown ${{ secrets.KEY }}"
          echo "went=well" >> "$GITHUB_OUTPUT"
"""


@pytest.fixture
def settings_change(tmp_path: Path) -> dict[str, Any]:
    path = tmp_path / "repositories.toml"
    path.write_text('[repositories."acme/app".secrets]\nTOKEN = "hunter2hunter2"\nOTHER = "swordfish99"\n')
    path.chmod(0o600)
    return {"repositories_file": str(path)}


async def test_newer_push_cancels_the_run_in_progress_and_its_always_steps_run(
    client: Any, repository: Any, tmp_path: Path
) -> None:
    files = {".github/workflows/a.yml": HANGING.replace("$FOLDER", str(tmp_path))}
    await client.push(repository, files)
    first = client.deliveries[-1]
    await client.until("/api/runs", lambda _: (tmp_path / "began-1").exists())
    await client.push(repository, files)
    second = (await client.finished_runs())["a.yml"]
    assert second["conclusion"] == "success"
    assert (second["title"], second["cancel_reason"], second["waiting_for"]) == ("change", None, None)
    ended = (await client.finished_runs(first))["a.yml"]
    assert ended["conclusion"] == "cancelled"
    reason = "a newer request for the concurrency group 'ci-refs/heads/main' cancels what is in progress"
    assert ended["cancel_reason"] == reason
    assert (tmp_path / "tidied-1").exists()
    assert ended["completed_at"] <= second["started_at"]


async def test_job_that_waits_for_its_group_says_for_which_and_for_whom(
    client: Any, repository: Any, tmp_path: Path
) -> None:
    files = {".github/workflows/a.yml": WAITING.replace("$FOLDER", str(tmp_path))}
    for _ in range(2):
        await client.push(repository, files)
        await client.until(f"/api/runs?delivery={client.deliveries[-1]}", lambda found: found["runs"])
    second, first = (await client.get("/api/runs"))["runs"]
    found = await client.until(second["url"], lambda run: run["jobs"] and run["jobs"][0]["status"] == "pending")
    assert found["jobs"][0]["waiting_for"] == {"group": "production", "held_by": first["url"]}
    (tmp_path / "go").touch()
    assert (await client.finished_runs())["a.yml"]["conclusion"] == "success"


async def test_run_that_waits_for_its_group_is_listed_as_pending(client: Any, repository: Any, tmp_path: Path) -> None:
    text = WAITING.replace("    concurrency: production\n", "").replace("jobs:", "concurrency: production\njobs:")
    files = {".github/workflows/a.yml": text.replace("$FOLDER", str(tmp_path))}
    for _ in range(2):
        await client.push(repository, files)
        await client.until(f"/api/runs?delivery={client.deliveries[-1]}", lambda found: found["runs"])
    second, first = (await client.get("/api/runs"))["runs"]
    assert second["status"] == "pending"
    assert second["waiting_for"] == {"group": "production", "held_by": first["url"]}
    (tmp_path / "go").touch()
    assert (await client.finished_runs())["a.yml"]["conclusion"] == "success"


async def test_called_workflow_sees_its_inputs_and_only_the_secrets_that_were_handed_to_it(
    client: Any, repository: Any, tmp_path: Path
) -> None:
    await client.push(repository, {".github/workflows/ci.yml": CALLER, ".github/workflows/called.yml": CALLED})
    runs = await client.finished_runs()
    assert list(runs) == ["ci.yml"]
    jobs = {job["name"]: job for job in runs["ci.yml"]["jobs"]}
    assert {name: (job["conclusion"], job["is_call"]) for name, job in jobs.items()} == {
        "deploy (east)": ("success", True),
        "deploy (west)": ("success", True),
        "deploy (east) / build": ("success", False),
        "deploy (west) / build": ("success", False),
        "after": ("success", False),
    }
    for where in ("east", "west"):
        log = await client.log(jobs[f"deploy ({where}) / build"])
        assert f"to {where} by acme/app/.github/workflows/ci.yml@refs/heads/main" in log
        assert "handed down: true; not: '', ''" in log
        assert "shown ***" in log
    assert "went well" in await client.log(jobs["after"])
    kept = b"".join(path.read_bytes() for path in (tmp_path / "data").rglob("*") if path.is_file())
    assert b"hunter2" not in kept


async def test_called_workflow_that_is_not_there_is_told_before_anything_runs(client: Any, repository: Any) -> None:
    await client.push(repository, {".github/workflows/ci.yml": CALLER})
    run = (await client.finished_runs())["ci.yml"]
    assert run["conclusion"] == "startup_failure"
    assert run["diagnostics"][0]["rule"] == "call-file"
    assert run["jobs"] == []
