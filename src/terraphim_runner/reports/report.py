"""What a report is made of: a run that ended, or stands where it stands."""

from dataclasses import dataclass
from datetime import datetime

from terraphim_runner.model.job import JobResult
from terraphim_runner.model.states import Conclusion


@dataclass(frozen=True, slots=True, kw_only=True)
class JobReport:
    """One leg. ``result`` is None as long as there is none: not ended, or skipped without having run.

    ``conclusion`` is the verdict on the leg, None while it has none; ``attempt`` counts from 1.
    """

    name: str
    conclusion: Conclusion | None
    result: JobResult | None = None
    attempt: int = 1
    reason: str | None = None
    """Why it was skipped, rejected or cancelled."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunReport:
    """One run. ``conclusion`` is None while it is not completed."""

    workflow: str
    event: str
    ref: str
    sha: str
    conclusion: Conclusion | None
    jobs: tuple[JobReport, ...] = ()
    started_at: datetime | None = None
    completed_at: datetime | None = None
    reason: str | None = None
    """Why no job was planned: the first diagnostic of a workflow that is not valid."""
