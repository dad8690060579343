"""What the demonstration needs around it: a repository that stands for one on GitHub, and a server."""

import os
import re
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from terraphim_runner.data_directory import data_directory

REPOSITORY = "terraphim/demo"
_START_DEADLINE_S = 120
_STOP_DEADLINE_S = 30
_IDENTITY = {
    "GIT_AUTHOR_NAME": "Demo",
    "GIT_AUTHOR_EMAIL": "demo@example.invalid",
    "GIT_COMMITTER_NAME": "Demo",
    "GIT_COMMITTER_EMAIL": "demo@example.invalid",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_NOSYSTEM": "1",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """The repository and its head commit."""

    path: Path
    sha: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningServer:
    """A server that answers, and the secret that deliveries are signed with."""

    url: str
    webhook_secret: bytes
    pid: int
    log: Path


def make_repository(root: Path, *, workflows: Mapping[str, str] | None = None) -> Origin:
    """Commit the demonstration's files to a repository where the server looks for ``terraphim/demo``.

    ``workflows``, file name to text, stand in place of the demonstration's own.
    """
    path = root / f"{REPOSITORY}.git"
    work = root / "work"
    shutil.copytree(Path(__file__).parent / "repository", work)
    message = "Add a cake"
    if workflows is not None:
        folder = work / ".github/workflows"
        shutil.rmtree(folder)
        folder.mkdir()
        for name, text in workflows.items():
            (folder / name).write_text(text)
    _git(work, "init", "--quiet", "--initial-branch=main")
    _git(work, "add", "--all")
    _git(work, "commit", "--quiet", f"--message={message}")
    path.parent.mkdir(parents=True)
    _git(root, "clone", "--quiet", "--bare", str(work), str(path))
    shutil.rmtree(work)
    return Origin(path=path, sha=_git(path, "rev-parse", "HEAD").strip(), message=message)


def _git(directory: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", *arguments],
        cwd=directory,
        env={**os.environ, **_IDENTITY},
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    return done.stdout


@contextmanager
def running_server(folder: Path, *, demo_token: str, pool: int) -> Generator[RunningServer]:
    """Start the server as a user would, on a free port with data of its own; stop it in the end."""
    data = folder / "data"
    data.mkdir()
    values = folder / "repositories.toml"
    values.touch(mode=0o600)
    values.write_text(f'[repositories."{REPOSITORY}".secrets]\nDEMO_TOKEN = "{demo_token}"\n')
    secret = secrets.token_hex(32)
    log = folder / "server.log"
    environment = {
        **os.environ,
        "GITHUB_WEBHOOK_SECRET": secret,
        "TERRAPHIM_DATA_DIR": str(data),
        # Images and templates are shared with every other use on this machine: they take minutes to build.
        "VM_DIRECTORY": str(data_directory(os.environ)),
        "VM_POOL_SIZE": str(pool),
        "REPOSITORY_PATH": str(folder / "repositories"),
        "REPOSITORIES_FILE": str(values),
        "PORT": "0",
    }
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "terraphim_runner", "serve"], env=environment, stdout=output, stderr=output
        )
    try:
        url = _wait_until_serving(process, log)
        yield RunningServer(url=url, webhook_secret=secret.encode(), pid=process.pid, log=log)
    finally:
        process.terminate()
        try:
            process.wait(_STOP_DEADLINE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_until_serving(process: "subprocess.Popen[bytes]", log: Path) -> str:
    deadline = time.monotonic() + _START_DEADLINE_S
    while time.monotonic() < deadline:
        found = re.search(r"serving on (http://\S+)", log.read_text(errors="replace"))
        if found:
            httpx.get(f"{found[1]}/health", timeout=10).raise_for_status()
            return found[1]
        if process.poll() is not None:
            break
        time.sleep(0.05)
    raise SystemExit(f"error: the server did not start; it said:\n{log.read_text(errors='replace')[-3000:]}")
