"""A workflow cut down to one job and what that job needs."""

from dataclasses import replace

from terraphim_runner.model.ids import JobKey
from terraphim_runner.planning.outcome import ancestors
from terraphim_runner.workflow.tree import Workflow


def select_job(workflow: Workflow, key: str) -> Workflow:
    """Return the workflow with only the job ``key`` and its direct and indirect needs, in the file's order.

    Keys compare without case, as in GitHub's files. Raises ``KeyError`` when there is no such job.
    """
    chosen = next((job for job in workflow.jobs.values() if job.key.lower() == key.lower()), None)
    if chosen is None:
        raise KeyError(key)
    kept: set[JobKey] = {chosen.key, *ancestors(workflow, chosen)}
    return replace(workflow, jobs={name: job for name, job in workflow.jobs.items() if name in kept})
