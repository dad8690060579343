"""Real git repositories, made in temporary folders."""

import os
import subprocess
from pathlib import Path

import pytest

from terraphim_runner.github.contents.mirror import Mirror
from terraphim_runner.model.event import Repository

ENVIRONMENT = {
    "PATH": os.environ["PATH"],
    "HOME": "/nonexistent",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_AUTHOR_NAME": "Ada",
    "GIT_AUTHOR_EMAIL": "ada@example.org",
    "GIT_COMMITTER_NAME": "Ada",
    "GIT_COMMITTER_EMAIL": "ada@example.org",
}


class Origin:
    """A repository that stands for the one on GitHub."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir(parents=True)
        self.git("init", "-q", "-b", "main")
        self.git("config", "uploadpack.allowAnySHA1InWant", "true")

    def git(self, *arguments: str, check: bool = True, stdin: str | None = None) -> str:
        ended = subprocess.run(
            ["git", *arguments],
            cwd=self.path,
            env=ENVIRONMENT,
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )
        assert not check or ended.returncode == 0, ended.stderr
        return ended.stdout.strip()

    def write(self, name: str | bytes, content: bytes | str = b"", mode: int = 0o644) -> None:
        path = os.path.join(os.fsencode(self.path), os.fsencode(name))
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
        os.chmod(path, mode)

    def commit(self, message: str = "change") -> str:
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", message)
        return self.git("rev-parse", "HEAD")

    @property
    def repository(self) -> Repository:
        return Repository(full_name="octo/hello", clone_url=f"file://{self.path}", default_branch="main")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def origin(tmp_path: Path) -> Origin:
    made = Origin(tmp_path / "origin")
    made.write("README.md", "hello\n")
    made.commit("first")
    return made


@pytest.fixture
def mirror(tmp_path: Path) -> Mirror:
    return make_mirror(tmp_path)


def make_mirror(tmp_path: Path, **changed: object) -> Mirror:
    settings = {"allow_file_urls": True, "cache": tmp_path / "cache", "token": None, "timeout_s": 20.0} | changed
    return Mirror(tmp_path / "repositories", **settings)  # type: ignore[arg-type]


@pytest.fixture
def make(tmp_path: Path):
    def made(**changed: object) -> Mirror:
        return make_mirror(tmp_path, **changed)

    return made


@pytest.fixture
def make_origin(tmp_path: Path):
    return lambda name: Origin(tmp_path / name)
