"""``unpinned-action``: somebody else's code is named by a tag or a branch, which can be moved to other code.

Only a full commit cannot. Actions of the owners ``actions`` and ``github`` are excepted, and so are the repository's
own (``./…``, ``$/…``). A container image is fixed by its digest.
"""

import re
from collections.abc import Iterator
from typing import Final

from terraphim_runner.model.source import Span
from terraphim_runner.workflow.lint.subject import Finding, Subject
from terraphim_runner.workflow.tree import CallJob, UsesStep

ID: Final = "unpinned-action"
SUMMARY: Final = "a third-party action that is not fixed to a full commit"

TRUSTED_OWNERS: Final = frozenset({"actions", "github"})
_COMMIT: Final = re.compile(r"[0-9a-fA-F]{40}|[0-9a-fA-F]{64}")
_IMAGE: Final = "docker://"
_DIGEST: Final = re.compile(r"@sha256:[0-9a-f]{64}$")


def check(subject: Subject) -> Iterator[Finding]:
    """Look at each step that uses an action, and each job that calls a workflow."""
    for item in subject.jobs.values():
        if isinstance(item.job, CallJob):
            yield from _judge("workflow", item.job.uses, item.job.uses_span)
        for step, _ in item.steps:
            if isinstance(step, UsesStep):
                yield from _judge("action", step.uses, step.uses_span)


def _judge(kind: str, uses: str, span: Span) -> Iterator[Finding]:
    if uses.startswith(_IMAGE):
        if not _DIGEST.search(uses):
            message = f"found the image {uses!r} without a digest, expected '…@sha256:…': a tag can be moved"
            yield Finding(span=span, message=message)
        return
    if uses.startswith((".", "$/")):
        return
    name, _, ref = uses.partition("@")
    if name.partition("/")[0].lower() in TRUSTED_OWNERS or _COMMIT.fullmatch(ref):
        return
    message = f"found the third-party {kind} {name!r} at {ref!r}, expected a full commit: a tag or branch can be moved"
    yield Finding(span=span, message=message, fix=f"name the commit, and the version in a comment: # {ref}")
