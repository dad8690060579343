"""Parsed workflows, kept while they are in use: a run is advanced and its jobs start many times from one text."""

from functools import lru_cache

from terraphim_runner.model.errors import InfrastructureError
from terraphim_runner.store.runs import StoredRun
from terraphim_runner.workflow import parse
from terraphim_runner.workflow.linking import CalledFile, FileReference, link
from terraphim_runner.workflow.tree import CallJob, Workflow

_Called = tuple[str | None, str | None, str, str | None, str]
"""``repository``, ``ref``, ``path``, ``sha`` and ``text`` of a called workflow's file."""


def stored_workflow(run: StoredRun) -> Workflow:
    """Return the workflow of a stored run with those that it calls. Their texts were valid when it was created.

    Raises ``InfrastructureError`` for what another version stored and this one does not understand.
    """
    try:
        called = tuple(
            (file["repository"], file["ref"], file["path"], file["sha"], file["text"]) for file in run.called
        )
    except (KeyError, TypeError):
        raise _outdated(run.path) from None
    return _linked(run.path, run.source, called)


@lru_cache(maxsize=16)
def _linked(path: str, text: str, called: tuple[_Called, ...]) -> Workflow:
    workflow = parse(path, text).workflow
    if workflow is None:
        raise _outdated(path)
    if not any(isinstance(job, CallJob) for job in workflow.jobs.values()):
        return workflow
    files = {
        FileReference(path=path, repository=repository, ref=ref): CalledFile(text=text, sha=sha)
        for repository, ref, path, sha, text in called
    }
    linked = link(workflow, files)
    if linked.missing or linked.has_errors:
        raise _outdated(path)
    return linked.workflow


def _outdated(path: str) -> InfrastructureError:
    return InfrastructureError(
        doing=f"read the stored workflow {path!r}",
        reason="its text, or that of a workflow that it calls, is no longer valid: it was stored by another version",
        fix="push again, or redeliver the webhook",
    )
