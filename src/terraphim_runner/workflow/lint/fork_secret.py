"""``fork-secret``: a secret in a workflow that pull requests from forks start, where every secret is empty.

Such a step works for the repository's own branches and fails, or silently does less, for everybody else. Nothing is
said below an ``if`` that may know the difference: one that looks at ``github``, ``env``, ``inputs``, ``secrets``,
``vars``, or at an output of a step or a job; nor of jobs that need such a job. A secret that is only tested
(``secrets.KEY != ''``) or has a substitute (``secrets.KEY || github.token``) may be empty, and
``secrets.GITHUB_TOKEN`` is there (read only). Each secret is named once a job.
"""

from collections.abc import Iterable, Iterator
from typing import Final

from terraphim_runner.expressions.paths import Path, path_of, paths_in
from terraphim_runner.expressions.printing import to_source
from terraphim_runner.expressions.tree import And, Comparison, Node, Not, Or, children
from terraphim_runner.model.ids import JobKey
from terraphim_runner.workflow.lint.subject import Finding, JobSpots, Spot, Subject
from terraphim_runner.workflow.tree import Condition, Workflow

ID: Final = "fork-secret"
SUMMARY: Final = "a secret where pull requests from forks run without secrets"

_EVENTS: Final = frozenset({"pull_request", "pull_request_review", "pull_request_review_comment"})
_GUARDS: Final = frozenset({"env", "github", "inputs", "secrets", "vars"})
_TOKEN: Final = "github_token"  # noqa: S105 - a secret's name


def check(subject: Subject) -> Iterator[Finding]:
    """Look at each expression of a workflow that such an event triggers."""
    events = sorted(subject.events & _EVENTS)
    if not events:
        return
    yield from _uses(subject, subject.env, events[0], set())
    guarded = _guarded(subject.workflow)
    for key, item in subject.jobs.items():
        if key not in guarded:
            yield from _job(subject, item, events[0])


def _guarded(workflow: Workflow) -> frozenset[JobKey]:
    """Return the jobs that a guard keeps from forks, their own or, at any distance, that of a job which they need."""
    guarded = {key for key, job in workflow.jobs.items() if _is_guard(job.condition)}
    dependents: dict[JobKey, list[JobKey]] = {key: [] for key in workflow.jobs}
    for key, job in workflow.jobs.items():
        for need in job.needs:
            dependents[need.job].append(key)
    pending = list(guarded)
    while pending:
        for key in dependents[pending.pop()]:
            if key not in guarded:
                guarded.add(key)
                pending.append(key)
    return frozenset(guarded)


def _job(subject: Subject, item: JobSpots, event: str) -> Iterator[Finding]:
    told: set[str] = set()
    yield from _uses(subject, item.own, event, told)
    for step, spots in item.steps:
        if not _is_guard(step.condition):
            yield from _uses(subject, spots, event, told)


def _is_guard(condition: Condition | None) -> bool:
    return condition is not None and any(_may_know(path) for path, _ in paths_in(condition.expression.root))


def _may_know(path: Path) -> bool:
    return path[0] in _GUARDS or (path[0] in ("needs", "steps") and path[2:3] == ("outputs",))


def _uses(subject: Subject, spots: Iterable[Spot], event: str, told: set[str]) -> Iterator[Finding]:
    for spot in spots:
        for path, node in _relied_on(spot.expression.root):
            if path[0] != "secrets" or len(path) < 2 or path[1] == _TOKEN or path[1] in told:
                continue
            told.add(path[1])
            message = f"found {to_source(node)!r}, which is empty when {event!r} comes from a fork"
            fix = "let an 'if' keep the step to where the secret is, such as github.event_name == 'push'"
            yield Finding(span=subject.place(spot, node), message=message, fix=fix)


def _relied_on(root: Node) -> Iterator[tuple[Path, Node]]:
    """Yield the paths whose text matters, in the text's order: neither only tested, nor with a substitute."""
    pending = [root]
    while pending:
        node = pending.pop()
        match node:
            case Comparison() | Not():
                continue
            case And() | Or():
                pending.append(node.operands[-1])
            case _ if path_of(node) is not None:
                yield from paths_in(node)
            case _:
                pending.extend(reversed(children(node)))
