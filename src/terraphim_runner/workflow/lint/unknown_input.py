"""``unknown-input``: a step gives an input that the action does not define, so nobody reads it.

GitHub says so, too, but only while the job runs. Looked at are ``actions/checkout`` and the actions of the workflow's
own repository. A container action takes ``args`` and ``entrypoint`` in any case.
"""

from collections.abc import Iterator
from typing import Final

from terraphim_runner.expressions import Template
from terraphim_runner.workflow.findings import shown
from terraphim_runner.workflow.lint.subject import Finding, Subject

ID: Final = "unknown-input"
SUMMARY: Final = "an input that the action does not define"


def check(subject: Subject) -> Iterator[Finding]:
    """Look at each step that uses an action of the repository."""
    for item in subject.own_actions:
        if item.interface is None or isinstance(item.step.with_, Template):
            continue
        for name, value in item.step.with_.items():
            if name.lower() not in item.interface.known and "${{" not in name:
                message = f"found the input {shown(name)} of {shown(item.step.uses)}, {item.interface.expected()}"
                yield Finding(span=value.span, message=message + item.interface.guess(name))
