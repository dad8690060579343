"""How large one run may become: a stranger's workflow may multiply its jobs by matrices, by calls, and by both."""

from collections.abc import Iterable, Sequence
from typing import Final

from terraphim_runner.model.ids import JobKey
from terraphim_runner.planning.calls import locate
from terraphim_runner.planning.graph import Planned, PlannedCall
from terraphim_runner.workflow.tree import Workflow

MAX_LEGS: Final = 1024
"""Of one run. GitHub bounds each matrix at 256; how many of those a stranger's workflow has must be bounded too."""
MAX_CALLED_JOBS: Final = 8192
"""Of all calls of one run, also of jobs that are skipped: a matrix of calls brings a whole workflow with each leg."""


def excess(workflow: Workflow, legs: Sequence[Planned], *, count: int, calls: Iterable[JobKey]) -> str | None:
    """Return why these legs are too many for a run that has ``count`` already, and whose legs that call are ``calls``.

    Also those of a call are bounded, each of which brings all jobs of a workflow.
    """
    total = count + len(legs)
    if total > MAX_LEGS:
        return f"the run would have {total} jobs with this one's, expected at most {MAX_LEGS}"
    if not any(isinstance(leg, PlannedCall) for leg in legs):
        return None
    brought = sum(_jobs_called(workflow, call) for call in (*calls, *(leg.job for leg in legs)))
    if brought > MAX_CALLED_JOBS:
        return f"the workflows that the run calls would have {brought} jobs, expected at most {MAX_CALLED_JOBS}"
    return None


def _jobs_called(workflow: Workflow, call: JobKey) -> int:
    within, job = locate(workflow, call)
    return len(within.calls[job.key].jobs)
