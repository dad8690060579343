"""What the action of a step came to, before the step's own rules are applied."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from terraphim_runner.model.states import Conclusion


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """``conclusion`` is success, failure, cancelled or skipped. ``error`` says why where an exit code does not.

    ``environment`` and ``paths`` are what it adds for the steps after it, oldest first.
    """

    conclusion: Conclusion
    exit_code: int | None = None
    outputs: Mapping[str, str] = field(default_factory=dict[str, str])
    summary: str = ""
    error: str | None = None
    may_continue: bool = True
    """Whether ``continue-on-error`` applies, should it be a failure."""
    environment: Mapping[str, str] = field(default_factory=dict[str, str])
    paths: tuple[str, ...] = ()


class StepFailure(Exception):  # noqa: N818 - a result on its way up, not trouble of ours
    """The step fails with this text, which may hold secrets: mask it before showing it."""
