"""Reaching jobs that run in this process, to cancel them as GitHub does."""

from collections.abc import Generator
from contextlib import contextmanager

from terraphim_runner.execution.cancellation import Cancellation
from terraphim_runner.model.ids import JobId


class Cancellations:
    """The running jobs of this process."""

    def __init__(self) -> None:
        self._running: dict[JobId, Cancellation] = {}

    def __contains__(self, job_id: object) -> bool:
        return job_id in self._running

    @contextmanager
    def of(self, job_id: JobId) -> Generator[Cancellation]:
        """Make a job known for as long as the context lasts."""
        cancellation = Cancellation()
        self._running[job_id] = cancellation
        try:
            yield cancellation
        finally:
            del self._running[job_id]

    def request(self, job_id: JobId, reason: str) -> None:
        """Ask a job to stop; does nothing when it does not run here."""
        if job_id in self._running:
            self._running[job_id].request(reason)
