import sqlite3
import stat
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest

from terraphim_runner.app import build_provider, build_server
from terraphim_runner.model.errors import UsageError

pytestmark = pytest.mark.anyio

NEEDS = """
name: CI
on: push
jobs:
  build:
    runs-on: ubuntu-latest
    strategy:
      matrix: {n: [1, 2]}
    outputs: {greeting: "${{ steps.a.outputs.greeting }}"}
    steps:
      - id: a
        run: |
          echo "made by ${{ matrix.n }} for ${{ vars.REGION }}"
          echo "greeting=hi" >> "$GITHUB_OUTPUT"
          echo "::warning file=a.txt,line=3::careful"
          echo "# done" >> "$GITHUB_STEP_SUMMARY"
          echo "secret ${{ secrets.TOKEN }}"
  after:
    needs: build
    runs-on: ubuntu-latest
    steps:
      - run: echo "got ${{ needs.build.outputs.greeting }} as $GITHUB_RUN_ID"
  never:
    if: false
    runs-on: ubuntu-latest
    steps:
      - run: exit 1
"""
FAILING = "on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n      - run: exit 3\n"
BROKEN = "on: push\njobs:\n  a:\n    steps: 3\n"
MANUAL = "on: workflow_dispatch\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n      - run: exit 3\n"
FAIL_FAST = """
on: push
jobs:
  a:
    runs-on: ubuntu-latest
    strategy:
      matrix: {n: [fails, hangs]}
    steps:
      - if: matrix.n == 'hangs'
        run: |
          touch "$MARKER"
          sleep 300
      - if: matrix.n == 'fails'
        run: |
          until [ -e "$MARKER" ]; do sleep 0.05; done
          exit 1
"""

ENVIRONMENTS = """
on: push
jobs:
  stage:
    runs-on: ubuntu-latest
    environment: {name: stage, url: "https://${{ vars.REGION }}.example.com"}
    steps: [{run: "echo ${{ vars.REGION }} ${{ secrets.KEY }}, ${{ secrets.TOKEN }} for stage"}]
  plain:
    runs-on: ubuntu-latest
    steps: [{run: "echo ${{ vars.REGION }} and ${{ secrets.KEY || 'nothing' }}"}]
  unknown:
    runs-on: ubuntu-latest
    environment: prod
    steps: [{run: "echo never"}]
"""


@pytest.fixture
def settings_change(tmp_path: Path) -> dict[str, Any]:
    path = tmp_path / "repositories.toml"
    path.write_text(
        '[repositories."Acme/App".secrets]\nTOKEN = "hunter2hunter2"\n'
        '[repositories."Acme/App".variables]\nREGION = "eu"\n'
        '[repositories."Acme/App".environments.Stage]\nsecrets = {KEY = "rosebud77"}\nvariables = {REGION = "us"}\n'
    )
    path.chmod(0o600)
    return {"repositories_file": str(path)}


def _jobs(run: Any) -> dict[str, Any]:
    return {job["key"]: job for job in run["jobs"]}


async def test_push_runs_its_workflows_to_true_verdicts(client: Any, repository: Any, tmp_path: Path) -> None:
    files = {"ci.yml": NEEDS, "fail.yml": FAILING, "broken.yml": BROKEN, "manual.yml": MANUAL}
    await client.push(repository, {f".github/workflows/{name}": text for name, text in files.items()})
    runs = await client.finished_runs()
    assert {name: run["conclusion"] for name, run in runs.items()} == {
        "ci.yml": "success",
        "fail.yml": "failure",
        "broken.yml": "startup_failure",
    }
    jobs = _jobs(runs["ci.yml"])
    assert {key: job["conclusion"] for key, job in jobs.items()} == {
        "build/0": "success",
        "build/1": "success",
        "after": "success",
        "never": "skipped",
    }
    (step,) = jobs["build/0"]["steps"]
    assert (step["id"], step["conclusion"], step["exit_code"]) == ("a", "success", 0)
    assert step["summary"].strip() == "# done"
    (annotation,) = jobs["build/0"]["annotations"]
    assert (annotation["level"], annotation["file"], annotation["line"]) == ("warning", "a.txt", 3)
    log = await client.log(jobs["build/0"])
    assert "made by 1 for eu" in log
    assert "secret ***" in log
    assert f"got hi as {runs['ci.yml']['id']}" in await client.log(jobs["after"])
    assert _jobs(runs["fail.yml"])["a"]["steps"][0]["exit_code"] == 3
    assert runs["broken.yml"]["diagnostics"][0]["path"] == ".github/workflows/broken.yml"
    kept = b"".join(path.read_bytes() for path in (tmp_path / "data").rglob("*") if path.is_file())
    assert b"hunter2" not in kept


async def test_job_sees_its_environment_and_fails_in_one_that_the_settings_do_not_name(
    client: Any, repository: Any
) -> None:
    await client.push(repository, {".github/workflows/a.yml": ENVIRONMENTS})
    jobs = _jobs((await client.finished_runs())["a.yml"])
    assert {key: job["conclusion"] for key, job in jobs.items()} == {
        "stage": "success",
        "plain": "success",
        "unknown": "failure",
    }
    assert "us ***, *** for stage" in await client.log(jobs["stage"])
    assert "eu and nothing" in await client.log(jobs["plain"])
    assert "prepare the environment 'prod'" in jobs["unknown"]["reason"]
    assert jobs["unknown"]["steps"] == []


async def test_delivery_sent_again_does_not_run_again(client: Any, repository: Any, payload_of: Any) -> None:
    sha = repository.commit({".github/workflows/a.yml": FAILING})
    for expected in ("success", "acknowledged"):
        answer = await client.deliver("push", payload_of(repository, sha), delivery="twice")
        assert answer.json()["status"] == expected
        await client.finished_runs("twice")
    assert len((await client.get("/api/runs"))["runs"]) == 1
    await client.deliver("push", payload_of(repository, sha), delivery="another")
    runs = await client.finished_runs("another")
    assert runs["a.yml"]["number"] == 2


async def test_leg_that_fails_cancels_the_one_that_runs(client: Any, repository: Any, tmp_path: Path) -> None:
    text = FAIL_FAST.replace("$MARKER", str(tmp_path / "marker"))
    await client.push(repository, {".github/workflows/a.yml": text})
    run = (await client.finished_runs())["a.yml"]
    assert run["conclusion"] == "failure"
    assert [job["conclusion"] for job in run["jobs"]] == ["failure", "cancelled"]
    assert "fail-fast" in _jobs(run)["a/1"]["reason"]


async def test_job_for_labels_that_are_not_served_fails_and_says_so(client: Any, repository: Any) -> None:
    await client.push(repository, {".github/workflows/a.yml": FAILING.replace("ubuntu-latest", "windows-latest")})
    job = _jobs((await client.finished_runs())["a.yml"])["a"]
    assert job["conclusion"] == "failure"
    assert "'windows-latest'" in job["reason"]
    assert "'windows-latest'" in await client.log(job)


async def test_job_whose_outputs_are_too_large_fails_and_says_so(client: Any, repository: Any) -> None:
    step = "{id: s, run: 'printf x=%01200000d 0 >> $GITHUB_OUTPUT'}"
    job = f"{{runs-on: ubuntu-latest, outputs: {{x: '${{{{ steps.s.outputs.x }}}}'}}, steps: [{step}]}}"
    await client.push(repository, {".github/workflows/a.yml": f"on: push\njobs: {{j: {job}}}\n"})
    run = (await client.finished_runs())["a.yml"]
    assert run["conclusion"] == "failure"
    assert "the job's outputs have 12000" in run["jobs"][0]["reason"]


async def test_job_ends_after_the_longest_time_that_the_settings_allow(
    tmp_path: Path, repository: Any, settings_of: Any, serving_of: Any
) -> None:
    async with serving_of(settings_of(tmp_path, max_job_minutes=0.02)) as client:
        job = "{runs-on: ubuntu-latest, timeout-minutes: 60, steps: [{run: sleep 600}]}"
        await client.push(repository, {".github/workflows/a.yml": f"on: push\njobs: {{j: {job}}}\n"})
        run = (await client.finished_runs())["a.yml"]
    assert run["jobs"][0]["conclusion"] in {"timed_out", "cancelled", "failure"}


async def test_log_is_followed_by_offset_and_says_when_it_is_complete(client: Any, repository: Any) -> None:
    await client.push(repository, {".github/workflows/a.yml": FAILING})
    run = (await client.finished_runs())["a.yml"]
    url = run["jobs"][0]["logs_url"]
    whole = (await client.http.get(url)).text
    seen, offset, is_complete = "", "0", "false"
    while is_complete == "false":
        answer = await client.http.get(url, params={"after": offset})
        seen += answer.text
        offset, is_complete = answer.headers["x-log-next"], answer.headers["x-log-complete"]
    assert seen == whole
    found = await client.get(url, format="json")
    assert found["next"] == int(offset)
    assert [line["text"] for line in found["lines"] if line["kind"] == "output"]


@pytest.mark.parametrize(
    "path", ["/api/runs/999", "/api/runs/999/jobs/1/logs", "/api/runs/999999999999999999/jobs/999999999999999999/logs"]
)
async def test_unknown_id_is_told_with_404(client: Any, path: str) -> None:
    answer = await client.http.get(path)
    assert answer.status_code == 404
    assert "there is no run" in answer.json()["message"] or "has no job" in answer.json()["message"]


@pytest.mark.parametrize(
    "path",
    ["/api/runs/x", "/api/runs/-1", "/api/runs/99999999999999999999", "/api/runs?limit=0", "/api/runs?limit=9999"],
)
async def test_bad_parameter_is_told_with_400(client: Any, path: str) -> None:
    answer = await client.http.get(path)
    assert answer.status_code == 400
    assert answer.json()["status"] == "error"


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "evil.example/"},
        {"Host": "x@evil.example"},
        {"Host": "evil.example:port"},
        {"Host": ""},
        {"X-Forwarded-For": "192.0.2.1"},
        {"Forwarded": "for=192.0.2.1"},
        {"Via": "1.1 proxy"},
    ],
)
async def test_api_for_a_foreign_host_or_through_a_proxy_is_closed(client: Any, headers: dict[str, str]) -> None:
    answer = await client.http.get("/api/runs", headers=headers)
    assert answer.status_code == 403
    assert "API_TOKEN" in answer.json()["message"]


@pytest.mark.parametrize(
    ("change", "answers"),
    [
        (
            {"api_token": "t0ken"},
            [
                ({}, 401),
                ({"Authorization": "Bearer wrong"}, 401),
                ({"Authorization": "Basic t0ken"}, 401),
                ({"Authorization": "Bearer t0ken", "Host": "runner.example"}, 200),
            ],
        ),
        ({"host": "0.0.0.0"}, [({}, 403), ({"Authorization": "Bearer"}, 403)]),
        ({"host": "0.0.0.0", "api_token": "t0ken"}, [({}, 401), ({"Authorization": "Bearer t0ken"}, 200)]),
    ],
)
async def test_api_is_open_to_those_who_may(
    tmp_path: Path, settings_of: Any, change: dict[str, Any], answers: list[tuple[dict[str, str], int]]
) -> None:
    settings = settings_of(tmp_path, **change)
    async with (
        build_server(settings, build_provider(settings)) as server,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{server.port}") as http,
    ):
        for headers, status in answers:
            assert (await http.get("/api/runs", headers=headers)).status_code == status
            missing = await http.get("/api/runs/1/jobs/1/logs", headers=headers)
            assert missing.status_code == (404 if status == 200 else status)
        assert (await http.get("/health")).status_code == 200


async def test_second_server_on_the_same_port_is_refused(client: Any, tmp_path: Path, settings_of: Any) -> None:
    settings = settings_of(tmp_path / "other", port=client.http.base_url.port)
    with pytest.raises(UsageError, match="in use"):
        async with build_server(settings, build_provider(settings)):
            pass


async def test_second_server_on_the_same_data_is_refused(client: Any, tmp_path: Path, settings_of: Any) -> None:
    settings = settings_of(tmp_path)
    with pytest.raises(UsageError, match="another server uses the data directory"):
        async with build_server(settings, build_provider(settings)):
            pass


async def test_repositories_file_that_others_may_read_is_refused(tmp_path: Path, settings_of: Any) -> None:
    path = tmp_path / "r.toml"
    path.write_text("")
    path.chmod(0o640)
    settings = settings_of(tmp_path, repositories_file=str(path))
    with pytest.raises(UsageError, match="chmod 600"):
        async with build_server(settings, build_provider(settings)):
            pass


async def test_data_of_the_server_is_private(client: Any, repository: Any, tmp_path: Path) -> None:
    await client.push(repository, {".github/workflows/a.yml": FAILING})
    await client.finished_runs()
    data = tmp_path / "data"
    assert stat.S_IMODE(data.stat().st_mode) == 0o700
    assert stat.S_IMODE((data / "terraphim.sqlite").stat().st_mode) == 0o600


async def test_advance_called_by_many_at_once_starts_every_job_once(client: Any, repository: Any) -> None:
    legs = ", ".join(str(number) for number in range(6))
    text = (
        "on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    strategy:\n"
        f"      matrix: {{n: [{legs}]}}\n    steps:\n      - run: 'true'\n"
        "  b:\n    needs: a\n    runs-on: ubuntu-latest\n    steps:\n      - run: 'true'\n"
    )
    async with anyio.create_task_group() as tasks:
        for _ in range(3):
            tasks.start_soon(client.push, repository, {".github/workflows/a.yml": text})
    for delivery in client.deliveries:
        run = (await client.finished_runs(delivery))["a.yml"]
        assert run["conclusion"] == "success"
        assert [job["attempt"] for job in run["jobs"]] == [1] * 7
    with sqlite3.connect(client.settings.terraphim_data_dir / "terraphim.sqlite") as connection:
        ids = connection.execute(
            "SELECT workflow_uuid FROM workflow_status WHERE workflow_uuid LIKE 'job:%'"
        ).fetchall()
    connection.close()
    assert len(ids) == 21


async def test_delivery_that_cannot_be_stored_is_answered_with_503(
    client: Any, repository: Any, payload_of: Callable[..., Any]
) -> None:
    with closing(sqlite3.connect(client.settings.terraphim_data_dir / "terraphim.sqlite")) as database:
        database.execute("ALTER TABLE deliveries RENAME TO elsewhere")
    answer = await client.deliver("push", payload_of(repository, repository.commit({"a": "b"})))
    assert answer.status_code == 503
    assert answer.json()["message"] == "the delivery could not be stored; deliver it again when the server is well"
