"""``unset-output``: an output that is read and that nobody sets, so the value is empty.

``needs.<job>.outputs.<name>`` is wrong when the job does not declare that output, or is not among the direct needs; for
a job that calls a workflow, when that one does not declare it, if it is a file of the same checkout.
``steps.<id>.outputs.<name>`` is wrong when the step's script mentions neither the name nor ``GITHUB_OUTPUT``, or when
all that it appends to that file is plain ``echo "other=…"``. A script that calls anything but the usual tools, or that
is in another shell, is believed: what it calls may write the file. It is wrong, too, when the step uses a composite
action of the repository itself that does not declare that output; other actions may set what they do not declare.
What a reusable workflow gives back of ``jobs.<job>.outputs.<name>`` is wrong when it has no such job, or that declares
no such output.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from terraphim_runner.expressions.paths import ANY, Path, paths_in
from terraphim_runner.expressions.printing import to_source
from terraphim_runner.expressions.tree import Node
from terraphim_runner.model.ids import JobKey
from terraphim_runner.model.source import Related
from terraphim_runner.workflow.lint.scripts import written_names
from terraphim_runner.workflow.lint.subject import Finding, JobSpots, Subject
from terraphim_runner.workflow.signature import signature
from terraphim_runner.workflow.tree import CallJob, Job, RunStep, Step, UsesStep, Workflow

ID: Final = "unset-output"
SUMMARY: Final = "an output that is read and that nobody sets"

_Problem = tuple[str, tuple[Related, ...]]
_Composites = Mapping[int, frozenset[str]]
"""What a composite action declares, by the identity of the step: an alias gives two steps one place in the file."""
_Outputs = Mapping[JobKey, tuple[str, ...]]
"""What the workflow declares that a job calls, for the calls that are linked."""


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
    outputs = _outputs_of_calls(subject.workflow)
    for item in subject.jobs.values():
        yield from _job(subject, item, composites, outputs)
    yield from _of_the_workflow(subject.workflow, outputs)


def _of_the_workflow(workflow: Workflow, calls: _Outputs) -> Iterator[Finding]:
    """Look at what a reusable workflow gives back. Its definitions are plain values, so the trigger is the place."""
    takes = signature(workflow)
    if takes is None:
        return
    jobs = {key.lower(): job for key, job in workflow.jobs.items()}
    for name, template in takes.outputs.items():
        for expression in template.expressions:
            for path, node in paths_in(expression.root):
                found = _given_back(path, node, jobs, calls)
                if found is not None:
                    message, related = found
                    yield Finding(span=takes.span, message=f"the output {name!r}: {message}", related=related)


def _given_back(path: Path, node: Node, jobs: Mapping[str, Job], calls: _Outputs) -> _Problem | None:
    if path[0] != "jobs" or len(path) < 2 or path[1] == ANY:
        return None
    if path[1] not in jobs:
        return f"found {to_source(node)!r}, but there is no such job: the value is empty", ()
    if len(path) < 4 or path[2] != "outputs" or path[3] == ANY:
        return None
    return _undeclared(jobs[path[1]], path[3], node, calls)


def _outputs_of_calls(workflow: Workflow) -> _Outputs:
    # Many jobs may call one workflow: it is asked once.
    asked: dict[int, tuple[str, ...]] = {}
    for called in workflow.calls.values():
        if id(called) not in asked:
            takes = signature(called)
            asked[id(called)] = tuple(takes.outputs) if takes is not None else ()
    return {key: asked[id(called)] for key, called in workflow.calls.items()}


def _job(subject: Subject, item: JobSpots, composites: _Composites, outputs: _Outputs) -> Iterator[Finding]:
    scripts = _Scripts((step for step, _ in item.steps), composites)
    needs = {need.job.lower(): subject.workflow.jobs[need.job] for need in item.job.needs}
    for spot in (*item.own, *(spot for _, spots in item.steps for spot in spots)):
        for path, node in paths_in(spot.expression.root):
            found = _problem(path, node, scripts, needs, outputs)
            if found is not None:
                message, related = found
                yield Finding(span=subject.place(spot, node), message=message, related=related)


def _problem(path: Path, node: Node, scripts: _Scripts, needs: dict[str, Job], calls: _Outputs) -> _Problem | None:
    if path[0] == "needs" and len(path) > 1 and path[1] not in (ANY, *needs):
        return f"found {to_source(node)!r}, but that job is not among the direct 'needs': the value is empty", ()
    if len(path) < 4 or path[2] != "outputs" or ANY in path[1:4]:
        return None
    name = path[3]
    if path[0] == "needs":
        return _undeclared(needs[path[1]], name, node, calls)
    if path[0] == "steps" and path[1] in scripts.steps:
        step = scripts.steps[path[1]]
        if not scripts.may_set(path[1], name):
            related = (Related(message="the step", span=step.span),)
            setter = "action" if isinstance(step, UsesStep) else "script"
            return f"found {to_source(node)!r}, but the {setter} of step {step.id!r} never sets it", related
    return None


def _undeclared(job: Job, name: str, node: Node, calls: _Outputs) -> _Problem | None:
    """Tell whether a job declares an output: for a call, the called workflow does, in a file of its own."""
    what = f"job {str(job.key)!r}"
    names = sorted(job.outputs)
    if isinstance(job, CallJob):
        if job.key not in calls:
            return None
        what = f"{job.uses!r}, which {what} calls,"
        names = sorted(calls[job.key])
    if name in {output.lower() for output in names}:
        return None
    words = f"declares {_listed(names)}" if names else "declares no outputs"
    related = (Related(message="the job", span=job.span),)
    return f"found {to_source(node)!r}, but {what} {words}: the value is empty", related


def _listed(names: list[str]) -> str:
    shown = ", ".join(map(repr, names[:8]))
    return shown if len(names) <= 8 else f"{shown} and {len(names) - 8} more"
