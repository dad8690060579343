"""The steps of a job that use an action of the repository itself, each with what the repository's files say of it.

A ``./path`` is looked up in the workspace while the job runs, so what an earlier step put there counts: the code of
another repository, or a folder that a checkout or a script made. Nothing is said about such a step. Nor is a folder
missed in a workflow that others can call: the workspace is then the caller's.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from terraphim_runner.expressions import Template
from terraphim_runner.workflow.actions import is_checkout
from terraphim_runner.workflow.metadata.interface import Interface, interface_of
from terraphim_runner.workflow.metadata.linking import LinkedAction, own_path
from terraphim_runner.workflow.references import LocalAction
from terraphim_runner.workflow.tree import EnvTemplate, Job, RunStep, Step, UsesStep, Workflow, all_steps

_WORD: Final = re.compile(r"[\w.-]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnAction:
    """A step, and the action that it uses."""

    step: UsesStep
    linked: LinkedAction
    interface: Interface | None
    """None when nothing is known of it."""


def own_actions(workflow: Workflow, actions: Mapping[str, LinkedAction]) -> Iterator[OwnAction]:
    """Yield the steps of the workflow that use one of the actions, in order."""
    is_callable = any(trigger.event == "workflow_call" for trigger in workflow.triggers)
    interfaces = {
        path: None if linked.action is None else interface_of(linked.action) for path, linked in actions.items()
    }
    for job in workflow.jobs.values() if actions else ():
        for step, path in _known_steps(job, actions, is_callable=is_callable):
            yield OwnAction(step=step, linked=actions[path], interface=interfaces[path])


def _known_steps(job: Job, actions: Mapping[str, LinkedAction], *, is_callable: bool) -> Iterator[tuple[UsesStep, str]]:
    workspace = _Workspace(is_callable=is_callable)
    for step in all_steps(job.steps):
        path = own_path(step.action) if isinstance(step, UsesStep) else None
        if isinstance(step, UsesStep) and path is not None and path in actions:
            is_made_here = isinstance(step.action, LocalAction) and workspace.may_replace(path, actions[path])
            if not is_made_here:
                yield step, path
        workspace.after(step)


class _Workspace:
    """What the steps so far may have put in the place of the repository's own files."""

    def __init__(self, *, is_callable: bool) -> None:
        self._is_callable = is_callable
        self._is_foreign = False
        self._words: set[str] = set()

    def may_replace(self, path: str, linked: LinkedAction) -> bool:
        if self._is_foreign or linked.absence is None:
            return self._is_foreign
        if self._is_callable:
            return True
        first, _, rest = path.partition("/")
        names = {first, rest.rpartition("/")[2]} - {"", ".github"}
        return not self._words.isdisjoint(names)

    def after(self, step: Step) -> None:
        if isinstance(step, RunStep):
            self._words.update(_WORD.findall(step.run.source))
        elif isinstance(step, UsesStep):
            inputs = _inputs(step.with_)
            for text in inputs.values():
                self._words.update(_WORD.findall(text))
            if is_checkout(step.action):
                is_elsewhere = "repository" in inputs and "path" not in inputs
                self._is_foreign |= is_elsewhere or "${{" in inputs.get("path", "") or "${{" in inputs


def _inputs(given: EnvTemplate) -> dict[str, str]:
    """Return the inputs by their names in lower case; of one expression for all of them nothing is known but that."""
    if isinstance(given, Template):
        return {"${{": given.source}
    return {name.lower(): value.source for name, value in given.items()}
