"""A real database of each kind; PostgreSQL where its programs are installed."""

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from terraphim_runner.model.secret import Secret
from terraphim_runner.store.database import Database, open_database


def _postgres_programs() -> Path | None:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    return found[-1].parent if found else None


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    programs = _postgres_programs()
    if programs is None:
        pytest.skip("PostgreSQL is not installed: apt-get install postgresql")
    # Not below pytest's own folder, which only its user may enter: PostgreSQL refuses to run as root.
    folder = Path(tempfile.mkdtemp(prefix="terraphim-postgres-"))
    user = "postgres" if os.geteuid() == 0 else None
    if user:
        shutil.chown(folder, user)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    data = folder / "data"
    initdb = [programs / "initdb", "-D", data, "-U", "test", "-A", "trust", "--no-sync"]
    subprocess.run(initdb, check=True, capture_output=True, user=user, cwd="/")
    options = f"-p {port} -k {folder} -c fsync=off -c listen_addresses=127.0.0.1 -c shared_buffers=16MB"
    start = [programs / "pg_ctl", "-D", data, "-w", "-t", "30", "-l", folder / "log", "-o", options, "start"]
    subprocess.run(start, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, user=user, cwd="/")
    try:
        yield f"postgresql://test@127.0.0.1:{port}/"
    finally:
        stop = [programs / "pg_ctl", "-D", data, "-m", "immediate", "stop"]
        subprocess.run(stop, check=True, capture_output=True, user=user, cwd="/")
        shutil.rmtree(folder)


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("template") / "template.sqlite"
    open_database(Secret(f"sqlite:///{path}")).close()
    return path


@pytest.fixture(scope="session")
def postgres_template(postgres_url: str) -> str:
    _psql(postgres_url, "CREATE DATABASE template")
    open_database(Secret(f"{postgres_url}template")).close()
    return postgres_url


@pytest.fixture(params=["sqlite", "postgresql"])
def bare_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database without any table."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'bare.sqlite'}"
    server: str = request.getfixturevalue("postgres_url")
    name = f"t{uuid4().hex}"
    _psql(server, f"CREATE DATABASE {name}")
    return f"{server}{name}".replace("postgresql:", "postgresql+psycopg:")


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    if request.param == "sqlite":
        path = tmp_path / "test.sqlite"
        shutil.copy(request.getfixturevalue("sqlite_template"), path)
        opened = open_database(Secret(f"sqlite:///{path}"))
    else:
        server = request.getfixturevalue("postgres_template")
        name = f"t{uuid4().hex}"
        _psql(server, f"CREATE DATABASE {name} TEMPLATE template")
        opened = open_database(Secret(f"{server}{name}"))
    yield opened
    opened.close()


def _psql(server: str, statement: str) -> None:
    subprocess.run(["psql", f"{server}postgres", "-qc", statement], check=True, capture_output=True)
