"""The syntax tree of a workflow file: what the parser makes and planning and execution read.

Frozen; every part knows its place in the file. Text that may contain expressions is a ``Template``, parsed already,
so a syntax error in an expression is a diagnostic of the file and never a surprise while a job runs.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from terraphim_runner.expressions import Expression, Template, TemplateTree
from terraphim_runner.model.ids import JobKey
from terraphim_runner.model.source import Span

EnvTemplate = Template | Mapping[str, Template]
"""``env:`` is a mapping, or one expression that yields an object. Names keep the case they were written in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """``branches``, ``branches-ignore``, ``paths`` … of a trigger, in order, ``!`` included."""

    patterns: tuple[str, ...]
    span: Span


@dataclass(frozen=True, slots=True, kw_only=True)
class Trigger:
    """One entry of ``on:``. ``filters`` is keyed by GitHub's names (``branches``, ``tags-ignore``, ``types`` …).

    ``settings`` keeps what else the entry holds as plain values: ``inputs`` of ``workflow_dispatch`` (name →
    definition), ``inputs``, ``outputs`` and ``secrets`` of ``workflow_call``, and ``schedule``, a list of
    ``{"cron", "timezone"}``.
    """

    event: str
    span: Span
    filters: Mapping[str, Filter] = field(default_factory=dict[str, Filter])
    settings: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """An ``if:``. ``expression`` has GitHub's implied ``success() && (…)`` already where it applies."""

    expression: Expression
    source: str
    span: Span


@dataclass(frozen=True, slots=True, kw_only=True)
class RunDefaults:
    """``defaults.run``."""

    shell: Template | None = None
    working_directory: Template | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What every kind of step has. ``id`` is as written; ids compare without case."""

    span: Span
    id: str | None = None
    name: Template | None = None
    condition: Condition | None = None
    """None means ``success()``."""
    env: EnvTemplate = field(default_factory=dict[str, Template])
    continue_on_error: Template | None = None
    timeout_minutes: Template | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStep(Step):
    run: Template
    shell: Template | None = None
    working_directory: Template | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class UsesStep(Step):
    """``uses`` is verbatim: GitHub allows no expression there."""

    uses: str
    uses_span: Span
    with_: EnvTemplate = field(default_factory=dict[str, Template])


@dataclass(frozen=True, slots=True, kw_only=True)
class Strategy:
    """``matrix`` is the unexpanded tree, ``include`` and ``exclude`` inside; the whole may be one expression."""

    span: Span
    matrix: TemplateTree | None = None
    fail_fast: Template | None = None
    max_parallel: Template | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    job: JobKey
    span: Span


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One entry of ``jobs:`` that runs steps."""

    key: JobKey
    span: Span
    runs_on: TemplateTree
    steps: tuple[Step, ...]
    name: Template | None = None
    needs: tuple[Need, ...] = ()
    condition: Condition | None = None
    """None means ``success()``."""
    env: EnvTemplate = field(default_factory=dict[str, Template])
    defaults: RunDefaults = field(default_factory=RunDefaults)
    outputs: Mapping[str, Template] = field(default_factory=dict[str, Template])
    strategy: Strategy | None = None
    timeout_minutes: Template | None = None
    continue_on_error: Template | None = None
    permissions: Mapping[str, str] | None = None

    @property
    def title(self) -> str:
        """What GitHub calls a job that was never expanded: its name as written, or its key."""
        return self.name.source if self.name is not None else self.key


@dataclass(frozen=True, slots=True, kw_only=True)
class Workflow:
    """One valid workflow file."""

    path: str
    source: str
    """The file's text, for excerpts in diagnostics."""
    jobs: Mapping[JobKey, Job]
    triggers: tuple[Trigger, ...]
    name: str | None = None
    run_name: Template | None = None
    env: EnvTemplate = field(default_factory=dict[str, Template])
    defaults: RunDefaults = field(default_factory=RunDefaults)
    permissions: Mapping[str, str] | None = None

    @property
    def title(self) -> str:
        """What GitHub calls the workflow: its name, or its path."""
        return self.name or self.path
