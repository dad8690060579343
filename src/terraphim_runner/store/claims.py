"""Claims on concurrency groups: who waits in which, in the order in which they came, and whose turn it is.

A claim is a run's (without a job) or a leg's. It is there from the moment it was made until its run or leg completed;
``store.runs`` and ``store.jobs`` release it then, in the same transaction, and the next one's turn comes there. What
that means for another run is only written down: its ``holds`` or ``displaced`` changed, and the function returns the
run's id. Whoever called advances that run after the commit, so that no transaction ever locks two runs; should it die
before, the sweep advances every unfinished run.

The groups of a repository are changed under one lock. It is taken before a job's row is locked, never after.
Groups are a repository's own; their names compare without case.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, delete, insert, select, text, update

from terraphim_runner.model.ids import JobId, LegKey, RunId
from terraphim_runner.model.states import Status
from terraphim_runner.planning.concurrency import Claim, arrange
from terraphim_runner.planning.graph import PlannedGroup
from terraphim_runner.store.tables import claims, jobs, runs
from terraphim_runner.workflow.tree import Queue

_LOCKS: Final = 1
"""The first half of PostgreSQL's advisory locks on groups; the second is the repository."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredClaim:
    """One claim. ``displaced`` is the reason for which it has to leave.

    ``job``, ``leg`` and ``leg_status`` are those of the leg that made it, and None for the run's own.
    """

    run: RunId
    job: JobId | None
    leg: LegKey | None
    leg_status: Status | None
    key: str
    group: PlannedGroup
    holds: bool
    displaced: str | None


def group_key(name: str) -> str:
    """Return what a group's name is compared by: of a fixed length, whatever the name holds."""
    return hashlib.sha256(name.casefold().encode("utf-8", "surrogatepass")).hexdigest()


def lock(connection: Connection, repository: str) -> None:
    """Have nobody else change the groups of a repository before the transaction ends."""
    # SQLite has one writer at a time as it is.
    if connection.dialect.name == "postgresql":
        statement = text("SELECT pg_advisory_xact_lock(:kind, hashtext(:repository))")
        connection.execute(statement, {"kind": _LOCKS, "repository": repository.lower()})


def lock_of_run(connection: Connection, run_id: RunId) -> None:
    """Take the lock of the groups of a run's repository."""
    found = connection.execute(select(runs.c.repository).where(runs.c.id == int(run_id))).scalar()
    if found is not None:
        lock(connection, found)


def lock_of_job(connection: Connection, job_id: JobId) -> None:
    """Take the lock of the groups that a leg has claims on, if it has any. To be called before its row is locked."""
    found = connection.execute(select(claims.c.repository).where(claims.c.job_id == int(job_id)).limit(1)).scalar()
    if found is not None:
        lock(connection, found)


def add(
    connection: Connection, repository: str, run_id: RunId, group: PlannedGroup, *, job_id: JobId | None = None
) -> frozenset[RunId]:
    """Claim a group, last in its queue, and return the runs that it concerns: the claim may be granted at once."""
    lock(connection, repository)
    key = group_key(group.name)
    connection.execute(
        insert(claims).values(
            repository=repository.lower(),
            key=key,
            name=group.name,
            run_id=int(run_id),
            job_id=None if job_id is None else int(job_id),
            holds=False,
            queue=group.queue,
            cancel_in_progress=group.cancel_in_progress,
        )
    )
    return _arrange(connection, {(repository.lower(), key)})


def release_run(connection: Connection, run_id: RunId) -> frozenset[RunId]:
    """Give up a run's own claim, if it has one; return the runs that this concerns."""
    return _release(connection, (claims.c.run_id == int(run_id)) & claims.c.job_id.is_(None))


def release_job(connection: Connection, job_id: JobId) -> frozenset[RunId]:
    """Give up a leg's claims, if it has any; return the runs that this concerns."""
    return _release(connection, claims.c.job_id == int(job_id))


def of_run(connection: Connection, run_id: RunId) -> list[StoredClaim]:
    """Return a run's own claim and those of its legs, in the order in which they came."""
    return _load(connection, claims.c.run_id == int(run_id))


def holder(connection: Connection, repository: str, key: str) -> StoredClaim | None:
    """Return whose turn it is in a group; None when it is free."""
    found = _load(connection, _is_group(repository, key) & claims.c.holds)
    return found[0] if found else None


def waited_for(connection: Connection, holder: StoredClaim) -> set[str]:
    """Return the keys of the groups that have to be granted before a holder can leave: to it and to its jobs.

    Who has to leave a queue waits for nothing any more.
    """
    waits = ~claims.c.holds & claims.c.displaced.is_(None)
    within = (claims.c.run_id == int(holder.run)) & claims.c.job_id.is_not(None) & waits
    if holder.leg is not None:
        within &= (jobs.c.leg_key == holder.leg) | jobs.c.leg_key.startswith(f"{holder.leg}/", autoescape=True)
    statement = select(claims.c.key).distinct().join(jobs, jobs.c.id == claims.c.job_id).where(within)
    return {row.key for row in connection.execute(statement)}


def describe_waiting(connection: Connection, run_ids: Iterable[RunId]) -> dict[tuple[int, int | None], dict[str, Any]]:
    """Return what people may see of the claims that wait, by run and job: the group's ``name``, the run ``held_by``."""
    holding = claims.alias("holding")
    statement = (
        select(claims.c.run_id, claims.c.job_id, claims.c.name, holding.c.run_id.label("held_by"))
        .outerjoin(
            holding,
            (holding.c.repository == claims.c.repository) & (holding.c.key == claims.c.key) & holding.c.holds,
        )
        .where(claims.c.run_id.in_([int(run_id) for run_id in run_ids]), ~claims.c.holds)
    )
    return {(row["run_id"], row["job_id"]): dict(row) for row in connection.execute(statement).mappings()}


def _release(connection: Connection, which: ColumnElement[bool]) -> frozenset[RunId]:
    found = {(row.repository, row.key) for row in connection.execute(select(claims).where(which))}
    if not found:
        return frozenset()
    for repository in sorted({repository for repository, _ in found}):
        lock(connection, repository)
    connection.execute(delete(claims).where(which))
    return _arrange(connection, found)


def _arrange(connection: Connection, groups: set[tuple[str, str]]) -> frozenset[RunId]:
    """Store what has to change in each group; return the runs whose claims changed."""
    concerned: set[RunId] = set()
    for repository, key in sorted(groups):
        # Who has to leave and does not hold the group is of no weight in it any more, however many those are.
        counts = _is_group(repository, key) & (claims.c.holds | claims.c.displaced.is_(None))
        rows = connection.execute(select(claims).where(counts).order_by(claims.c.id)).all()
        arrangement = arrange(
            [Claim(id=row.id, group=_group(row), holds=row.holds, displaced=row.displaced is not None) for row in rows]
        )
        changes: dict[int, dict[str, Any]] = {number: {"displaced": why} for number, why in arrangement.displaced}
        if arrangement.granted is not None:
            changes[arrangement.granted] = {"holds": True}
        for number, values in changes.items():
            connection.execute(update(claims).where(claims.c.id == number).values(values))
        concerned |= {RunId(str(row.run_id)) for row in rows if row.id in changes}
    return frozenset(concerned)


def _load(connection: Connection, which: ColumnElement[bool]) -> list[StoredClaim]:
    statement = (
        select(claims, jobs.c.leg_key, jobs.c.status)
        .outerjoin(jobs, jobs.c.id == claims.c.job_id)
        .where(which)
        .order_by(claims.c.id)
    )
    return [
        StoredClaim(
            run=RunId(str(row.run_id)),
            job=None if row.job_id is None else JobId(str(row.job_id)),
            leg=None if row.leg_key is None else LegKey(row.leg_key),
            leg_status=None if row.status is None else Status(row.status),
            key=row.key,
            group=_group(row),
            holds=row.holds,
            displaced=row.displaced,
        )
        for row in connection.execute(statement)
    ]


def _group(row: Any) -> PlannedGroup:
    return PlannedGroup(name=row.name, cancel_in_progress=row.cancel_in_progress, queue=Queue(row.queue))


def _is_group(repository: str, key: str) -> ColumnElement[bool]:
    return (claims.c.repository == repository.lower()) & (claims.c.key == key)
