"""Steps of an attempt, and what they annotate."""

from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, and_, case, delete, func, insert, not_, select

from terraphim_runner.model.ids import JobId, RunId
from terraphim_runner.model.job import Annotation, StepResult
from terraphim_runner.model.states import Status
from terraphim_runner.store.tables import annotations, jobs, plain, steps

MAX_NAME_CHARS: Final = 1000
MAX_ERROR_CHARS: Final = 8000
"""A message may quote a line of a file that the step wrote."""
MAX_SHOWN_STEPS: Final = 10_000
MAX_SHOWN_SUMMARY_CHARS: Final = 4 * 1024 * 1024
MAX_SHOWN_ANNOTATIONS: Final = 1000


def start(connection: Connection, job_id: JobId, attempt: int, *, number: int, name: str, at: datetime) -> None:
    """Record that a step began. Said twice, the second replaces the first."""
    _replace(
        connection,
        {
            "job_id": int(job_id),
            "attempt": attempt,
            "number": number,
            "name": name[:MAX_NAME_CHARS],
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
            "name": result.name[:MAX_NAME_CHARS],
            "status": Status.COMPLETED,
            "outcome": result.outcome,
            "conclusion": result.conclusion,
            "started_at": result.started_at,
            "completed_at": result.completed_at,
            "exit_code": result.exit_code,
            "summary": result.summary,
            "error": result.error[:MAX_ERROR_CHARS] if result.error else result.error,
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
    """Return the first ``MAX_SHOWN_STEPS`` steps of the current attempts of a run's jobs.

    A summary beyond the first ``MAX_SHOWN_SUMMARY_CHARS`` of the run is empty and ``summary_omitted`` true: every leg
    of a run may have its 20 MiB of them.
    """
    length = func.length(steps.c.summary)
    so_far = func.sum(length).over(order_by=(steps.c.job_id, steps.c.number))
    is_shown = so_far <= MAX_SHOWN_SUMMARY_CHARS
    others = [column for column in steps.c if column.name != "summary"]
    statement = (
        select(
            *others,
            case((is_shown, steps.c.summary), else_="").label("summary"),
            and_(length > 0, not_(is_shown)).label("summary_omitted"),
        )
        .join(jobs, (jobs.c.id == steps.c.job_id) & (jobs.c.attempt == steps.c.attempt))
        .where(jobs.c.run_id == int(run_id))
        .order_by(steps.c.job_id, steps.c.number)
        .limit(MAX_SHOWN_STEPS)
    )
    return [plain(row) for row in connection.execute(statement)]


def describe_annotations(connection: Connection, run_id: RunId) -> list[dict[str, Any]]:
    """Return the first ``MAX_SHOWN_ANNOTATIONS`` of the current attempts of a run's jobs, in the order they came in."""
    statement = (
        select(annotations)
        .join(jobs, (jobs.c.id == annotations.c.job_id) & (jobs.c.attempt == annotations.c.attempt))
        .where(jobs.c.run_id == int(run_id))
        .order_by(annotations.c.id)
        .limit(MAX_SHOWN_ANNOTATIONS)
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
