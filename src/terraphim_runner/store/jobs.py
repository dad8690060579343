"""Jobs: one row for each matrix leg or leg of a call, and one for each job that was skipped, rejected or has no legs.

A call of a workflow runs on no machine: nobody begins it, and it is neither queued nor looked after.

Every change of state goes through ``_move``, which refuses what ``model.states`` does not allow. An attempt that a
caller names must be the current one: whoever lost a job to another attempt can no longer change it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import Connection, Text, cast, func, insert, select, update

from terraphim_runner.model.ids import HostId, JobId, JobKey, LegKey, RunId
from terraphim_runner.model.source import Diagnostic
from terraphim_runner.model.states import Conclusion, Status, may_follow
from terraphim_runner.planning.codec import leg_from_json, leg_to_json
from terraphim_runner.planning.graph import JobSnapshot, LegSnapshot, Planned, PlannedCall
from terraphim_runner.store import claims
from terraphim_runner.store.runs import IllegalTransitionError, diagnostic_to_json
from terraphim_runner.store.tables import jobs, plain


class JobKind(StrEnum):
    LEG = "leg"
    CALL = "call"
    SKIPPED = "skipped"
    REJECTED = "rejected"
    EMPTY = "empty"
    """Expanded to no legs at all; not shown."""


_LEGS: Final = (JobKind.LEG, JobKind.CALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class StandingJob:
    """Where one leg stands. It may be ended by whoever does not understand what was planned: another version did."""

    id: JobId
    run_id: RunId
    is_call: bool
    status: Status
    attempt: int
    lost_attempts: int
    host: HostId | None
    cancel_reason: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredJob(StandingJob):
    """One leg, and where it stands."""

    leg: Planned


def add_legs(connection: Connection, run_id: RunId, job: JobKey, legs: Sequence[Planned], *, at: datetime) -> None:
    """Record the legs of a job, each waiting; without any, record that there are none."""
    rows = [{**_row(run_id, job, leg.key, _kind(leg), name=leg.name, at=at), "leg": leg_to_json(leg)} for leg in legs]
    if rows:
        connection.execute(insert(jobs), rows)
    else:
        _add_ended(connection, run_id, job, JobKind.EMPTY, name=job, reason="the matrix excludes everything", at=at)


def add_skipped(connection: Connection, run_id: RunId, job: JobKey, *, name: str, reason: str, at: datetime) -> None:
    """Record a job that does not run."""
    _add_ended(connection, run_id, job, JobKind.SKIPPED, name=name, reason=reason, at=at)


def add_rejected(
    connection: Connection, run_id: RunId, job: JobKey, diagnostics: Sequence[Diagnostic], *, name: str, at: datetime
) -> None:
    """Record a job that failed before it could be expanded."""
    reason = diagnostics[0].headline() if diagnostics else "the job could not be planned"
    _add_ended(connection, run_id, job, JobKind.REJECTED, name=name, reason=reason, at=at, diagnostics=diagnostics)


def count_legs(connection: Connection, run_id: RunId) -> int:
    """Return how many legs a run has, calls among them."""
    counted = select(func.count()).where(jobs.c.run_id == int(run_id), jobs.c.kind.in_(_LEGS))
    return connection.execute(counted).scalar_one()


def calls(connection: Connection, run_id: RunId) -> list[JobKey]:
    """Return the job of each leg of a run that is a call."""
    found = select(jobs.c.job).where(jobs.c.run_id == int(run_id), jobs.c.kind == JobKind.CALL)
    return [JobKey(row.job) for row in connection.execute(found)]


def exist(connection: Connection, run_id: RunId) -> bool:
    """Tell whether anything of a run was planned yet."""
    return connection.execute(select(jobs.c.id).where(jobs.c.run_id == int(run_id)).limit(1)).first() is not None


def name_of(connection: Connection, run_id: RunId, leg: LegKey) -> str | None:
    """Return what a leg is called, or None when there is no such leg."""
    found = select(jobs.c.name).where(jobs.c.run_id == int(run_id), jobs.c.leg_key == leg)
    return connection.execute(found).scalar_one_or_none()


def snapshot(connection: Connection, run_id: RunId) -> dict[JobKey, JobSnapshot]:
    """Return how the jobs of a run stand, for the planner."""
    found: dict[JobKey, JobSnapshot] = {}
    rows = connection.execute(select(jobs).where(jobs.c.run_id == int(run_id)).order_by(jobs.c.id))
    for row in rows:
        key = JobKey(row.job)
        if row.kind not in _LEGS:
            found[key] = JobSnapshot(skipped=row.kind == JobKind.SKIPPED, failed=row.kind == JobKind.REJECTED)
            continue
        leg = LegSnapshot(
            leg=leg_from_json(row.leg),
            status=Status(row.status),
            conclusion=Conclusion(row.conclusion) if row.conclusion else None,
            outputs=row.outputs,
            finished_order=row.finished_order,
            cancelling=row.cancel_reason is not None and row.status != Status.COMPLETED,
        )
        found[key] = JobSnapshot(legs=(*(found[key].legs if key in found else ()), leg))
    return found


def find(connection: Connection, run_id: RunId, leg: LegKey) -> StoredJob:
    """Return a leg of a run, locked until the transaction ends."""
    statement = select(jobs).where(jobs.c.run_id == int(run_id), jobs.c.leg_key == leg).with_for_update()
    return _stored(connection.execute(statement).one())


def load(connection: Connection, job_id: JobId) -> StoredJob | None:
    """Return a leg that runs on a machine, locked until the transaction ends, or None."""
    row = _on_machine(connection, job_id)
    return _stored(row) if row is not None else None


def standing(connection: Connection, job_id: JobId) -> StandingJob | None:
    """Return where a leg stands that runs on a machine, locked until the transaction ends, or None."""
    row = _on_machine(connection, job_id)
    return _standing(row) if row is not None else None


def _on_machine(connection: Connection, job_id: JobId) -> Any:
    # Whoever ends it changes its concurrency groups, too, and their lock comes first.
    claims.lock_of_job(connection, job_id)
    statement = select(jobs).where(jobs.c.id == int(job_id), jobs.c.kind == JobKind.LEG).with_for_update()
    return connection.execute(statement).one_or_none()


def wait(connection: Connection, job: StoredJob) -> StoredJob:
    """Note that a leg waits for its turn in its concurrency groups; return it as it is then."""
    _move(connection, job, Status.PENDING)
    return replace(job, status=Status.PENDING)


def enqueue(connection: Connection, job: StoredJob) -> int:
    """Put a leg into the queue; return the number of the attempt that is to run."""
    _move(connection, job, Status.QUEUED, attempt=1)
    return 1


def begin_call(connection: Connection, job: StoredJob, *, at: datetime) -> None:
    """Mark a call as in progress."""
    if not isinstance(job.leg, PlannedCall):
        raise IllegalTransitionError(f"job {job.id} is no call: it needs a machine to begin on")
    _move(connection, job, Status.IN_PROGRESS, started_at=at)


def begin(connection: Connection, job: StoredJob, *, host: HostId, at: datetime) -> None:
    """Mark a queued leg as in progress on a host."""
    if job.status is not Status.QUEUED:
        raise IllegalTransitionError(f"job {job.id} is {job.status} and not queued: no host may begin it")
    _move(connection, job, Status.IN_PROGRESS, host=host, started_at=at)


def requeue(connection: Connection, job: StandingJob, *, lost: bool) -> int:
    """Put a leg back into the queue as its next attempt, and return that attempt's number.

    ``lost`` counts against the bound on attempts whose host died; handing a job back in order does not.
    """
    attempt = job.attempt + 1
    _move(
        connection, job, Status.QUEUED, attempt=attempt, lost_attempts=job.lost_attempts + (1 if lost else 0), host=None
    )
    return attempt


def complete(
    connection: Connection,
    job: StandingJob,
    conclusion: Conclusion,
    *,
    at: datetime,
    outputs: Mapping[str, str] | None = None,
    reason: str | None = None,
    diagnostics: Sequence[Diagnostic] = (),
) -> frozenset[RunId]:
    """Record a leg's verdict and give up its concurrency groups; return the runs that this concerns (``claims``)."""
    order = select(func.coalesce(func.max(jobs.c.finished_order), 0) + 1).where(jobs.c.run_id == int(job.run_id))
    _move(
        connection,
        job,
        Status.COMPLETED,
        conclusion=conclusion,
        outputs=dict(outputs or {}),
        reason=reason,
        completed_at=at,
        diagnostics=[diagnostic_to_json(item) for item in diagnostics],
        finished_order=connection.execute(order).scalar_one(),
    )
    return claims.release_job(connection, job.id)


def ask_to_cancel(connection: Connection, job: StandingJob, *, reason: str) -> None:
    """Note that a leg in progress is to be cancelled; its worker is told apart from this."""
    connection.execute(update(jobs).where(jobs.c.id == int(job.id)).values(cancel_reason=reason))


def output_bytes(connection: Connection, run_id: RunId) -> int:
    """Return how much is stored of the outputs of a run's jobs: the size of their JSON, about."""
    size = func.sum(func.length(cast(jobs.c.outputs, Text)))
    return int(connection.execute(select(size).where(jobs.c.run_id == int(run_id))).scalar_one() or 0)


def planned_bytes(connection: Connection, run_id: RunId) -> int:
    """Return how much is stored of a run's legs as they were planned: the size of their JSON, about."""
    size = func.sum(func.length(cast(jobs.c.leg, Text)))
    statement = select(size).where(jobs.c.run_id == int(run_id), jobs.c.kind.in_(_LEGS))
    return int(connection.execute(statement).scalar_one() or 0)


def set_machine(connection: Connection, job_id: JobId, description: str) -> None:
    """Note on what a leg runs: provider, image, and the walls that are missing."""
    connection.execute(update(jobs).where(jobs.c.id == int(job_id)).values(machine=description))


def unfinished(connection: Connection) -> list[StandingJob]:
    """Return every leg that is in the queue or on a machine, oldest first."""
    statement = (
        select(jobs)
        .where(jobs.c.kind == JobKind.LEG, jobs.c.status.in_([Status.QUEUED, Status.IN_PROGRESS]))
        .order_by(jobs.c.id)
    )
    return [_standing(row) for row in connection.execute(statement)]


def of_run(connection: Connection, run_id: RunId) -> list[StandingJob]:
    """Return the legs of a run that are not completed, locked until the transaction ends."""
    statement = (
        select(jobs)
        .where(jobs.c.run_id == int(run_id), jobs.c.kind.in_(_LEGS), jobs.c.status != Status.COMPLETED)
        .order_by(jobs.c.id)
        .with_for_update()
    )
    return [_standing(row) for row in connection.execute(statement)]


def describe(connection: Connection, run_id: RunId) -> list[dict[str, Any]]:
    """Return what people may see of a run's jobs, in the order in which they were planned."""
    statement = select(jobs).where(jobs.c.run_id == int(run_id), jobs.c.kind != JobKind.EMPTY).order_by(jobs.c.id)
    return [plain(row) for row in connection.execute(statement)]


def describe_one(connection: Connection, run_id: RunId, job_id: JobId) -> dict[str, Any] | None:
    """Return what people may see of one job, or None when this run has no such job."""
    statement = select(jobs).where(jobs.c.run_id == int(run_id), jobs.c.id == int(job_id))
    row = connection.execute(statement).one_or_none()
    return plain(row) if row is not None else None


def _add_ended(
    connection: Connection,
    run_id: RunId,
    job: JobKey,
    kind: JobKind,
    *,
    name: str,
    reason: str,
    at: datetime,
    diagnostics: Sequence[Diagnostic] = (),
) -> None:
    row = _row(run_id, job, LegKey(job), kind, name=name, at=at)
    row |= {
        "status": Status.COMPLETED,
        "conclusion": Conclusion.FAILURE if kind is JobKind.REJECTED else Conclusion.SKIPPED,
        "reason": reason,
        "completed_at": at,
        "diagnostics": [diagnostic_to_json(item) for item in diagnostics],
    }
    connection.execute(insert(jobs).values(row))


def _kind(leg: Planned) -> JobKind:
    return JobKind.CALL if isinstance(leg, PlannedCall) else JobKind.LEG


def _row(run_id: RunId, job: JobKey, leg: LegKey, kind: JobKind, *, name: str, at: datetime) -> dict[str, Any]:
    return {
        "run_id": int(run_id),
        "job": job,
        "leg_key": leg,
        "kind": kind,
        "name": name,
        "status": Status.WAITING,
        "attempt": 0,
        "lost_attempts": 0,
        "outputs": {},
        "finished_order": 0,
        "diagnostics": [],
        "created_at": at,
    }


def _standing(row: Any) -> StandingJob:
    return StandingJob(**_standing_members(row))


def _stored(row: Any) -> StoredJob:
    return StoredJob(**_standing_members(row), leg=leg_from_json(row.leg))


def _standing_members(row: Any) -> dict[str, Any]:
    return {
        "id": JobId(str(row.id)),
        "run_id": RunId(str(row.run_id)),
        "is_call": row.kind == JobKind.CALL,
        "status": Status(row.status),
        "attempt": row.attempt,
        "lost_attempts": row.lost_attempts,
        "host": HostId(row.host) if row.host else None,
        "cancel_reason": row.cancel_reason,
    }


def _move(connection: Connection, job: StandingJob, following: Status, **values: Any) -> None:
    changed = False
    if may_follow(job.status, following):
        # The row is compared again: the caller's copy may be older than the lock that it was read under.
        statement = (
            update(jobs)
            .where(jobs.c.id == int(job.id), jobs.c.status == job.status, jobs.c.attempt == job.attempt)
            .values(status=following, **values)
        )
        changed = connection.execute(statement).rowcount == 1
    if not changed:
        raise IllegalTransitionError(
            f"job {job.id} attempt {job.attempt} is not {job.status}, or cannot be {following}"
        )
