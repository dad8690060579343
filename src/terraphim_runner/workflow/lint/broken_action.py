"""``broken-action``: a step uses an action of its own repository that GitHub cannot load, so the step fails.

Its metadata is wrong, or it uses itself, directly or by way of others.
"""

from collections.abc import Iterator
from typing import Final

from terraphim_runner.workflow.findings import shown
from terraphim_runner.workflow.lint.subject import Finding, Subject

ID: Final = "broken-action"
SUMMARY: Final = "an action of the own repository that cannot be loaded"


def check(subject: Subject) -> Iterator[Finding]:
    """Look at each step that uses an action of the repository."""
    for item in subject.own_actions:
        if item.linked.fault is not None:
            message = f"the action {shown(item.step.uses)} cannot be used: {item.linked.fault}"
            yield Finding(span=item.step.uses_span, message=message)
