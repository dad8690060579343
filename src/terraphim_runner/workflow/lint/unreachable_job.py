"""``unreachable-job``: a job that no event can start.

Its ``if`` is false whatever happens, or asks for an event that the workflow is not triggered by, or it needs a job
that can never run and has no ``always()`` or the like in its ``if``.
"""

from collections import deque
from collections.abc import Collection, Iterator
from typing import Final

from terraphim_runner.expressions import to_string
from terraphim_runner.expressions.paths import path_of
from terraphim_runner.expressions.tree import Call, Comparison, Literal, Node, Operator
from terraphim_runner.expressions.truth import certain
from terraphim_runner.model.ids import JobKey
from terraphim_runner.model.source import Related
from terraphim_runner.workflow.lint.subject import Finding, Subject
from terraphim_runner.workflow.tree import Job, Need, Workflow

ID: Final = "unreachable-job"
SUMMARY: Final = "a job that no event can start"


def check(subject: Subject) -> Iterator[Finding]:
    """Look at each job after those that it needs."""
    stopped: set[str] = set()
    below: set[JobKey] = set()
    for job in _in_order(subject.workflow):
        is_below = any(need.job in below for need in job.needs)
        found = _judge(subject, job, stopped, is_below=is_below)
        if found is not None:
            stopped.add(job.key.lower())
            yield found
        if is_below or found is not None:
            below.add(job.key)


def _in_order(workflow: Workflow) -> Iterator[Job]:
    """Yield each job after its needs, in time proportional to how many of both there are."""
    waits = {key: len(job.needs) for key, job in workflow.jobs.items()}
    dependents: dict[JobKey, list[JobKey]] = {key: [] for key in workflow.jobs}
    for key, job in workflow.jobs.items():
        for need in job.needs:
            dependents[need.job].append(key)
    ready = deque(key for key, count in waits.items() if not count)
    while ready:
        key = ready.popleft()
        yield workflow.jobs[key]
        for dependent in dependents[key]:
            waits[dependent] -= 1
            if not waits[dependent]:
                ready.append(dependent)


def _judge(subject: Subject, job: Job, stopped: Collection[str], *, is_below: bool) -> Finding | None:
    """Return why the job cannot run. ``stopped`` are the jobs that cannot; ``is_below``: it needs one, however far."""
    if job.condition is not None:
        root = job.condition.expression.root
        if certain(root, lambda node: _known(subject, node, (), is_below=False)) is False:
            message = f"job {str(job.key)!r} can never run: its 'if' is false whatever happens"
            return Finding(span=job.condition.span, message=message)
        if not is_below or certain(root, lambda node: _known(subject, node, stopped, is_below=True)) is not False:
            return None
    elif not is_below:
        return None
    need, culprit = _reason(subject, job, stopped)
    through = "" if need.job == culprit else f" through {str(need.job)!r}"
    message = f"job {str(job.key)!r} can never run: it needs {str(culprit)!r}{through}, which can never run itself"
    related = (Related(message="what it needs", span=subject.workflow.jobs[culprit].span),)
    fix = "let its 'if' call always() or !cancelled(), or drop the need"
    return Finding(span=need.span, message=message, fix=fix, related=related)


def _reason(subject: Subject, job: Job, stopped: Collection[str]) -> tuple[Need, JobKey]:
    """Return the need that stops the job, and the nearest job there that cannot run."""
    through = {need.job: need for need in job.needs}
    level = list(through)
    while True:
        for key in level:
            if key.lower() in stopped:
                return through[key], key
        above = [(need.job, key) for key in level for need in subject.workflow.jobs[key].needs]
        level = [key for key, _ in above if key not in through]
        for key, from_key in above:
            through.setdefault(key, through[from_key])


def _known(subject: Subject, node: Node, stopped: Collection[str], *, is_below: bool) -> bool | None:
    match node:
        case Call(function="success", arguments=()) if is_below:
            return False
        case Call(function="success", arguments=names):
            literals = {to_string(name.value).lower() for name in names if isinstance(name, Literal)}
            return False if any(name in stopped for name in literals) else None
        case Comparison(operator=Operator.EQUAL | Operator.NOT_EQUAL):
            return _event_comparison(subject, node)
        case _:
            return None


def _event_comparison(subject: Subject, node: Comparison) -> bool | None:
    """Return what a comparison with an event's name yields when no such event triggers the workflow."""
    for name, value in ((node.left, node.right), (node.right, node.left)):
        if path_of(name) == ("github", "event_name") and isinstance(value, Literal) and isinstance(value.value, str):
            # A called workflow sees the event of its caller.
            if value.value.lower() in subject.events or "workflow_call" in subject.events:
                return None
            return node.operator is Operator.NOT_EQUAL
    return None
