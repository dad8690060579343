"""Steps of an attempt, and what they annotate."""

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, insert, select

from terraphim_runner.model.ids import JobId, RunId
from terraphim_runner.model.job import Annotation, StepResult
from terraphim_runner.model.states import Status
from terraphim_runner.store.tables import annotations, jobs, plain, steps


def start(connection: Connection, job_id: JobId, attempt: int, *, number: int, name: str, at: datetime) -> None:
    """Record that a step began. Said twice, the second replaces the first."""
    _replace(
        connection,
        {
            "job_id": int(job_id),
            "attempt": attempt,
            "number": number,
            "name": name,
            "status": Status.IN_PROGRESS,
            "started_at": at,
            "summary": "",
        },
    )


def complete(connection: Connection, job_id: JobId, attempt: int, result: StepResult) -> None:
    """Record a step's result. Its outputs are not kept: they may hold what only the run's own jobs may see."""
    _replace(
        connection,
        {
            "job_id": int(job_id),
            "attempt": attempt,
            "number": result.number,
            "step_id": result.id,
            "name": result.name,
            "status": Status.COMPLETED,
            "outcome": result.outcome,
            "conclusion": result.conclusion,
            "started_at": result.started_at,
            "completed_at": result.completed_at,
            "exit_code": result.exit_code,
            "summary": result.summary,
            "error": result.error,
        },
    )


def annotate(connection: Connection, job_id: JobId, attempt: int, annotation: Annotation) -> None:
    """Record an annotation."""
    connection.execute(
        insert(annotations).values(
            job_id=int(job_id),
            attempt=attempt,
            step=annotation.step,
            level=annotation.level,
            message=annotation.message,
            title=annotation.title,
            file=annotation.file,
            line=annotation.line,
            end_line=annotation.end_line,
            column=annotation.column,
            end_column=annotation.end_column,
        )
    )


def describe(connection: Connection, run_id: RunId) -> list[dict[str, Any]]:
    """Return the steps of the current attempts of a run's jobs."""
    statement = (
        select(steps)
        .join(jobs, (jobs.c.id == steps.c.job_id) & (jobs.c.attempt == steps.c.attempt))
        .where(jobs.c.run_id == int(run_id))
        .order_by(steps.c.job_id, steps.c.number)
    )
    return [plain(row) for row in connection.execute(statement)]


def describe_annotations(connection: Connection, run_id: RunId) -> list[dict[str, Any]]:
    """Return the annotations of the current attempts of a run's jobs, in the order in which they came."""
    statement = (
        select(annotations)
        .join(jobs, (jobs.c.id == annotations.c.job_id) & (jobs.c.attempt == annotations.c.attempt))
        .where(jobs.c.run_id == int(run_id))
        .order_by(annotations.c.id)
    )
    return [plain(row) for row in connection.execute(statement)]


def _replace(connection: Connection, values: dict[str, Any]) -> None:
    connection.execute(
        delete(steps).where(
            steps.c.job_id == values["job_id"],
            steps.c.attempt == values["attempt"],
            steps.c.number == values["number"],
        )
    )
    connection.execute(insert(steps).values(values))
