"""States of runs, jobs and steps, in GitHub's words, and the one table of legal transitions."""

from enum import StrEnum


class Status(StrEnum):
    """Where a run, a job or a step stands."""

    WAITING = "waiting"
    """Planned, but something has to happen first: a free ``max-parallel`` slot."""
    PENDING = "pending"
    """Waits for its turn in a concurrency group."""
    QUEUED = "queued"
    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"


class Conclusion(StrEnum):
    """How a completed run, job or step ended. ``needs.*.result`` knows the first four only."""

    SUCCESS = "success"
    FAILURE = "failure"
    CANCELLED = "cancelled"
    SKIPPED = "skipped"
    TIMED_OUT = "timed_out"
    """Of a job or a run; ``needs`` sees it as ``failure``."""
    STARTUP_FAILURE = "startup_failure"
    """Of a run whose workflow file is not valid: no job was ever planned."""


TRANSITIONS: dict[Status, frozenset[Status]] = {
    # A call of a workflow is never queued: it begins at once, for it needs no machine.
    Status.WAITING: frozenset({Status.PENDING, Status.QUEUED, Status.IN_PROGRESS, Status.COMPLETED}),
    Status.PENDING: frozenset({Status.QUEUED, Status.IN_PROGRESS, Status.COMPLETED}),
    Status.QUEUED: frozenset({Status.IN_PROGRESS, Status.COMPLETED}),
    # A job whose host died while it ran goes back to the queue as its next attempt.
    Status.IN_PROGRESS: frozenset({Status.QUEUED, Status.COMPLETED}),
    Status.COMPLETED: frozenset(),
}


def may_follow(current: Status, following: Status) -> bool:
    """Tell whether ``following`` is a legal next state; staying in a state is legal."""
    return following is current or following in TRANSITIONS[current]
