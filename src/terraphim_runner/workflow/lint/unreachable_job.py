"""``unreachable-job``: a job that no event can start.

Its ``if`` is false whatever happens, or asks for an event that the workflow is not triggered by, or it needs a job
that can never run and has no ``always()`` or the like in its ``if``.
"""

from collections.abc import Iterator
from typing import Final

from terraphim_runner.expressions import to_string
from terraphim_runner.expressions.paths import path_of
from terraphim_runner.expressions.tree import Call, Comparison, Literal, Node, Operator
from terraphim_runner.expressions.truth import certain
from terraphim_runner.model.ids import JobKey
from terraphim_runner.model.source import Related
from terraphim_runner.workflow.lint.subject import Finding, Subject
from terraphim_runner.workflow.tree import Job, Need

ID: Final = "unreachable-job"
SUMMARY: Final = "a job that no event can start"


def check(subject: Subject) -> Iterator[Finding]:
    """Look at each job after those that it needs."""
    stopped: dict[JobKey, frozenset[str]] = {}
    pending = list(subject.workflow.jobs.values())
    while pending:
        ready = [job for job in pending if all(need.job in stopped for need in job.needs)]
        if not ready:
            return
        for job in ready:
            above = frozenset[str]().union(*(stopped[need.job] for need in job.needs))
            found = _judge(subject, job, above)
            stopped[job.key] = above if found is None else above | {job.key.lower()}
            if found is not None:
                yield found
        pending = [job for job in pending if job.key not in stopped]


def _judge(subject: Subject, job: Job, above: frozenset[str]) -> Finding | None:
    """Return why the job cannot run; ``above`` are the jobs that cannot, among all that it needs directly or not."""
    if job.condition is not None:
        root = job.condition.expression.root
        if certain(root, lambda node: _known(subject, node, frozenset())) is False:
            message = f"job {str(job.key)!r} can never run: its 'if' is false whatever happens"
            return Finding(span=job.condition.span, message=message)
        if not above or certain(root, lambda node: _known(subject, node, above)) is not False:
            return None
    elif not above:
        return None
    need, culprit = _reason(subject, job, above)
    through = "" if need.job == culprit else f" through {str(need.job)!r}"
    message = f"job {str(job.key)!r} can never run: it needs {str(culprit)!r}{through}, which can never run itself"
    related = (Related(message="what it needs", span=subject.workflow.jobs[culprit].span),)
    fix = "let its 'if' call always() or !cancelled(), or drop the need"
    return Finding(span=need.span, message=message, fix=fix, related=related)


def _reason(subject: Subject, job: Job, above: frozenset[str]) -> tuple[Need, JobKey]:
    """Return the need that stops the job, and the nearest job there that cannot run."""
    through = {need.job: need for need in job.needs}
    level = list(through)
    while True:
        for key in level:
            if key.lower() in above:
                return through[key], key
        below = [(need.job, key) for key in level for need in subject.workflow.jobs[key].needs]
        level = [key for key, _ in below if key not in through]
        for key, above_it in below:
            through.setdefault(key, through[above_it])


def _known(subject: Subject, node: Node, above: frozenset[str]) -> bool | None:
    match node:
        case Call(function="success", arguments=()) if above:
            return False
        case Call(function="success", arguments=names):
            literals = {to_string(name.value).lower() for name in names if isinstance(name, Literal)}
            return False if literals & above else None
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
