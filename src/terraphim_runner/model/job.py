"""Results of steps and jobs, and the lines that they print."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from terraphim_runner.model.states import Conclusion


class LogKind(StrEnum):
    """What a line of a job's log is; GitHub renders all but ``OUTPUT`` specially."""

    OUTPUT = "output"
    COMMAND = "command"
    """Written by the runner itself: what is run, with which environment."""
    GROUP = "group"
    ENDGROUP = "endgroup"
    NOTICE = "notice"
    WARNING = "warning"
    ERROR = "error"
    DEBUG = "debug"


@dataclass(frozen=True, slots=True, kw_only=True)
class LogLine:
    """One line, masked on the host already. ``step`` is the step's number, from 1; 0 is the job itself."""

    at: datetime
    step: int
    text: str
    kind: LogKind = LogKind.OUTPUT


class AnnotationLevel(StrEnum):
    NOTICE = "notice"
    WARNING = "warning"
    FAILURE = "failure"


@dataclass(frozen=True, slots=True, kw_only=True)
class Annotation:
    """What ``::notice``, ``::warning`` and ``::error`` say of a place in the repository."""

    level: AnnotationLevel
    message: str
    step: int
    title: str | None = None
    file: str | None = None
    line: int | None = None
    end_line: int | None = None
    column: int | None = None
    end_column: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StepResult:
    """One step that ended. ``outcome`` is before ``continue-on-error`` was applied, ``conclusion`` after."""

    number: int
    id: str | None
    name: str
    outcome: Conclusion
    conclusion: Conclusion
    started_at: datetime
    completed_at: datetime
    exit_code: int | None = None
    outputs: Mapping[str, str] = field(default_factory=dict[str, str])
    summary: str = ""
    """Markdown that the step wrote to ``GITHUB_STEP_SUMMARY``, masked."""
    error: str | None = None
    """Why it failed when that is not an exit code: a timeout, a bad expression, a missing file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobResult:
    """One leg that ended. ``conclusion`` is before the job's own ``continue-on-error``."""

    conclusion: Conclusion
    started_at: datetime
    completed_at: datetime
    steps: tuple[StepResult, ...] = ()
    outputs: Mapping[str, str] = field(default_factory=dict[str, str])
    annotations: tuple[Annotation, ...] = ()
    error: str | None = None
