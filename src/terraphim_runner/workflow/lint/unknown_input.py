"""``unknown-input``: a step gives an input that the action does not define, so nobody reads it.

GitHub says so, too, but only while the job runs. Looked at are ``actions/checkout`` and the actions of the workflow's
own repository. A container action takes ``args`` and ``entrypoint`` in any case.
"""

from collections.abc import Iterator
from typing import Final

from terraphim_runner.expressions import Template
from terraphim_runner.workflow.fields import guess, listed
from terraphim_runner.workflow.findings import shown
from terraphim_runner.workflow.lint.subject import Finding, Subject
from terraphim_runner.workflow.metadata.tree import Action, DockerRuns
from terraphim_runner.workflow.tree import UsesStep

ID: Final = "unknown-input"
SUMMARY: Final = "an input that the action does not define"

_OF_CONTAINERS: Final = frozenset({"args", "entrypoint"})


def check(subject: Subject) -> Iterator[Finding]:
    """Look at each step that uses an action of the repository."""
    for item in subject.own_actions:
        if item.linked.action is not None:
            yield from _judge(item.step, item.linked.action)


def _judge(step: UsesStep, action: Action) -> Iterator[Finding]:
    if isinstance(step.with_, Template):
        return
    known = {name.lower() for name in action.inputs}
    if isinstance(action.runs, DockerRuns):
        known |= _OF_CONTAINERS
    expected = f"expected one of {listed(action.inputs)}" if action.inputs else "which takes none"
    for name, value in step.with_.items():
        if name.lower() not in known and "${{" not in name:
            message = f"found the input {shown(name)} of {shown(step.uses)}, {expected}"
            yield Finding(span=value.span, message=message + guess(name, action.inputs))
