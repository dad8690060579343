"""What a server that ends, in whatever way, leaves to the next one."""

import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import anyio
import anyio.abc
import httpx
import pytest

pytestmark = pytest.mark.anyio
DEADLINE_S = 60.0

WORKFLOW = """
on: push
jobs:
  first:
    runs-on: ubuntu-latest
    steps:
      - run: |
          echo "attempt in $$" >> "{folder}/attempts"
          until [ -e "{folder}/go" ]; do sleep 0.05; done
          echo finished
  second:
    needs: first
    runs-on: ubuntu-latest
    steps:
      - run: echo second
  waiting:
    runs-on: ubuntu-latest
    steps:
      - run: echo waited
"""


class Program:
    """``terraphim-runner serve`` as a process of its own."""

    def __init__(self, process: anyio.abc.Process, url: str) -> None:
        self.process = process
        self.url = url

    async def end(self, number: int) -> int:
        self.process.send_signal(number)
        with anyio.fail_after(DEADLINE_S):
            return await self.process.wait()


@asynccontextmanager
async def _program(folder: Path, **more: str) -> AsyncIterator[Program]:
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "TERRAPHIM_DATA_DIR": str(folder / "data"),
        "GITHUB_WEBHOOK_SECRET": "a webhook secret",
        "VM_PROVIDER": "process",
        "CLONE_ALLOW_FILE_URLS": "true",
        "MAX_CONCURRENT_WORKFLOWS": "1",
        **more,
    }
    argv = [sys.executable, "-m", "terraphim_runner", "serve", "--port", "0"]
    process = await anyio.open_process(argv, env=environment, stdout=None)
    said = b""
    assert process.stderr is not None
    try:
        with anyio.fail_after(DEADLINE_S):
            while b"serving on " not in said or not said.endswith(b"\n"):
                said += await process.stderr.receive()
        yield Program(process, said.decode().split("serving on ")[1].split()[0])
    finally:
        if process.returncode is None:
            process.kill()
        with anyio.CancelScope(shield=True):
            await process.aclose()


async def _until(condition: Any) -> None:
    with anyio.fail_after(DEADLINE_S):
        while not condition():  # noqa: ASYNC110  (what is waited for happens in another process)
            await anyio.sleep(0.02)


def _attempts(folder: Path) -> int:
    path = folder / "attempts"
    return len(path.read_text().splitlines()) if path.exists() else 0


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
async def test_run_reaches_its_verdict_after_the_server_ended_in_the_middle(
    folder: Path, repository: Any, client_of: Any, number: int
) -> None:
    async with _program(folder) as program, httpx.AsyncClient(base_url=program.url) as http:
        client = client_of(http)
        await client.push(repository, {".github/workflows/a.yml": WORKFLOW.format(folder=folder)})
        await _until(lambda: _attempts(folder) == 1)
        delivery = client.deliveries[-1]
        status = await program.end(number)
        assert status == (-signal.SIGKILL if number == signal.SIGKILL else 0)
    (folder / "go").touch()
    async with _program(folder) as program, httpx.AsyncClient(base_url=program.url) as http:
        run = (await client_of(http).finished_runs(delivery))["a.yml"]
        assert run["conclusion"] == "success"
        assert {job["key"]: (job["conclusion"], job["attempt"]) for job in run["jobs"]} == {
            "first": ("success", 2),
            "second": ("success", 1),
            "waiting": ("success", 1),
        }
        log = (await http.get(run["jobs"][0]["logs_url"])).text
        assert ("the host was lost" in log) == (number == signal.SIGKILL)
        assert "finished" in log
    assert _attempts(folder) == 2


async def test_job_whose_server_dies_again_and_again_fails_with_the_reason(
    folder: Path, repository: Any, client_of: Any
) -> None:
    delivery = ""
    for attempt in range(1, 4):
        async with _program(folder) as program, httpx.AsyncClient(base_url=program.url) as http:
            client = client_of(http)
            if attempt == 1:
                await client.push(repository, {".github/workflows/a.yml": WORKFLOW.format(folder=folder)})
                delivery = client.deliveries[-1]
            await _until(lambda wanted=attempt: _attempts(folder) == wanted)
            await program.end(signal.SIGKILL)
    async with _program(folder) as program, httpx.AsyncClient(base_url=program.url) as http:
        run = (await client_of(http).finished_runs(delivery))["a.yml"]
        jobs = {job["key"]: job for job in run["jobs"]}
        assert run["conclusion"] == "failure"
        assert jobs["first"]["conclusion"] == "failure"
        assert "the host was lost 3 times" in jobs["first"]["reason"]
        assert jobs["second"]["conclusion"] == "skipped"
    assert _attempts(folder) == 3


async def test_server_that_is_stopped_leaves_no_process_and_no_session(
    folder: Path, repository: Any, client_of: Any
) -> None:
    async with _program(folder) as program, httpx.AsyncClient(base_url=program.url) as http:
        await client_of(http).push(repository, {".github/workflows/a.yml": WORKFLOW.format(folder=folder)})
        await _until(lambda: _attempts(folder) == 1)
        assert await program.end(signal.SIGTERM) == 0
    sessions = folder / "data" / "sessions"
    assert [path for path in sessions.glob("*") if path.is_dir()] == []
    assert _processes_that_mention(str(folder)) == []


def _processes_that_mention(text: str) -> list[str]:
    found: list[str] = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            with suppress(OSError):
                arguments = (entry / "cmdline").read_bytes().decode(errors="replace")
                found += [arguments] if text in arguments else []
    return found


@pytest.mark.parametrize(
    ("change", "status", "message"),
    [
        ({"GITHUB_WEBHOOK_SECRET": ""}, 2, "GITHUB_WEBHOOK_SECRET is not set"),
        ({"PORT": "x"}, 2, "PORT"),
        ({"TERRAPHIM_DATA_DIR": "/proc/none"}, 1, "TERRAPHIM_DATA_DIR"),
        ({"DATABASE_URL": "mysql://u:hunter2@x/y"}, 2, "DATABASE_URL"),
        ({"DATABASE_URL": "postgresql://u:hunter2@127.0.0.1:1/y"}, 1, "open the database"),
        ({"HOST": "203.0.113.1"}, 2, "HOST"),
        ({"VM_PROVIDER": "qemu"}, 1, "could not"),
    ],
)
async def test_server_that_cannot_start_says_why_in_one_message(
    folder: Path, change: dict[str, str], status: int, message: str
) -> None:
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "TERRAPHIM_DATA_DIR": str(folder / "data"),
        "GITHUB_WEBHOOK_SECRET": "s",
        "VM_PROVIDER": "process",
        "PORT": "0",
        **change,
    }
    with anyio.fail_after(DEADLINE_S):
        done = await anyio.run_process(
            [sys.executable, "-m", "terraphim_runner", "serve"], env=environment, check=False
        )
    said = done.stderr.decode()
    assert done.returncode == status, said
    assert message in said
    assert "Traceback" not in said
    assert "hunter2" not in said


async def test_server_leaves_no_core_dump_with_its_secrets(folder: Path) -> None:
    async with _program(folder) as server:
        limits = await anyio.Path(f"/proc/{server.process.pid}/limits").read_text()
    (line,) = (line for line in limits.splitlines() if line.startswith("Max core file size"))
    assert line.split()[4:6] == ["0", "0"]
