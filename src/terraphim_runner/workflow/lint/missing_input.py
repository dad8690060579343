"""``missing-input``: a step leaves out an input that the action requires and has no default for.

GitHub does not enforce it: the input is empty, and what the action makes of that is its own affair. Looked at are the
actions of the workflow's own repository.
"""

from collections.abc import Iterator
from typing import Final

from terraphim_runner.expressions import Template
from terraphim_runner.workflow.findings import shown
from terraphim_runner.workflow.lint.subject import Finding, Subject

ID: Final = "missing-input"
SUMMARY: Final = "a required input that the step does not give"


def check(subject: Subject) -> Iterator[Finding]:
    """Look at each step that uses an action of the repository."""
    for item in subject.own_actions:
        given = item.step.with_
        if item.interface is None or isinstance(given, Template) or any("${{" in name for name in given):
            continue
        names = {name.lower() for name in given}
        for name in item.interface.required:
            if name.lower() not in names:
                uses = shown(item.step.uses)
                message = f"{uses} requires the input {shown(name)}, which the step does not give: it is empty"
                yield Finding(span=item.step.uses_span, message=message)
