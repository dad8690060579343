"""``fork-checkout``: a stranger's code is fetched where the repository's secrets and a writing token are.

``pull_request_target`` and ``workflow_run`` run with all rights although anybody can cause them. That is safe as long
as only the repository's own code runs; a checkout of the pull request's head, then any build, test or install step,
hands the rights over. Found are ``actions/checkout`` with a ``ref`` or ``repository`` of the head, and scripts that
fetch it by ``gh pr checkout`` or ``git fetch … pull/``.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Final

from terraphim_runner.expressions import Template
from terraphim_runner.expressions.paths import Path, paths_in
from terraphim_runner.workflow.lint.subject import Finding, Subject
from terraphim_runner.workflow.tree import RunStep, Step, UsesStep

ID: Final = "fork-checkout"
SUMMARY: Final = "a pull request's code is checked out with the repository's own rights"

_EVENTS: Final = frozenset({"pull_request_target", "workflow_run", "issue_comment"})
_CHECKOUT: Final = "actions/checkout@"
_HEADS: Final[tuple[Path, ...]] = (
    ("github", "head_ref"),
    ("github", "event", "pull_request", "head"),
    ("github", "event", "pull_request", "merge_commit_sha"),
    ("github", "event", "workflow_run", "head_sha"),
    ("github", "event", "workflow_run", "head_branch"),
    ("github", "event", "workflow_run", "head_commit"),
    ("github", "event", "workflow_run", "head_repository"),
    ("github", "event", "workflow_run", "pull_requests"),
)
_PULL_REF: Final = re.compile(r"^(?:refs/)?pull/", re.IGNORECASE)
_SCRIPT: Final = re.compile(r"\bgh\s+pr\s+checkout\b|\bgit\s+(?:fetch|pull)\b[^\n;|&]{0,200}?\bpull/")


def check(subject: Subject) -> Iterator[Finding]:
    """Look at each step of a workflow that such an event triggers."""
    events = sorted(subject.events & _EVENTS)
    if not events:
        return
    message = f"found a checkout of somebody else's code under {events[-1]!r}, with this repository's secrets and token"
    fix = "run that code under 'pull_request' instead, or run nothing of what was checked out"
    for item in subject.jobs.values():
        for step, _ in item.steps:
            for template, offset, length in _checkouts(step):
                span = subject.inside(template.span, template.source, offset, length)
                yield Finding(span=span, message=message, fix=fix)


def _checkouts(step: Step) -> Iterator[tuple[Template, int, int]]:
    if isinstance(step, RunStep):
        found = _SCRIPT.search(step.run.source)
        if found:
            yield step.run, found.start(), len(found.group())
    elif isinstance(step, UsesStep) and step.uses.lower().startswith(_CHECKOUT):
        inputs = step.with_
        if isinstance(inputs, Mapping):
            for name, value in inputs.items():
                if name.lower() in ("ref", "repository") and _is_head(value):
                    yield value, 0, len(value.source)
                    return


def _is_head(template: Template) -> bool:
    if _PULL_REF.match(template.source):
        return True
    return any(
        path[: len(head)] == head
        for expression in template.expressions
        for path, _ in paths_in(expression.root)
        for head in _HEADS
    )
