"""Starting and cancelling a leg: what is stored, and what others are told once it is stored."""

from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Connection

from terraphim_runner.model.ids import JobId, RunId
from terraphim_runner.model.states import Conclusion, Status
from terraphim_runner.planning.graph import PlannedCall
from terraphim_runner.store import jobs, runs


@dataclass(slots=True)
class Effects:
    """What is to be told to others once the transaction is stored."""

    started: list[tuple[JobId, int]] = field(default_factory=list[tuple[JobId, int]])
    cancelled: list[tuple[JobId, str]] = field(default_factory=list[tuple[JobId, str]])
    concerned: set[RunId] = field(default_factory=set[RunId])
    """Runs whose turn came in a concurrency group, or that have to leave one: they are to be advanced."""


def start_leg(connection: Connection, job: jobs.StoredJob, effects: Effects, *, at: datetime) -> None:
    """Put a leg into the queue, or begin a call. Its turn has come in all of its groups."""
    runs.start(connection, job.run_id, at=at)
    if isinstance(job.leg, PlannedCall):
        jobs.begin_call(connection, job, at=at)
    else:
        effects.started.append((job.id, jobs.enqueue(connection, job)))


def cancel_leg(connection: Connection, job: jobs.StandingJob, reason: str, effects: Effects, *, at: datetime) -> None:
    """Cancel a leg that is not completed; one in progress is asked to end, and a call's jobs are by the planner."""
    if job.status is Status.IN_PROGRESS:
        # Its worker ends it, and stores how; until then the planner must not ask again and again.
        jobs.ask_to_cancel(connection, job, reason=reason)
        effects.cancelled.append((job.id, reason))
    elif job.status is not Status.COMPLETED:
        effects.concerned |= jobs.complete(connection, job, Conclusion.CANCELLED, at=at, reason=reason)
