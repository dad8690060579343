"""``deprecated-input``: a step gives an input that the action itself calls deprecated.

GitHub says so, too, but only while the job runs. Looked at are the actions of the workflow's own repository.
"""

from collections.abc import Iterator
from typing import Final

from terraphim_runner.expressions import Template
from terraphim_runner.workflow.findings import shown
from terraphim_runner.workflow.lint.subject import Finding, Subject

ID: Final = "deprecated-input"
SUMMARY: Final = "an input that the action calls deprecated"


def check(subject: Subject) -> Iterator[Finding]:
    """Look at each step that uses an action of the repository."""
    for item in subject.own_actions:
        if item.interface is None or isinstance(item.step.with_, Template):
            continue
        for name, value in item.step.with_.items():
            advice = item.interface.deprecated.get(name.lower())
            if advice is not None:
                message = f"the input {shown(name)} of {shown(item.step.uses)} is deprecated: {shown(advice)}"
                yield Finding(span=value.span, message=message)
