"""``missing-action``: a step uses an action of its own repository, and there is none in that folder.

GitHub looks when the step runs, so an earlier step may still make it: a step before this one that mentions the folder
is believed, and so is a checkout of another repository. A workflow that others can call looks into their workspace.
"""

from collections.abc import Iterator
from typing import Final

from terraphim_runner.workflow.findings import shown
from terraphim_runner.workflow.lint.subject import Finding, Subject

ID: Final = "missing-action"
SUMMARY: Final = "an action of the own repository that is not there"


def check(subject: Subject) -> Iterator[Finding]:
    """Look at each step that uses an action of the repository."""
    for item in subject.own_actions:
        if item.linked.absence is not None:
            message = f"found no action at {shown(item.step.uses)}: {item.linked.absence}"
            yield Finding(span=item.step.uses_span, message=message)
