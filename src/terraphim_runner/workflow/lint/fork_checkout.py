"""``fork-checkout``: a stranger's code is fetched where the repository's secrets and a writing token are.

``pull_request_target`` and ``workflow_run`` run with all rights although anybody can cause them. That is safe as long
as only the repository's own code runs; a checkout of the pull request's head, then any build, test or install step,
hands the rights over. Found are ``actions/checkout`` with a ``ref`` or ``repository`` of the head, and scripts that
take it by ``gh pr checkout``, ``git pull … pull/``, or ``git fetch … pull/`` and a git command that writes files later
in the job. A fetch alone writes none: many look at the difference only.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
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
_TAKEN: Final = re.compile(r"\bgh\s+pr\s+checkout\b|\bgit\s+pull\b[^\n;|&]{0,200}?\bpull/")
_FETCHED: Final = re.compile(r"\bgit\s+fetch\b[^\n;|&]{0,200}?\bpull/")
_WRITES: Final = re.compile(
    r"\bgit[ \t]+(?:(?:-[cC][ \t]+|--)\S{1,200}[ \t]+){0,4}"
    r"(?:am|apply|archive|checkout|cherry-pick|merge|pull|read-tree|rebase|reset|restore|switch|worktree)(?![\w-])"
)
"""A git command that writes what was fetched to files."""


def check(subject: Subject) -> Iterator[Finding]:
    """Look at each step of a workflow that such an event triggers."""
    events = sorted(subject.events & _EVENTS)
    if not events:
        return
    message = f"found a checkout of somebody else's code under {events[-1]!r}, with this repository's secrets and token"
    fix = "run that code under 'pull_request' instead, or run nothing of what was checked out"
    for item in subject.jobs.values():
        for template, offset, length in reversed(list(_checkouts([step for step, _ in item.steps]))):
            span = subject.inside(template.span, template.source, offset, length)
            yield Finding(span=span, message=message, fix=fix)


def _checkouts(steps: Sequence[Step]) -> Iterator[tuple[Template, int, int]]:
    """Yield where each step takes a stranger's code, the last step first."""
    writes = False
    for step in reversed(steps):
        if isinstance(step, RunStep):
            found = _in_script(step.run.source, writes)
            if found:
                yield step.run, found.start(), len(found.group())
            writes = writes or _WRITES.search(step.run.source) is not None
        elif isinstance(step, UsesStep) and step.uses.lower().startswith(_CHECKOUT):
            ref = _head_input(step)
            if ref is not None:
                yield ref, 0, len(ref.source)


def _in_script(source: str, later: bool) -> re.Match[str] | None:
    """Return the command; ``later`` tells whether a later script writes what this one fetched to files."""
    taken, fetched = _TAKEN.search(source), _FETCHED.search(source)
    if fetched and (later or _WRITES.search(source, fetched.end())):
        return fetched if taken is None or fetched.start() < taken.start() else taken
    return taken


def _head_input(step: UsesStep) -> Template | None:
    if isinstance(step.with_, Mapping):
        for name, value in step.with_.items():
            if name.lower() in ("ref", "repository") and _is_head(value):
                return value
    return None


def _is_head(template: Template) -> bool:
    if _PULL_REF.match(template.source):
        return True
    return any(
        path[: len(head)] == head
        for expression in template.expressions
        for path, _ in paths_in(expression.root)
        for head in _HEADS
    )
