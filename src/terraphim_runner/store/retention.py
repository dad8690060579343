"""Forgetting what is old: completed runs with all that belongs to them, and deliveries that no run needs."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, delete, func, select

from terraphim_runner.model.ids import RunId
from terraphim_runner.model.states import Status
from terraphim_runner.store.deliveries import DeliveryState
from terraphim_runner.store.tables import annotations, claims, deliveries, jobs, runs, steps

MAX_AT_ONCE: Final = 100
"""Rows of one kind in one transaction: others want to write too."""


def old_runs(connection: Connection, *, before: datetime) -> list[RunId]:
    """Return some of the runs that were completed before a time, or nothing when there are none.

    The newest run of each workflow is not among them, for the next one's number counts on from it.
    """
    newest = select(func.max(runs.c.id)).group_by(runs.c.repository, runs.c.path)
    old = (
        select(runs.c.id)
        .where(runs.c.status == Status.COMPLETED, runs.c.completed_at < before, runs.c.id.not_in(newest))
        .order_by(runs.c.id)
        .limit(MAX_AT_ONCE)
    )
    return [RunId(str(row.id)) for row in connection.execute(old)]


def forget_runs(connection: Connection, run_ids: Sequence[RunId]) -> None:
    """Delete completed runs with their jobs, steps, annotations and claims."""
    numbers = [int(run_id) for run_id in run_ids]
    of_runs = select(jobs.c.id).where(jobs.c.run_id.in_(numbers))
    for table in (annotations, steps):
        connection.execute(delete(table).where(table.c.job_id.in_(of_runs)))
    connection.execute(delete(claims).where(claims.c.run_id.in_(numbers)))
    connection.execute(delete(jobs).where(jobs.c.run_id.in_(numbers)))
    connection.execute(delete(runs).where(runs.c.id.in_(numbers)))


def forget_deliveries(connection: Connection, *, before: datetime) -> int:
    """Delete some of the deliveries that came before a time, are settled, and have no runs; return how many."""
    old = (
        select(deliveries.c.id)
        .where(
            deliveries.c.state != DeliveryState.RECEIVED,
            deliveries.c.received_at < before,
            deliveries.c.id.not_in(select(runs.c.delivery_id)),
        )
        .limit(MAX_AT_ONCE)
    )
    found = [row.id for row in connection.execute(old)]
    if found:
        connection.execute(delete(deliveries).where(deliveries.c.id.in_(found)))
    return len(found)
