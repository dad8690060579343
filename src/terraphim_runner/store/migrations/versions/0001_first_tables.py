"""The first tables: deliveries, runs, jobs, steps, annotations."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

IDENTITY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "deliveries",
        sa.Column("id", sa.String(100), primary_key=True),
        sa.Column("event", sa.String(100), nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.Column("received_at", TIME, nullable=False),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("tries", sa.Integer, nullable=False),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("settled_at", TIME),
    )
    op.create_index("deliveries_by_state", "deliveries", ["state"])
    op.create_table(
        "runs",
        sa.Column("id", IDENTITY, primary_key=True, autoincrement=True),
        sa.Column("delivery_id", sa.String(100), sa.ForeignKey("deliveries.id"), nullable=False),
        sa.Column("repository", sa.String(300), nullable=False),
        sa.Column("path", sa.String(1000), nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("event", sa.String(100), nullable=False),
        sa.Column("ref", sa.Text, nullable=False),
        sa.Column("sha", sa.String(64), nullable=False),
        sa.Column("status", sa.String(20), nullable=False),
        sa.Column("conclusion", sa.String(20)),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("started_at", TIME),
        sa.Column("completed_at", TIME),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("contexts", sa.JSON, nullable=False),
        sa.Column("diagnostics", sa.JSON, nullable=False),
        sa.Column("error", sa.Text),
        sa.Column("cancelled", sa.Boolean, nullable=False),
        sa.UniqueConstraint("delivery_id", "path", "event", name="runs_once_per_delivery"),
        sa.UniqueConstraint("repository", "path", "number", name="runs_number"),
    )
    op.create_index("runs_by_status", "runs", ["status"])
    op.create_table(
        "jobs",
        sa.Column("id", IDENTITY, primary_key=True, autoincrement=True),
        sa.Column("run_id", IDENTITY, sa.ForeignKey("runs.id"), nullable=False),
        sa.Column("job", sa.String(200), nullable=False),
        sa.Column("leg_key", sa.String(300), nullable=False),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("leg", sa.JSON),
        sa.Column("status", sa.String(20), nullable=False),
        sa.Column("conclusion", sa.String(20)),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("lost_attempts", sa.Integer, nullable=False),
        sa.Column("host", sa.String(100)),
        sa.Column("machine", sa.Text),
        sa.Column("outputs", sa.JSON, nullable=False),
        sa.Column("finished_order", sa.Integer, nullable=False),
        sa.Column("cancel_reason", sa.Text),
        sa.Column("reason", sa.Text),
        sa.Column("diagnostics", sa.JSON, nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("started_at", TIME),
        sa.Column("completed_at", TIME),
        sa.UniqueConstraint("run_id", "leg_key", name="jobs_leg"),
    )
    op.create_index("jobs_by_status", "jobs", ["status"])
    op.create_table(
        "steps",
        sa.Column("job_id", IDENTITY, sa.ForeignKey("jobs.id"), primary_key=True),
        sa.Column("attempt", sa.Integer, primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("step_id", sa.Text),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("status", sa.String(20), nullable=False),
        sa.Column("outcome", sa.String(20)),
        sa.Column("conclusion", sa.String(20)),
        sa.Column("started_at", TIME),
        sa.Column("completed_at", TIME),
        sa.Column("exit_code", sa.Integer),
        sa.Column("summary", sa.Text, nullable=False),
        sa.Column("error", sa.Text),
    )
    op.create_table(
        "annotations",
        sa.Column("id", IDENTITY, primary_key=True, autoincrement=True),
        sa.Column("job_id", IDENTITY, sa.ForeignKey("jobs.id"), nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("step", sa.Integer, nullable=False),
        sa.Column("level", sa.String(20), nullable=False),
        sa.Column("message", sa.Text, nullable=False),
        sa.Column("title", sa.Text),
        sa.Column("file", sa.Text),
        sa.Column("line", sa.Integer),
        sa.Column("end_line", sa.Integer),
        sa.Column("column", sa.Integer),
        sa.Column("end_column", sa.Integer),
    )
    op.create_index("annotations_by_job", "annotations", ["job_id"])


def downgrade() -> None:
    """Drop the tables, and with them everything that was kept."""
    for table in ("annotations", "steps", "jobs", "runs", "deliveries"):
        op.drop_table(table)
