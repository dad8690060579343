"""A real server on a free port, a real git repository, signed deliveries."""

import hashlib
import hmac
import json
import shutil
import subprocess
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import anyio
import httpx
import pytest

from terraphim_runner.app import build_provider, build_server
from terraphim_runner.model.secret import Secret
from terraphim_runner.settings import Settings, load_settings
from terraphim_runner.store.database import open_database

SECRET = "a webhook secret"
DEADLINE_S = 60.0


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


class GitRepository:
    """A repository with workflow files; ``commit`` gives the new head."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._git("init", "-q", "-b", "main", str(folder))

    @property
    def url(self) -> str:
        return f"file://{self.folder}"

    def commit(self, files: Mapping[str, str]) -> str:
        for name, text in files.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        self._git("-C", str(self.folder), "add", "-A")
        who = ("-c", "user.name=t", "-c", "user.email=t@example.org")
        self._git("-C", str(self.folder), *who, "commit", "-qm", "change", "--allow-empty")
        return self._git("-C", str(self.folder), "rev-parse", "HEAD").strip()

    def _git(self, *arguments: str) -> str:
        return subprocess.run(["git", *arguments], check=True, capture_output=True, text=True).stdout


@pytest.fixture
def repository(tmp_path: Path) -> GitRepository:
    return GitRepository(tmp_path / "upstream")


def push_payload(repository: GitRepository, sha: str) -> dict[str, Any]:
    return {
        "ref": "refs/heads/main",
        "before": "0" * 40,
        "after": sha,
        "deleted": False,
        "head_commit": {"id": sha, "message": "change"},
        "repository": {
            "id": 1,
            "name": "app",
            "full_name": "acme/app",
            "owner": {"login": "acme", "id": 2},
            "clone_url": repository.url,
            "default_branch": "main",
        },
        "sender": {"login": "someone", "id": 3},
    }


def sign(body: bytes, secret: str = SECRET) -> str:
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


@dataclass(slots=True)
class Client:
    """What GitHub and a person do with a server."""

    http: httpx.AsyncClient
    settings: Settings
    deliveries: list[str] = field(default_factory=list)

    async def deliver(self, event: str, payload: Any, *, delivery: str | None = None, **headers: str) -> httpx.Response:
        body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        delivery = delivery or str(uuid4())
        self.deliveries.append(delivery)
        known = {"X-Hub-Signature-256": sign(body), "X-GitHub-Event": event, "X-GitHub-Delivery": delivery}
        wanted = {name: value for name, value in {**known, **headers}.items() if value}
        return await self.http.post("/webhook", content=body, headers=wanted)

    async def push(self, repository: GitRepository, files: Mapping[str, str]) -> httpx.Response:
        return await self.deliver("push", push_payload(repository, repository.commit(files)))

    async def get(self, path: str, **parameters: Any) -> Any:
        answer = await self.http.get(path, params=parameters or None)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def until(self, path: str, condition: Callable[[Any], bool]) -> Any:
        """Ask again until the condition holds; the server's own answers pace it."""
        found: Any = None
        with anyio.move_on_after(DEADLINE_S):
            while True:
                found = await self.get(path)
                if condition(found):
                    return found
                await anyio.sleep(0.02)
        raise AssertionError(f"{path} did not come to it within {DEADLINE_S} s: {json.dumps(found, indent=1)}")

    async def finished_runs(self, delivery: str | None = None) -> dict[str, Any]:
        """Wait until every run of a delivery has its verdict; return the runs by the name of their file."""

        def over(found: Any) -> bool:
            known = found["delivery"]
            return known["state"] != "received" and all(run["status"] == "completed" for run in found["runs"])

        found = await self.until(f"/api/runs?delivery={delivery or self.deliveries[-1]}", over)
        return {Path(run["workflow"]["path"]).name: await self.get(run["url"]) for run in found["runs"]}

    async def log(self, job: Mapping[str, Any]) -> str:
        return (await self.http.get(job["logs_url"])).text


def server_settings(folder: Path, **more: Any) -> Settings:
    chosen = {
        "terraphim_data_dir": str(folder / "data"),
        "github_webhook_secret": SECRET,
        "port": 0,
        "vm_provider": "process",
        "clone_allow_file_urls": True,
    }
    return load_settings({"HOME": str(folder)}, overrides=chosen | more)


@pytest.fixture(scope="session")
def migrated_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with all tables, to be copied: making them takes most of a first start."""
    path = tmp_path_factory.mktemp("migrated") / "terraphim.sqlite"
    open_database(Secret(f"sqlite:///{path}")).close()
    return path


def put_database(database: Path, folder: Path) -> None:
    data = folder / "data"
    data.mkdir(mode=0o700)
    shutil.copy(database, data / "terraphim.sqlite")


@asynccontextmanager
async def serving(settings: Settings) -> AsyncIterator[Client]:
    async with (
        build_server(settings, build_provider(settings)) as server,
        httpx.AsyncClient(base_url=server.url, timeout=DEADLINE_S) as http,
    ):
        yield Client(http, settings)


@pytest.fixture
def settings_change() -> dict[str, Any]:
    """Settings that a test module replaces."""
    return {}


@pytest.fixture
async def client(tmp_path: Path, migrated_database: Path, settings_change: dict[str, Any]) -> AsyncIterator[Client]:
    put_database(migrated_database, tmp_path)
    async with serving(server_settings(tmp_path, **settings_change)) as found:
        yield found


@pytest.fixture(scope="module")
async def shared_client(
    tmp_path_factory: pytest.TempPathFactory, migrated_database: Path, anyio_backend: str
) -> AsyncIterator[Client]:
    """One server for a module whose tests do not mind each other; its bodies may have 4096 bytes."""
    folder = tmp_path_factory.mktemp("shared")
    put_database(migrated_database, folder)
    async with serving(server_settings(folder, webhook_body_limit_bytes=4096)) as found:
        yield found


@pytest.fixture
def payload_of() -> Callable[[GitRepository, str], dict[str, Any]]:
    return push_payload


@pytest.fixture
def signature_of() -> Callable[..., str]:
    return sign


@pytest.fixture
def settings_of() -> Callable[..., Settings]:
    return server_settings


@pytest.fixture
def serving_of() -> Callable[[Settings], AbstractAsyncContextManager[Client]]:
    """A server with settings of the test's own."""
    return serving


@pytest.fixture
def client_of(tmp_path: Path) -> Callable[[httpx.AsyncClient], Client]:
    """For a server in another process."""
    return lambda http: Client(http, server_settings(tmp_path))
