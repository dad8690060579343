"""What the API shows of stored rows, as plain JSON values. Only what is named here is shown."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

_Row = Mapping[str, Any]
_Waiting = Mapping[tuple[int, int | None], _Row]
"""Claims on concurrency groups that were not granted yet, by the run and the job; the run's own has no job."""


def run_summary(row: _Row, waiting: _Waiting) -> dict[str, Any]:
    """Return a run without its jobs."""
    return {
        "id": str(row["id"]),
        "number": row["number"],
        "repository": row["repository"],
        "title": row["display_title"] or row["name"],
        "workflow": {"path": row["path"], "name": row["name"]},
        "event": row["event"],
        "ref": row["ref"],
        "sha": row["sha"],
        "status": row["status"],
        "conclusion": row["conclusion"],
        "waiting_for": _waiting_for(waiting.get((row["id"], None))),
        "cancel_reason": row["cancel_reason"],
        "created_at": _time(row["created_at"]),
        "started_at": _time(row["started_at"]),
        "completed_at": _time(row["completed_at"]),
        "error": row["error"],
        "delivery": {"id": row["delivery_id"], "received_at": _time(row["received_at"])},
        "url": f"/api/runs/{row['id']}",
    }


def run_detail(
    row: _Row,
    jobs: Sequence[_Row],
    steps: Sequence[_Row],
    annotations: Sequence[_Row],
    waiting: _Waiting,
) -> dict[str, Any]:
    """Return a run with its jobs, their steps, and what they annotated."""
    steps_of, annotations_of = _by_job(steps, _step), _by_job(annotations, _annotation)
    shown = [_job(job, steps_of.get(job["id"], []), annotations_of.get(job["id"], []), waiting) for job in jobs]
    return {**run_summary(row, waiting), "diagnostics": row["diagnostics"], "jobs": shown}


def _waiting_for(claim: _Row | None) -> dict[str, Any] | None:
    """Return the concurrency group that a claim waits in, and the run that holds it."""
    if claim is None:
        return None
    held_by = claim["held_by"]
    return {"group": claim["name"], "held_by": f"/api/runs/{held_by}" if held_by is not None else None}


def _by_job(rows: Sequence[_Row], view: Callable[[_Row], dict[str, Any]]) -> dict[int, list[dict[str, Any]]]:
    found: dict[int, list[dict[str, Any]]] = {}
    for row in rows:
        found.setdefault(row["job_id"], []).append(view(row))
    return found


def _job(
    row: _Row, steps: list[dict[str, Any]], annotations: list[dict[str, Any]], waiting: _Waiting
) -> dict[str, Any]:
    leg: Mapping[str, Any] = row["leg"] or {}
    return {
        "id": str(row["id"]),
        "job": row["job"],
        "is_call": row["kind"] == "call",
        "key": row["leg_key"],
        "name": row["name"],
        "matrix": leg.get("matrix", {}),
        "labels": leg.get("labels", []),
        "status": row["status"],
        "conclusion": row["conclusion"],
        "waiting_for": _waiting_for(waiting.get((row["run_id"], row["id"]))),
        "attempt": row["attempt"],
        "reason": row["reason"] or row["cancel_reason"],
        "machine": row["machine"],
        "created_at": _time(row["created_at"]),
        "started_at": _time(row["started_at"]),
        "completed_at": _time(row["completed_at"]),
        "diagnostics": row["diagnostics"],
        "steps": steps,
        "annotations": annotations,
        "logs_url": f"/api/runs/{row['run_id']}/jobs/{row['id']}/logs",
    }


def _step(row: _Row) -> dict[str, Any]:
    shown = ("number", "name", "status", "outcome", "conclusion", "exit_code", "summary", "error")
    return {
        "id": row["step_id"],
        **{name: row[name] for name in shown},
        "summary_omitted": bool(row["summary_omitted"]),
        "started_at": _time(row["started_at"]),
        "completed_at": _time(row["completed_at"]),
    }


def _annotation(row: _Row) -> dict[str, Any]:
    shown = ("step", "level", "message", "title", "file", "line", "end_line", "column", "end_column")
    return {name: row[name] for name in shown}


def _time(value: datetime | None) -> str | None:
    return value.isoformat() if value is not None else None
