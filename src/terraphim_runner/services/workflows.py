"""Parsed workflows, kept while they are in use: a run is advanced and its jobs start many times from one text."""

from functools import lru_cache

from terraphim_runner.model.errors import InfrastructureError
from terraphim_runner.store.runs import StoredRun
from terraphim_runner.workflow import parse
from terraphim_runner.workflow.tree import Workflow


def stored_workflow(run: StoredRun) -> Workflow:
    """Return the workflow of a stored run. Its text was valid when the run was created."""
    return _parsed(run.path, run.source)


@lru_cache(maxsize=16)
def _parsed(path: str, text: str) -> Workflow:
    result = parse(path, text)
    if result.workflow is None:
        raise InfrastructureError(
            doing=f"read the stored workflow {path!r}",
            reason="its text is no longer valid: it was stored by another version",
            fix="push again, or redeliver the webhook",
        )
    return result.workflow
