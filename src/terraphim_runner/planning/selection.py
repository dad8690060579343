"""A workflow cut down to one job and what that job needs."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from typing import Final

from terraphim_runner.model.ids import JobKey
from terraphim_runner.planning.outcome import ancestors
from terraphim_runner.workflow.tree import Workflow

_MAX_NAMED: Final = 50


def select_job(workflow: Workflow, key: str) -> Workflow:
    """Return the workflow with only the job ``key`` and its direct and indirect needs, in the file's order.

    ``call/build`` is the job ``build`` of the workflow that the job ``call`` calls; of that workflow, too, only what
    the job needs stays. Keys compare without case, as in GitHub's files. Raises ``KeyError`` when there is no such job.
    """
    first, _, below = key.partition("/")
    chosen = next((job for job in workflow.jobs.values() if job.key.lower() == first.lower()), None)
    if chosen is None or (below and chosen.key not in workflow.calls):
        raise KeyError(key)
    kept: set[JobKey] = {chosen.key, *ancestors(workflow, chosen)}
    calls = dict(workflow.calls)
    if below:
        calls[chosen.key] = select_job(calls[chosen.key], below)
    jobs = {name: job for name, job in workflow.jobs.items() if name in kept}
    return replace(workflow, jobs=jobs, calls=calls)


def selectable(workflow: Workflow) -> tuple[str, ...]:
    """Return the first of the keys that ``select_job`` knows, for a message."""
    return tuple(islice(_keys(workflow), _MAX_NAMED))


def _keys(workflow: Workflow) -> Iterator[str]:
    for key in workflow.jobs:
        yield key
        if key in workflow.calls:
            yield from (f"{key}/{below}" for below in _keys(workflow.calls[key]))
