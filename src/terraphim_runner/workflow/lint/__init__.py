"""Warnings about what is legal in a workflow and bites people. Never an error, and each can be switched off.

Pure functions over the tree of a valid workflow: nothing is asked of the network, and nothing is run.
"""

from collections.abc import Mapping
from itertools import islice
from typing import Final

from terraphim_runner.model.source import Diagnostic, Severity
from terraphim_runner.workflow.lint.registry import RULES, Rule
from terraphim_runner.workflow.lint.subject import Subject
from terraphim_runner.workflow.metadata.linking import LinkedAction
from terraphim_runner.workflow.tree import Workflow

__all__ = ["MAX_PER_RULE", "RULES", "Rule", "lint"]

MAX_PER_RULE: Final = 50
"""More of one kind help nobody; looking for them ends there."""

_MAX_MESSAGE: Final = 1000


def lint(
    workflow: Workflow, *, disabled: frozenset[str] = frozenset(), actions: Mapping[str, LinkedAction] | None = None
) -> tuple[Diagnostic, ...]:
    """Return the warnings of all rules but the ``disabled`` ones, in the order of their places.

    ``actions`` are those of the workflow's own repository, by the folders that its steps name; nothing is said about
    a folder that is not among them. Never raises for what a valid workflow says. The same mistake at the same place is
    told once.
    """
    subject = Subject(workflow, actions or {})
    found = {
        (finding.span, rule.id, finding.message): Diagnostic(
            path=workflow.path,
            span=finding.span,
            rule=rule.id,
            message=_cut(finding.message),
            fix=None if finding.fix is None else _cut(finding.fix),
            related=finding.related,
            severity=Severity.WARNING,
        )
        for rule in RULES
        if rule.id not in disabled
        for finding in islice(rule.check(subject), MAX_PER_RULE)
    }
    return tuple(sorted(found.values(), key=lambda item: item.span.start))


def _cut(text: str) -> str:
    """Return a text of bounded length: a name that a workflow spells may be a megabyte long."""
    return text if len(text) <= _MAX_MESSAGE else text[: _MAX_MESSAGE - 1] + "…"
