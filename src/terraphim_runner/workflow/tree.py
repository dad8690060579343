"""The syntax tree of a workflow file: what the parser makes and planning and execution read.

Frozen; every part knows its place in the file. Text that may contain expressions is a ``Template``, parsed already,
so a syntax error in an expression is a diagnostic of the file and never a surprise while a job runs.

The tree holds the whole language, whether this runner carries it out or not: ``support`` tells what it does not. Where
GitHub takes one expression for a whole section, the section is that ``Template``. A key that is an expression stays as
it is written.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from terraphim_runner.expressions import Expression, Template, TemplateTree
from terraphim_runner.model.ids import JobKey
from terraphim_runner.model.source import Span
from terraphim_runner.workflow.references import ActionReference, WorkflowReference

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


class Queue(StrEnum):
    """How many may wait for a concurrency group: one, the newest, or as many as GitHub lets wait."""

    SINGLE = "single"
    MAX = "max"


@dataclass(frozen=True, slots=True, kw_only=True)
class Concurrency:
    """``concurrency`` of a workflow or a job. The short form, one string, is the group.

    An expression in the short form may yield the whole mapping.
    """

    group: Template
    span: Span
    cancel_in_progress: Template | None = None
    queue: Queue = Queue.SINGLE
    queue_expression: Template | None = None
    """Set when ``queue`` is an expression; the other field says nothing then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """``environment`` of a job. The short form is the name, and an expression there may yield the whole mapping."""

    name: Template
    span: Span
    url: Template | None = None
    deployment: Template | None = None
    """Whether a deployment is recorded; None means that it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    username: Template | None = None
    password: Template | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    """``container`` of a job. The short form is the image, and an expression there may yield the whole mapping."""

    image: Template
    span: Span
    credentials: Credentials | Template | None = None
    env: EnvTemplate = field(default_factory=dict[str, Template])
    ports: tuple[Template, ...] | Template = ()
    volumes: tuple[Template, ...] | Template = ()
    options: Template | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Service(Container):
    """One of ``services``. An image that evaluates to nothing means that it is not started."""

    entrypoint: Template | None = None
    command: Template | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """``snapshot`` of a job: its machine becomes an image of that name once it succeeded."""

    image_name: str
    span: Span
    version: str | None = None
    condition: Condition | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunDefaults:
    """``defaults.run``. ``whole`` is set when all of it is one expression; the other fields are None then."""

    shell: Template | None = None
    working_directory: Template | None = None
    whole: Template | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What every kind of step has. ``id`` is as written; ids compare without case.

    Steps that wait or cancel have no condition and always run; a ``ParallelStep`` has none of this but its steps.
    """

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
    background: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class UsesStep(Step):
    """``uses`` is verbatim: GitHub allows no expression there. ``action`` is what it names."""

    uses: str
    uses_span: Span
    action: ActionReference
    with_: EnvTemplate = field(default_factory=dict[str, Template])
    background: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A step before this one, by its id. One that does not run in the background is nothing to wait for."""

    step: str
    span: Span


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitStep(Step):
    targets: tuple[Target, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitAllStep(Step):
    """Waits for every background step before it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelStep(Step):
    target: Target


@dataclass(frozen=True, slots=True, kw_only=True)
class ParallelStep(Step):
    """Its steps run in the background, and the job waits for them all."""

    steps: tuple[Step, ...]


def all_steps(steps: Iterable[Step]) -> Iterator[Step]:
    """Yield each step that does something, in order; for ``parallel`` those within it."""
    for step in steps:
        if isinstance(step, ParallelStep):
            yield from all_steps(step.steps)
        else:
            yield step


@dataclass(frozen=True, slots=True, kw_only=True)
class Strategy:
    """``matrix`` is the unexpanded tree, ``include`` and ``exclude`` inside; it may be one expression.

    ``whole`` is set when all of ``strategy`` is one expression; the other fields are None then.
    """

    span: Span
    whole: Template | None = None
    matrix: TemplateTree | None = None
    fail_fast: Template | None = None
    max_parallel: Template | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    job: JobKey
    span: Span


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One entry of ``jobs:``; it runs steps unless it is a ``CallJob``.

    ``runs_on`` is a mapping of ``group`` and ``labels`` where a group of runners is asked for, else the labels.
    """

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
    concurrency: Concurrency | None = None
    environment: Environment | None = None
    container: Container | None = None
    services: Mapping[str, Service] | Template = field(default_factory=dict[str, Service])
    snapshot: Snapshot | None = None
    cancel_timeout_minutes: Template | None = None

    @property
    def title(self) -> str:
        """What GitHub calls a job that was never expanded: its name as written, or its key."""
        return self.name.source if self.name is not None else self.key


@dataclass(frozen=True, slots=True, kw_only=True)
class CallJob(Job):
    """A job that calls a reusable workflow: it has no machine and no steps of its own."""

    uses: str
    uses_span: Span
    workflow: WorkflowReference
    runs_on: TemplateTree = ()
    steps: tuple[Step, ...] = ()
    with_: Mapping[str, Template] = field(default_factory=dict[str, Template])
    secrets: Mapping[str, Template] = field(default_factory=dict[str, Template])
    inherits_secrets: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where a called workflow's file comes from: ``ref`` as the caller wrote it, ``sha`` the commit that it meant."""

    repository: str
    ref: str
    sha: str


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
    concurrency: Concurrency | None = None
    origin: Origin | None = None
    """None for a file of the run's own repository at the run's own commit."""
    calls: Mapping[JobKey, "Workflow"] = field(default_factory=dict[JobKey, "Workflow"])
    """What each ``CallJob`` calls, its own calls included. Empty until ``linking`` filled it in."""

    @property
    def title(self) -> str:
        """What GitHub calls the workflow: its name, or its path."""
        return self.name or self.path
