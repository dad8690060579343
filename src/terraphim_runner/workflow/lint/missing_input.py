"""``missing-input``: a step leaves out an input that the action requires and has no default for.

GitHub does not enforce it: the input is empty, and what the action makes of that is its own affair. Looked at are the
actions of the workflow's own repository.
"""

from collections.abc import Iterator
from typing import Final

from terraphim_runner.expressions import Template
from terraphim_runner.workflow.findings import shown
from terraphim_runner.workflow.lint.subject import Finding, Subject
from terraphim_runner.workflow.metadata.tree import Action
from terraphim_runner.workflow.tree import UsesStep

ID: Final = "missing-input"
SUMMARY: Final = "a required input that the step does not give"


def check(subject: Subject) -> Iterator[Finding]:
    """Look at each step that uses an action of the repository."""
    for item in subject.own_actions:
        if item.linked.action is not None:
            yield from _judge(item.step, item.linked.action)


def _judge(step: UsesStep, action: Action) -> Iterator[Finding]:
    if isinstance(step.with_, Template) or any("${{" in name for name in step.with_):
        return
    given = {name.lower() for name in step.with_}
    for name, known in action.inputs.items():
        if known.required and known.default is None and name.lower() not in given:
            message = f"{shown(step.uses)} requires the input {shown(name)}, which the step does not give: it is empty"
            yield Finding(span=step.uses_span, message=message)
