"""The connection to the database: SQLite in a file, or PostgreSQL, by the URL alone.

Functions of this package take a connection and are synchronous; ``Database.read`` and ``Database.write`` run them in
a thread, each as one transaction. On SQLite a writing transaction takes the write lock when it begins, so that two
writers wait for each other instead of failing half-way; on PostgreSQL rows are locked (``FOR UPDATE``).
"""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Concatenate, Final, ParamSpec, TypeVar

import anyio
import anyio.to_thread
from sqlalchemy import URL, Connection, Engine, create_engine, event, inspect, make_url, text
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from terraphim_runner.model.errors import InfrastructureError, UsageError
from terraphim_runner.model.secret import Secret
from terraphim_runner.store.tables import SCHEMA_REVISION

BUSY_TIMEOUT_S: Final = 30
MIGRATION_TIMEOUT_S: Final = 120
CONNECTIONS: Final = 4

P = ParamSpec("P")
T = TypeVar("T")


class Database:
    """A pool of connections. Made by ``open_database``; ``close`` gives the connections back."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._writing = engine.execution_options(terraphim_write=True)
        self._threads = anyio.CapacityLimiter(CONNECTIONS)

    @property
    def url(self) -> Secret:
        """The URL with its password, for those who connect by themselves."""
        return Secret(self._engine.url.render_as_string(hide_password=False))

    async def read(self, function: Callable[Concatenate[Connection, P], T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a function that only reads, in one transaction of a thread."""
        return await self._in_thread(self._engine, lambda connection: function(connection, *args, **kwargs))

    async def write(self, function: Callable[Concatenate[Connection, P], T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a function as one transaction of a thread: all of it is stored, or nothing when it raises.

        A cancelled caller does not undo it: the transaction is finished first.
        """
        return await self._in_thread(self._writing, lambda connection: function(connection, *args, **kwargs))

    async def _in_thread(self, engine: Engine, function: Callable[[Connection], T]) -> T:
        def transaction() -> T:
            with engine.begin() as connection:
                return function(connection)

        return await anyio.to_thread.run_sync(transaction, limiter=self._threads)

    def close(self) -> None:
        self._engine.dispose()


def open_database(url: Secret) -> Database:
    """Open the database and bring its tables up to date.

    Raises ``UsageError`` for a URL that is not understood, ``InfrastructureError`` when it cannot be opened or written.
    """
    parsed = _parse(url)
    shown = parsed.render_as_string(hide_password=True)
    try:
        if parsed.get_backend_name() == "sqlite":
            _prepare_file(Path(parsed.database or ""))
        return Database(_up_to_date(_engine(parsed)))
    except (SQLAlchemyError, OSError) as error:
        raise InfrastructureError(
            doing=f"open the database {shown}",
            reason=_first_line(error),
            fix="check that the folder exists and can be written by this user, or set DATABASE_URL",
        ) from None


def _up_to_date(engine: Engine) -> Engine:
    try:
        if _revision(engine) != SCHEMA_REVISION:
            _migrate(engine.url)
    except BaseException:
        engine.dispose()
        raise
    return engine


def _parse(url: Secret) -> URL:
    try:
        parsed = make_url(url.reveal())
    except ArgumentError:
        raise UsageError("DATABASE_URL is not a URL: expected sqlite:///FILE or postgresql://HOST/NAME") from None
    backend = parsed.get_backend_name()
    if backend == "postgresql":
        return parsed.set(drivername="postgresql+psycopg")
    if backend == "sqlite" and parsed.database not in {None, "", ":memory:"}:
        return parsed
    raise UsageError(
        f"DATABASE_URL of kind {parsed.drivername!r} cannot be used: expected sqlite:///FILE or postgresql://HOST/NAME"
    )


def _prepare_file(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    # The bodies of deliveries and the contexts of private repositories are in it.
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))


def _engine(url: URL) -> Engine:
    if url.get_backend_name() != "sqlite":
        return create_engine(
            url, pool_size=CONNECTIONS, max_overflow=2, pool_pre_ping=True, connect_args={"connect_timeout": 10}
        )
    engine = create_engine(url, pool_size=CONNECTIONS, max_overflow=2, connect_args={"timeout": BUSY_TIMEOUT_S})
    event.listen(engine, "connect", _configure_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _configure_sqlite(connection: Any, _record: Any) -> None:
    # The driver's own BEGIN comes too late: it leaves a reading statement before it outside of the transaction.
    connection.isolation_level = None
    for pragma in ("journal_mode=WAL", "foreign_keys=ON", "synchronous=FULL"):
        connection.execute(f"PRAGMA {pragma}").close()


def _begin_sqlite(connection: Connection) -> None:
    writing = connection.get_execution_options().get("terraphim_write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")


def _revision(engine: Engine) -> str | None:
    with engine.begin() as connection:
        if not inspect(connection).has_table("alembic_version"):
            return None
        return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def _migrate(url: URL) -> None:
    # In a process of its own: Alembic's memory would otherwise stay in the server for good. The URL goes in by
    # stdin, for it may hold a password. -P: no module is taken from wherever the server happens to be started.
    done = subprocess.run(
        [sys.executable, "-P", "-m", "terraphim_runner.store.migrations"],
        input=url.render_as_string(hide_password=False),
        capture_output=True,
        text=True,
        timeout=MIGRATION_TIMEOUT_S,
        check=False,
    )
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines()
        raise InfrastructureError(
            doing="migrate the database",
            reason=lines[-1] if lines else f"exit status {done.returncode}",
            fix="a database of a newer version cannot be used by an older one: install the newer version",
        )


def _first_line(error: Exception) -> str:
    cause = getattr(error, "orig", None) or error
    return str(cause).splitlines()[0] if str(cause) else type(cause).__name__
