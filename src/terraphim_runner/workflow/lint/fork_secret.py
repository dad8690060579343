"""``fork-secret``: a secret in a workflow that pull requests from forks start, where every secret is empty.

Such a step works for the repository's own branches and fails, or silently does less, for everybody else. Nothing is
said below an ``if`` that looks at ``github``, ``env`` or ``secrets``, and of ``secrets.GITHUB_TOKEN``, which is there
(read only). Each secret is named once a job.
"""

from collections.abc import Iterable, Iterator
from typing import Final

from terraphim_runner.expressions import references
from terraphim_runner.expressions.paths import paths_in
from terraphim_runner.expressions.printing import to_source
from terraphim_runner.workflow.lint.subject import Finding, JobSpots, Spot, Subject
from terraphim_runner.workflow.tree import Condition

ID: Final = "fork-secret"
SUMMARY: Final = "a secret where pull requests from forks run without secrets"

_EVENTS: Final = frozenset({"pull_request", "pull_request_review", "pull_request_review_comment"})
_GUARDS: Final = frozenset({"github", "env", "secrets"})
_TOKEN: Final = "github_token"  # noqa: S105 - a secret's name


def check(subject: Subject) -> Iterator[Finding]:
    """Look at each expression of a workflow that such an event triggers."""
    events = sorted(subject.events & _EVENTS)
    if not events:
        return
    yield from _uses(subject, subject.env, events[0], set())
    for item in subject.jobs.values():
        if not _is_guarded(item.job.condition):
            yield from _job(subject, item, events[0])


def _job(subject: Subject, item: JobSpots, event: str) -> Iterator[Finding]:
    told: set[str] = set()
    yield from _uses(subject, item.own, event, told)
    for step, spots in item.steps:
        if not _is_guarded(step.condition):
            yield from _uses(subject, spots, event, told)


def _is_guarded(condition: Condition | None) -> bool:
    return condition is not None and any(name in _GUARDS for name, _ in references(condition.expression))


def _uses(subject: Subject, spots: Iterable[Spot], event: str, told: set[str]) -> Iterator[Finding]:
    for spot in spots:
        for path, node in paths_in(spot.expression.root):
            if path[0] != "secrets" or len(path) < 2 or path[1] == _TOKEN or path[1] in told:
                continue
            told.add(path[1])
            message = f"found {to_source(node)!r}, which is empty when {event!r} comes from a fork"
            fix = "let an 'if' keep the step to where the secret is, such as github.event_name == 'push'"
            yield Finding(span=subject.place(spot, node), message=message, fix=fix)
