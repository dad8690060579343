"""Runs: one workflow of one delivery, with its text and contexts as they were when it was triggered."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, func, insert, select, text, update

from terraphim_runner.model.ids import DeliveryId, JobId, RunId
from terraphim_runner.model.source import Diagnostic, Severity
from terraphim_runner.model.states import Conclusion, Status, may_follow
from terraphim_runner.store import claims
from terraphim_runner.store.tables import deliveries, jobs, plain, runs


class IllegalTransitionError(Exception):
    """A state was to follow another that it cannot follow. A defect of ours; nothing was changed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRun:
    """A run to create. ``title`` is what GitHub calls the workflow."""

    delivery: DeliveryId
    repository: str
    path: str
    title: str
    event: str
    ref: str
    sha: str
    source: str
    called: Sequence[Mapping[str, Any]] = ()
    """The files of the workflows that it calls, and of those that they call, as plain JSON values."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunTexts:
    """The text of a run's workflow file, and the files of those that it calls, as plain JSON values."""

    path: str
    source: str
    called: Sequence[Mapping[str, Any]] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredRun(RunTexts):
    """A run as planning and execution need it. ``contexts`` holds ``github`` (with its event), ``vars``, ``inputs``."""

    id: RunId
    delivery: DeliveryId
    repository: str
    event: str
    ref: str
    sha: str
    status: Status
    contexts: Mapping[str, Any]
    cancelled: bool
    cancel_reason: str | None = None


def create(connection: Connection, new: NewRun, *, at: datetime) -> tuple[RunId, int] | None:
    """Create a run and return its id and number, or None when this delivery's event triggered this workflow already.

    Numbers count from 1 per repository and workflow file, as on GitHub.
    """
    if connection.dialect.name == "postgresql":
        # Two intakes for the same file must not read the same highest number.
        key = f"{new.repository}\n{new.path}"
        connection.execute(text("SELECT pg_advisory_xact_lock(hashtext(:key))"), {"key": key})
    known = select(runs.c.id).where(
        runs.c.delivery_id == new.delivery, runs.c.path == new.path, runs.c.event == new.event
    )
    if connection.execute(known).first() is not None:
        return None
    highest = select(func.max(runs.c.number)).where(runs.c.repository == new.repository, runs.c.path == new.path)
    number = (connection.execute(highest).scalar() or 0) + 1
    values: dict[str, Any] = {
        "delivery_id": new.delivery,
        "repository": new.repository,
        "path": new.path,
        "number": number,
        "name": new.title,
        "event": new.event,
        "ref": new.ref,
        "sha": new.sha,
        "status": Status.QUEUED,
        "created_at": at,
        "source": new.source,
        "called": list(new.called),
        "contexts": {},
        "diagnostics": [],
        "cancelled": False,
    }
    created = connection.execute(insert(runs).values(values).returning(runs.c.id)).scalar_one()
    return RunId(str(created)), number


def set_contexts(connection: Connection, run_id: RunId, contexts: Mapping[str, Any], *, payload: object) -> None:
    """Store the run-wide contexts. The event is left out where the delivery holds the very same value."""
    github = dict(contexts["github"])
    if github.get("event") == payload:
        del github["event"]
    connection.execute(update(runs).where(_is(run_id)).values(contexts={**contexts, "github": github}))


def load(connection: Connection, run_id: RunId, *, lock: bool = False) -> StoredRun | None:
    """Return a run, or None. With ``lock`` no other transaction changes it before this one ends."""
    statement: Select[Any] = select(runs).where(_is(run_id))
    row = connection.execute(statement.with_for_update() if lock else statement).one_or_none()
    if row is None:
        return None
    contexts = dict(row.contexts)
    if contexts.get("github") and "event" not in contexts["github"]:
        body = connection.execute(select(deliveries.c.body).where(deliveries.c.id == row.delivery_id)).scalar_one()
        contexts["github"] = {**contexts["github"], "event": json.loads(bytes(body))}
    return StoredRun(
        id=run_id,
        delivery=DeliveryId(row.delivery_id),
        repository=row.repository,
        path=row.path,
        event=row.event,
        ref=row.ref,
        sha=row.sha,
        status=Status(row.status),
        source=row.source,
        contexts=contexts,
        cancelled=row.cancelled,
        cancel_reason=row.cancel_reason,
        called=tuple(row.called),
    )


def texts(connection: Connection, run_id: RunId) -> RunTexts | None:
    """Return the texts of an unfinished run, or None."""
    columns = (runs.c.path, runs.c.source, runs.c.called)
    statement = select(*columns).where(_is(run_id), runs.c.status != Status.COMPLETED)
    row = connection.execute(statement).one_or_none()
    return RunTexts(path=row.path, source=row.source, called=tuple(row.called)) if row is not None else None


def of_job(connection: Connection, job_id: JobId) -> RunId | None:
    """Return the run of a job, or None when there is no such job."""
    found = connection.execute(select(jobs.c.run_id).where(jobs.c.id == int(job_id))).scalar_one_or_none()
    return RunId(str(found)) if found is not None else None


def status(connection: Connection, run_id: RunId) -> Status | None:
    """Return where a run stands, or None when there is none; it is locked until the transaction ends."""
    found = connection.execute(select(runs.c.status).where(_is(run_id)).with_for_update()).scalar_one_or_none()
    return Status(found) if found is not None else None


def wait(connection: Connection, run_id: RunId) -> None:
    """Mark a queued run as pending: it is not its turn yet in its concurrency group."""
    connection.execute(update(runs).where(_is(run_id), runs.c.status == Status.QUEUED).values(status=Status.PENDING))


def take_turn(connection: Connection, run_id: RunId) -> None:
    """Mark a pending run as queued: it is its turn in its concurrency group."""
    connection.execute(update(runs).where(_is(run_id), runs.c.status == Status.PENDING).values(status=Status.QUEUED))


def cancel(connection: Connection, run_id: RunId, reason: str) -> None:
    """Note that a run is to be cancelled; the first reason stays. One that is completed stays as it is."""
    wanted = (_is(run_id), runs.c.status != Status.COMPLETED, ~runs.c.cancelled)
    connection.execute(update(runs).where(*wanted).values(cancelled=True, cancel_reason=reason))


def set_display_title(connection: Connection, run_id: RunId, title: str) -> None:
    """Store what GitHub shows as the title of this very run: its ``run-name``, or what stands for one."""
    connection.execute(update(runs).where(_is(run_id)).values(display_title=title))


def start(connection: Connection, run_id: RunId, *, at: datetime) -> None:
    """Mark a queued run as in progress; one that is in progress stays as it is."""
    if status(connection, run_id) is Status.QUEUED:
        connection.execute(update(runs).where(_is(run_id)).values(status=Status.IN_PROGRESS, started_at=at))


def complete(
    connection: Connection,
    run_id: RunId,
    conclusion: Conclusion,
    *,
    at: datetime,
    error: str | None = None,
    diagnostics: Sequence[Diagnostic] = (),
) -> frozenset[RunId]:
    """Record the run's verdict and give up its concurrency group; return the runs that this concerns (``claims``).

    Raises ``IllegalTransitionError`` for a run that has a verdict.
    """
    current = status(connection, run_id)
    if current is None or current is Status.COMPLETED or not may_follow(current, Status.COMPLETED):
        raise IllegalTransitionError(f"run {run_id} is {current} and cannot be completed")
    connection.execute(
        update(runs)
        .where(_is(run_id))
        .values(
            status=Status.COMPLETED,
            conclusion=conclusion,
            completed_at=at,
            error=error,
            diagnostics=[diagnostic_to_json(item) for item in diagnostics],
        )
    )
    return claims.release_run(connection, run_id)


def unfinished(connection: Connection) -> list[RunId]:
    """Return the runs without a verdict, oldest first."""
    rows = connection.execute(select(runs.c.id).where(runs.c.status != Status.COMPLETED).order_by(runs.c.id))
    return [RunId(str(row.id)) for row in rows]


def describe(connection: Connection, run_id: RunId) -> dict[str, Any] | None:
    """Return what people may see of a run: all but its contexts and the workflow's text."""
    row = connection.execute(_listing().where(_is(run_id))).one_or_none()
    return plain(row) if row is not None else None


def listing(connection: Connection, *, limit: int, delivery: DeliveryId | None = None) -> list[dict[str, Any]]:
    """Return the newest runs first, of one delivery or of all."""
    statement = _listing().order_by(runs.c.id.desc()).limit(limit)
    if delivery is not None:
        statement = statement.where(runs.c.delivery_id == delivery)
    return [plain(row) for row in connection.execute(statement)]


def diagnostic_to_json(item: Diagnostic) -> dict[str, Any]:
    """Return a diagnostic as plain JSON values."""
    return {
        "path": item.path,
        "line": item.span.start.line,
        "column": item.span.start.column,
        "severity": item.severity,
        "rule": item.rule,
        "message": item.message,
        "fix": item.fix,
        "related": [
            {
                "path": other.path or item.path,
                "message": other.message,
                "line": other.span.start.line,
                "column": other.span.start.column,
            }
            for other in item.related
        ],
        "is_error": item.severity is Severity.ERROR,
    }


def _listing() -> Select[Any]:
    shown = [column for column in runs.c if column.name not in {"contexts", "source", "called"}]
    return select(*shown, deliveries.c.received_at).join(deliveries, deliveries.c.id == runs.c.delivery_id)


def _is(run_id: RunId) -> Any:
    return runs.c.id == int(run_id)
