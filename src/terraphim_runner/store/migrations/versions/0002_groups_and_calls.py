"""Concurrency groups, the files of called workflows, titles and reasons of runs; room for the keys of called jobs."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

IDENTITY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Create the table of claims and add the columns; what is stored stays as it is."""
    op.add_column("runs", sa.Column("cancel_reason", sa.Text))
    op.add_column("runs", sa.Column("called", sa.JSON, nullable=False, server_default="[]"))
    op.add_column("runs", sa.Column("display_title", sa.Text))
    _resize(job=1200, leg_key=1300)
    op.create_table(
        "claims",
        sa.Column("id", IDENTITY, primary_key=True, autoincrement=True),
        sa.Column("repository", sa.String(300), nullable=False),
        sa.Column("key", sa.String(64), nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("run_id", IDENTITY, sa.ForeignKey("runs.id"), nullable=False),
        sa.Column("job_id", IDENTITY, sa.ForeignKey("jobs.id")),
        sa.Column("holds", sa.Boolean, nullable=False),
        sa.Column("displaced", sa.Text),
        sa.Column("queue", sa.String(20), nullable=False),
        sa.Column("cancel_in_progress", sa.Boolean, nullable=False),
    )
    op.create_index("claims_by_group", "claims", ["repository", "key"])
    op.create_index("claims_by_run", "claims", ["run_id"])
    op.create_index("claims_by_job", "claims", ["job_id"])


def downgrade() -> None:
    """Drop what ``upgrade`` added. Fails where a stored key no longer has room."""
    op.drop_table("claims")
    _resize(job=200, leg_key=300)
    for column in ("display_title", "called", "cancel_reason"):
        op.drop_column("runs", column)


def _resize(*, job: int, leg_key: int) -> None:
    # SQLite keeps no lengths, and to change a column there is to write the whole table anew.
    if op.get_bind().dialect.name != "sqlite":
        op.alter_column("jobs", "job", type_=sa.String(job))
        op.alter_column("jobs", "leg_key", type_=sa.String(leg_key))
