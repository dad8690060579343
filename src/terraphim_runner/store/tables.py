"""The tables: what is kept of deliveries, runs, jobs, concurrency groups, steps and annotations.

Identifiers of runs and jobs are numbers, because actions expect ``github.run_id`` to be one; the model sees them as
text. Times are UTC. The migrations below ``store/migrations`` create exactly these tables (a test compares them).
"""

from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Row,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
)

SCHEMA_REVISION: Final = "0002"
"""The newest migration. A server whose database says otherwise migrates before it starts."""


class UtcDateTime(TypeDecorator[datetime]):
    """An aware UTC time. SQLite keeps no zone, so it is put back on reading; a naive value is refused."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is not None and value.tzinfo is None:
            raise ValueError(f"a time without a zone cannot be stored: {value!r}")
        return value.astimezone(UTC) if value is not None else None

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Words(TypeDecorator[str]):
    """Text that came from outside: what no database can store (NUL, half a surrogate pair) is replaced by a sign."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        if value is None:
            return None
        return value.replace("\x00", "\N{REPLACEMENT CHARACTER}").encode(errors="replace").decode()


# SQLite hands out row ids only to a column that is declared INTEGER.
Identity = BigInteger().with_variant(Integer(), "sqlite")

metadata = MetaData()

deliveries = Table(
    "deliveries",
    metadata,
    Column("id", String(100), primary_key=True),
    Column("event", String(100), nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("received_at", UtcDateTime, nullable=False),
    Column("state", String(20), nullable=False),
    Column("tries", Integer, nullable=False),
    Column("note", Words, nullable=False),
    Column("settled_at", UtcDateTime),
    Index("deliveries_by_state", "state"),
)

runs = Table(
    "runs",
    metadata,
    Column("id", Identity, primary_key=True, autoincrement=True),
    Column("delivery_id", String(100), ForeignKey("deliveries.id"), nullable=False),
    Column("repository", String(300), nullable=False),
    Column("path", String(1000), nullable=False),
    Column("number", Integer, nullable=False),
    Column("name", Words, nullable=False),
    Column("event", String(100), nullable=False),
    Column("ref", Words, nullable=False),
    Column("sha", String(64), nullable=False),
    Column("status", String(20), nullable=False),
    Column("conclusion", String(20)),
    Column("created_at", UtcDateTime, nullable=False),
    Column("started_at", UtcDateTime),
    Column("completed_at", UtcDateTime),
    Column("source", Words, nullable=False),
    Column("contexts", JSON, nullable=False),
    Column("diagnostics", JSON, nullable=False),
    Column("error", Words),
    Column("cancelled", Boolean, nullable=False),
    Column("cancel_reason", Words),
    Column("called", JSON, nullable=False, server_default="[]"),
    Column("display_title", Words),
    UniqueConstraint("delivery_id", "path", "event", name="runs_once_per_delivery"),
    UniqueConstraint("repository", "path", "number", name="runs_number"),
    Index("runs_by_status", "status"),
)

jobs = Table(
    "jobs",
    metadata,
    Column("id", Identity, primary_key=True, autoincrement=True),
    Column("run_id", Identity, ForeignKey("runs.id"), nullable=False),
    Column("job", String(1200), nullable=False),
    Column("leg_key", String(1300), nullable=False),
    Column("kind", String(20), nullable=False),
    Column("name", Words, nullable=False),
    Column("leg", JSON),
    Column("status", String(20), nullable=False),
    Column("conclusion", String(20)),
    Column("attempt", Integer, nullable=False),
    Column("lost_attempts", Integer, nullable=False),
    Column("host", String(100)),
    Column("machine", Words),
    Column("outputs", JSON, nullable=False),
    Column("finished_order", Integer, nullable=False),
    Column("cancel_reason", Words),
    Column("reason", Words),
    Column("diagnostics", JSON, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("started_at", UtcDateTime),
    Column("completed_at", UtcDateTime),
    UniqueConstraint("run_id", "leg_key", name="jobs_leg"),
    Index("jobs_by_status", "status"),
)

claims = Table(
    "claims",
    metadata,
    Column("id", Identity, primary_key=True, autoincrement=True),
    Column("repository", String(300), nullable=False),
    Column("key", String(64), nullable=False),
    Column("name", Words, nullable=False),
    Column("run_id", Identity, ForeignKey("runs.id"), nullable=False),
    Column("job_id", Identity, ForeignKey("jobs.id")),
    Column("holds", Boolean, nullable=False),
    Column("displaced", Words),
    Column("queue", String(20), nullable=False),
    Column("cancel_in_progress", Boolean, nullable=False),
    Index("claims_by_group", "repository", "key"),
    Index("claims_by_run", "run_id"),
    Index("claims_by_job", "job_id"),
)

steps = Table(
    "steps",
    metadata,
    Column("job_id", Identity, ForeignKey("jobs.id"), primary_key=True),
    Column("attempt", Integer, primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("step_id", Words),
    Column("name", Words, nullable=False),
    Column("status", String(20), nullable=False),
    Column("outcome", String(20)),
    Column("conclusion", String(20)),
    Column("started_at", UtcDateTime),
    Column("completed_at", UtcDateTime),
    Column("exit_code", Integer),
    Column("summary", Words, nullable=False),
    Column("error", Words),
)

annotations = Table(
    "annotations",
    metadata,
    Column("id", Identity, primary_key=True, autoincrement=True),
    Column("job_id", Identity, ForeignKey("jobs.id"), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("step", Integer, nullable=False),
    Column("level", String(20), nullable=False),
    Column("message", Words, nullable=False),
    Column("title", Words),
    Column("file", Words),
    Column("line", Integer),
    Column("end_line", Integer),
    Column("column", Integer),
    Column("end_column", Integer),
    Index("annotations_by_job", "job_id"),
)


def plain(row: Row[Any]) -> dict[str, Any]:
    """Return a row as a dictionary."""
    # SQLAlchemy's documented way to a row's names, its underscore notwithstanding.
    return dict(row._mapping)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
