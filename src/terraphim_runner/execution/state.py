"""What changes while a job runs: its status, and what steps have set for those after them."""

from dataclasses import dataclass, field
from typing import Any

from terraphim_runner.model.job import Annotation, StepResult
from terraphim_runner.model.states import Conclusion


@dataclass(slots=True)
class JobState:
    """Belongs to one job. Mutated by its step loop only."""

    environment: dict[str, str] = field(default_factory=dict[str, str])
    """What ``GITHUB_ENV`` added so far."""
    paths: list[str] = field(default_factory=list[str])
    """What ``GITHUB_PATH`` added so far, oldest first; the newest comes first in ``PATH``."""
    results: list[StepResult] = field(default_factory=list[StepResult])
    annotations: list[Annotation] = field(default_factory=list[Annotation])
    matchers: list[Any] = field(default_factory=list[Any])
    """Problem matchers that are on, oldest first, as the program in the machine reads and writes them."""
    failed: bool = False
    cancelled: bool = False

    @property
    def status(self) -> Conclusion:
        """``job.status``: success, failure or cancelled; cancelled outweighs the others, as in actions/runner."""
        if self.cancelled:
            return Conclusion.CANCELLED
        return Conclusion.FAILURE if self.failed else Conclusion.SUCCESS
