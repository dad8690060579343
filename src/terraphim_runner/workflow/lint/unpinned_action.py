"""``unpinned-action``: somebody else's code is named by a tag or a branch, which can be moved to other code.

Only a full commit cannot. Actions of the owners ``actions`` and ``github`` are excepted, and so are the repository's
own (``./…``). A container image is fixed by its digest.
"""

import re
from collections.abc import Iterator
from typing import Final

from terraphim_runner.workflow.lint.subject import Finding, Subject
from terraphim_runner.workflow.tree import UsesStep

ID: Final = "unpinned-action"
SUMMARY: Final = "a third-party action that is not fixed to a full commit"

TRUSTED_OWNERS: Final = frozenset({"actions", "github"})
_COMMIT: Final = re.compile(r"[0-9a-fA-F]{40}|[0-9a-fA-F]{64}")
_IMAGE: Final = "docker://"
_DIGEST: Final = re.compile(r"@sha256:[0-9a-f]{64}$")


def check(subject: Subject) -> Iterator[Finding]:
    """Look at each step that uses an action."""
    for item in subject.jobs.values():
        for step, _ in item.steps:
            if isinstance(step, UsesStep):
                yield from _judge(step)


def _judge(step: UsesStep) -> Iterator[Finding]:
    uses = step.uses
    if uses.startswith(_IMAGE):
        if not _DIGEST.search(uses):
            message = f"found the image {uses!r} without a digest, expected '…@sha256:…': a tag can be moved"
            yield Finding(span=step.uses_span, message=message)
        return
    if uses.startswith("."):
        return
    action, _, ref = uses.partition("@")
    if action.partition("/")[0].lower() in TRUSTED_OWNERS or _COMMIT.fullmatch(ref):
        return
    message = (
        f"found the third-party action {action!r} at {ref!r}, expected a full commit: a tag or branch can be moved"
    )
    yield Finding(span=step.uses_span, message=message, fix=f"name the commit, and the version in a comment: # {ref}")
