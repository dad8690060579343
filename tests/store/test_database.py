import os
import stat
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, inspect, text

from terraphim_runner.model.errors import InfrastructureError, UsageError
from terraphim_runner.model.ids import RunId
from terraphim_runner.model.secret import Secret
from terraphim_runner.store import migrations, runs
from terraphim_runner.store.database import Database, open_database
from terraphim_runner.store.tables import SCHEMA_REVISION, metadata

pytestmark = pytest.mark.anyio


def test_migrations_head_is_the_revision_that_the_server_expects() -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    assert ScriptDirectory.from_config(config).get_current_head() == SCHEMA_REVISION


def test_migrated_database_has_exactly_the_declared_tables(database: Database) -> None:
    engine = create_engine(database.url.reveal())
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": False})
        assert compare_metadata(context, metadata) == []
    engine.dispose()


def test_database_opened_again_keeps_what_is_in_it(tmp_path: Path) -> None:
    url = Secret(f"sqlite:///{tmp_path / 'kept.sqlite'}")
    for expected in ([], [("d1",)]):
        opened = open_database(url)
        engine = create_engine(url.reveal())
        with engine.begin() as connection:
            assert connection.execute(text("SELECT id FROM deliveries")).all() == expected
            if not expected:
                row = "'d1', 'push', x'', '2026-01-01 00:00:00', 'received', 1, '', NULL"
                connection.execute(text(f"INSERT INTO deliveries VALUES ({row})"))
        engine.dispose()
        opened.close()


async def test_sqlite_file_is_private_and_in_wal_mode(tmp_path: Path) -> None:
    path = tmp_path / "private.sqlite"
    opened = open_database(Secret(f"sqlite:///{path}"))
    try:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        mode = await opened.read(lambda connection: connection.execute(text("PRAGMA journal_mode")).scalar())
        assert mode == "wal"
        keys = await opened.read(lambda connection: connection.execute(text("PRAGMA foreign_keys")).scalar())
        assert keys == 1
    finally:
        opened.close()


async def test_write_that_raises_stores_nothing(database: Database) -> None:
    def half(connection: object) -> None:
        connection.execute(text("CREATE TABLE half (n INTEGER)"))  # type: ignore[attr-defined]
        raise LookupError("enough")

    with pytest.raises(LookupError):
        await database.write(half)
    with pytest.raises(Exception, match="half"):
        await database.read(lambda connection: connection.execute(text("SELECT * FROM half")))


@pytest.mark.parametrize("url", ["mysql://u:hunter2@host/x", "nonsense hunter2", "sqlite://", "sqlite:///:memory:"])
def test_database_url_of_an_unknown_kind_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(UsageError) as caught:
        open_database(Secret(url))
    assert "hunter2" not in str(caught.value)
    assert "DATABASE_URL" in str(caught.value)


def test_database_that_cannot_be_reached_is_told_without_its_password() -> None:
    with pytest.raises(InfrastructureError) as caught:
        open_database(Secret("postgresql://u:hunter2@127.0.0.1:1/x"))
    assert "hunter2" not in str(caught.value)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_database_in_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(InfrastructureError, match="open the database"):
        open_database(Secret(f"sqlite:///{tmp_path / 'x.sqlite'}"))


def test_database_whose_file_is_a_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(InfrastructureError, match="open the database"):
        open_database(Secret(f"sqlite:///{tmp_path}"))


def test_database_of_a_newer_version_is_refused(database: Database) -> None:
    engine = create_engine(database.url.reveal())
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    engine.dispose()
    with pytest.raises(InfrastructureError, match="9999"):
        open_database(database.url)


def test_migration_takes_no_module_from_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "alembic.py").write_text("raise SystemExit('code of whoever owns the working directory was run')\n")
    monkeypatch.chdir(tmp_path)
    open_database(Secret(f"sqlite:///{tmp_path / 'db.sqlite'}")).close()


def test_rows_of_the_first_revision_stay_and_get_the_new_columns(bare_url: str) -> None:
    _migrate(bare_url, "0001")
    engine = create_engine(bare_url)
    with engine.begin() as connection:
        at = "'2026-01-01 00:00:00+00'"
        connection.execute(text(f"INSERT INTO deliveries VALUES ('d1', 'push', '', {at}, 'processed', 1, '', {at})"))
        connection.execute(
            text(
                "INSERT INTO runs (delivery_id, repository, path, number, name, event, ref, sha, status, created_at, "
                "source, contexts, diagnostics, cancelled) "
                f"VALUES ('d1', 'o/r', 'p', 1, 'n', 'push', 'r', 's', 'queued', {at}, 'on: push', '{{}}', '[]', false)"
            )
        )
    open_database(Secret(bare_url)).close()
    with engine.begin() as connection:
        run = runs.load(connection, RunId("1"))
        assert run is not None
        assert (run.source, run.called, run.cancel_reason) == ("on: push", (), None)
        key = "j/" * 600
        connection.execute(
            text(
                "INSERT INTO jobs (run_id, job, leg_key, kind, name, status, attempt, lost_attempts, outputs, "
                "finished_order, diagnostics, created_at) "
                f"VALUES (1, '{key}', '{key}', 'leg', 'n', 'waiting', 0, 0, '{{}}', 0, '[]', '2026-01-01')"
            )
        )
        connection.execute(text("DELETE FROM jobs"))
    _migrate(bare_url, "0001", down=True)
    with engine.connect() as connection:
        assert connection.execute(text("SELECT path FROM runs")).all() == [("p",)]
        columns = {column["name"] for column in inspect(connection).get_columns("runs")}
        assert "called" not in columns
    engine.dispose()


def _migrate(url: str, revision: str, *, down: bool = False) -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    config.attributes["url"] = url
    (command.downgrade if down else command.upgrade)(config, revision)
