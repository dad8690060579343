"""Parsed workflows, kept while they are in use: a run is advanced and its jobs start many times from one text."""

from functools import lru_cache

from terraphim_runner.model.errors import InfrastructureError
from terraphim_runner.workflow import parse
from terraphim_runner.workflow.tree import Workflow


@lru_cache(maxsize=16)
def stored_workflow(path: str, text: str) -> Workflow:
    """Return the workflow of a stored run. Its text was valid when the run was created."""
    result = parse(path, text)
    if result.workflow is None:
        raise InfrastructureError(
            doing=f"read the stored workflow {path!r}",
            reason="its text is no longer valid: it was stored by another version",
            fix="push again, or redeliver the webhook",
        )
    return result.workflow
