"""Parsed workflows, kept while they are in use: a run is advanced and its jobs start many times from one text."""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from threading import Lock
from typing import Any, Final, NamedTuple

import anyio.to_thread

from terraphim_runner.model.errors import InfrastructureError
from terraphim_runner.model.ids import RunId
from terraphim_runner.store import runs
from terraphim_runner.store.database import Database
from terraphim_runner.store.runs import RunTexts
from terraphim_runner.workflow import parse
from terraphim_runner.workflow.linking import CalledFile, FileReference, link
from terraphim_runner.workflow.tree import CallJob, Workflow

_Called = tuple[str | None, str | None, str, str | None, str]
"""``repository``, ``ref``, ``path``, ``sha`` and ``text`` of a called workflow's file."""


class _Key(NamedTuple):
    path: str
    source: str
    called: tuple[_Called, ...]

    @property
    def size_chars(self) -> int:
        return len(self.source) + sum(len(text) for *_, text in self.called)


class WorkflowCache:
    """Linked workflows by their texts. What was not used for the longest time goes first; the newest always stays.

    Bounded by the texts' size and not by their number: a hostile text of 4 MiB makes a tree of 200 MiB.
    """

    def __init__(self, *, max_chars: int = 8 * 1024 * 1024) -> None:
        self._max_chars = max_chars
        self._lock = Lock()
        self._kept: OrderedDict[_Key, Workflow] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def of(self, run: RunTexts) -> Workflow:
        """Return a run's workflow with those that it calls; see ``stored_workflow``."""
        key = _Key(path=run.path, source=run.source, called=_called(run.path, run.called))
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        # Two threads may do this at once: better than that one waits for a text that is none of its business.
        workflow = _linked(key)
        with self._lock:
            self._kept[key] = workflow
            size = sum(known.size_chars for known in self._kept)
            while size > self._max_chars and len(self._kept) > 1:
                oldest, _ = self._kept.popitem(last=False)
                size -= oldest.size_chars
        return workflow


_CACHE: Final = WorkflowCache()


def stored_workflow(run: RunTexts) -> Workflow:
    """Return the workflow of a stored run with those that it calls. Their texts were valid when it was created.

    Raises ``InfrastructureError`` for what another version stored and this one does not understand.
    """
    return _CACHE.of(run)


async def prepare_workflow(database: Database, run_id: RunId) -> None:
    """Have the workflow of a run parsed before a transaction asks for it: a hostile one takes seconds.

    What does not parse, or is not there, is for the transaction to find.
    """
    texts = await database.read(runs.texts, run_id)
    if texts is None:
        return
    try:
        await anyio.to_thread.run_sync(stored_workflow, texts)
    except InfrastructureError:
        return


def _called(path: str, files: Sequence[Mapping[str, Any]]) -> tuple[_Called, ...]:
    try:
        return tuple((file["repository"], file["ref"], file["path"], file["sha"], file["text"]) for file in files)
    except (KeyError, TypeError):
        raise _outdated(path) from None


def _linked(key: _Key) -> Workflow:
    workflow = parse(key.path, key.source).workflow
    if workflow is None:
        raise _outdated(key.path)
    if not any(isinstance(job, CallJob) for job in workflow.jobs.values()):
        return workflow
    files = {
        FileReference(path=path, repository=repository, ref=ref): CalledFile(text=text, sha=sha)
        for repository, ref, path, sha, text in key.called
    }
    linked = link(workflow, files)
    if linked.missing or linked.has_errors:
        raise _outdated(key.path)
    return linked.workflow


def _outdated(path: str) -> InfrastructureError:
    return InfrastructureError(
        doing=f"read the stored workflow {path!r}",
        reason="its text, or that of a workflow that it calls, is no longer valid: it was stored by another version",
        fix="push again, or redeliver the webhook",
    )
