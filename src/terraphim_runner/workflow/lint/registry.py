"""Every rule. To add one, write its module and name it here."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from terraphim_runner.workflow.lint import (
    broken_action,
    deprecated_command,
    deprecated_input,
    fork_checkout,
    fork_secret,
    missing_action,
    missing_input,
    missing_timeout,
    script_injection,
    unknown_input,
    unknown_step,
    unpinned_action,
    unreachable_job,
    unset_output,
)
from terraphim_runner.workflow.lint.subject import Finding, Subject


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """``id`` switches it off; ``summary`` is one line, ``docs`` its module's whole explanation."""

    id: str
    summary: str
    docs: str
    check: Callable[[Subject], Iterator[Finding]]


RULES: Final = tuple(
    Rule(id=module.ID, summary=module.SUMMARY, docs=module.__doc__ or "", check=module.check)
    for module in (
        broken_action,
        deprecated_command,
        deprecated_input,
        fork_checkout,
        fork_secret,
        missing_action,
        missing_input,
        missing_timeout,
        script_injection,
        unknown_input,
        unknown_step,
        unpinned_action,
        unreachable_job,
        unset_output,
    )
)
"""In the order of their ids."""
