"""``unset-output``: an output that is read and that nobody sets, so the value is empty.

``needs.<job>.outputs.<name>`` is wrong when the job does not declare that output, or is not among the direct needs.
``steps.<id>.outputs.<name>`` is wrong when the step's script mentions neither the name nor ``GITHUB_OUTPUT``, or when
all that it appends to that file is plain ``echo "other=…"``. A script that calls anything but the usual tools, or that
is in another shell, is believed: what it calls may write the file. It is wrong, too, when the step uses a composite
action of the repository itself that does not declare that output; other actions may set what they do not declare.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from terraphim_runner.expressions.paths import ANY, Path, paths_in
from terraphim_runner.expressions.printing import to_source
from terraphim_runner.expressions.tree import Node
from terraphim_runner.model.source import Related
from terraphim_runner.workflow.lint.scripts import written_names
from terraphim_runner.workflow.lint.subject import Finding, JobSpots, Subject
from terraphim_runner.workflow.tree import CallJob, Job, RunStep, Step, UsesStep

ID: Final = "unset-output"
SUMMARY: Final = "an output that is read and that nobody sets"

_Problem = tuple[str, tuple[Related, ...]]
_Composites = Mapping[int, frozenset[str]]
"""What a composite action declares, by the identity of the step: an alias gives two steps one place in the file."""


class _Scripts:
    """What the scripts of a job's steps set, each read once."""

    def __init__(self, steps: Iterable[Step], composites: _Composites) -> None:
        self.steps = {step.id.lower(): step for step in steps if step.id is not None}
        self._composites = composites
        self._known: dict[str, frozenset[str] | None] = {}

    def may_set(self, key: str, name: str) -> bool:
        if key not in self._known:
            step = self.steps[key]
            self._known[key] = written_names(step) if isinstance(step, RunStep) else self._composites.get(id(step))
        names = self._known[key]
        return names is None or name in names


def check(subject: Subject) -> Iterator[Finding]:
    """Look at each expression of each job."""
    composites = {
        id(item.step): item.interface.outputs
        for item in subject.own_actions
        if item.interface is not None and item.interface.outputs is not None
    }
    for item in subject.jobs.values():
        yield from _job(subject, item, composites)


def _job(subject: Subject, item: JobSpots, composites: _Composites) -> Iterator[Finding]:
    scripts = _Scripts((step for step, _ in item.steps), composites)
    needs = {need.job.lower(): subject.workflow.jobs[need.job] for need in item.job.needs}
    for spot in (*item.own, *(spot for _, spots in item.steps for spot in spots)):
        for path, node in paths_in(spot.expression.root):
            found = _problem(path, node, scripts, needs)
            if found is not None:
                message, related = found
                yield Finding(span=subject.place(spot, node), message=message, related=related)


def _problem(
    path: Path, node: Node, scripts: _Scripts, needs: dict[str, Job]
) -> tuple[str, tuple[Related, ...]] | None:
    if path[0] == "needs" and len(path) > 1 and path[1] not in (ANY, *needs):
        return f"found {to_source(node)!r}, but that job is not among the direct 'needs': the value is empty", ()
    if len(path) < 4 or path[2] != "outputs" or ANY in path[1:4]:
        return None
    name = path[3]
    if path[0] == "needs":
        job = needs[path[1]]
        if isinstance(job, CallJob):
            # The workflow that is called declares them, in a file of its own.
            return None
        declared = {output.lower() for output in job.outputs}
        if name not in declared:
            words = f"declares {_listed(sorted(job.outputs))}" if declared else "declares no outputs"
            related = (Related(message="the job", span=job.span),)
            return f"found {to_source(node)!r}, but job {str(job.key)!r} {words}: the value is empty", related
    elif path[0] == "steps" and path[1] in scripts.steps:
        step = scripts.steps[path[1]]
        if not scripts.may_set(path[1], name):
            related = (Related(message="the step", span=step.span),)
            setter = "action" if isinstance(step, UsesStep) else "script"
            return f"found {to_source(node)!r}, but the {setter} of step {step.id!r} never sets it", related
    return None


def _listed(names: list[str]) -> str:
    shown = ", ".join(map(repr, names[:8]))
    return shown if len(names) <= 8 else f"{shown} and {len(names) - 8} more"
