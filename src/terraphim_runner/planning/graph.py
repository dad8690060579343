"""What planning decides: the contract between the pure planner and those who carry its decisions out.

A run is planned lazily. Whoever drives it (a transaction of the engine, or the loop of the local command) keeps a
``RunSnapshot`` in its own form, calls ``advance(workflow, snapshot)`` after every change, carries out the decisions,
and calls again until there are none. ``advance`` is pure and idempotent: the same snapshot gives the same decisions.

The jobs of called workflows are jobs of the run: their keys begin with that of the call (``deploy/build``, and
``deploy/0/build`` for the first leg of a call with a matrix). A call itself runs on no machine: whoever carries out
``Start`` of a ``PlannedCall`` marks it as in progress and nothing else; ``Conclude`` completes it.

``groups`` of a leg are its concurrency groups. A driver that carries out ``Start`` has it wait in each of them first:
the leg is ``pending`` until it is its turn, and ``advance`` does not ask again.

A driver that cannot complete a cancelled leg at once (it runs on some host) records that it asked: ``cancelling``.
Without the mark ``advance`` says ``CancelLeg`` again each time, which is harmless but never ends a "call again" loop.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from terraphim_runner.model.ids import JobKey, LegKey
from terraphim_runner.model.source import Diagnostic
from terraphim_runner.model.states import Conclusion, Status
from terraphim_runner.workflow.tree import Queue


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedGroup:
    """A concurrency group with its expressions evaluated. Names compare without case, within one repository."""

    name: str
    cancel_in_progress: bool = False
    queue: Queue = Queue.SINGLE


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedLeg:
    """One leg of a job, its job-level expressions evaluated. ``codec.leg_to_json`` and ``leg_from_json`` store it."""

    key: LegKey
    job: JobKey
    name: str
    """As GitHub names it: ``build (linux, 3.12)``."""
    labels: tuple[str, ...]
    matrix: Mapping[str, Any]
    strategy: Mapping[str, Any]
    """The ``strategy`` context: fail-fast, job-index, job-total, max-parallel."""
    timeout_minutes: float
    continue_on_error: bool
    groups: tuple[PlannedGroup, ...] = ()
    environment: str | None = None
    """The deployment environment's name."""
    cancel_timeout_minutes: float | None = None
    """What a cancelled job may take to end; None means the host's own limit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedCall:
    """One leg of a job that calls a workflow. ``inputs`` is the ``inputs`` context of the called one, typed."""

    key: LegKey
    job: JobKey
    name: str
    matrix: Mapping[str, Any]
    strategy: Mapping[str, Any]
    inputs: Mapping[str, Any]
    groups: tuple[PlannedGroup, ...] = ()
    continue_on_error: ClassVar[bool] = False


Planned = PlannedLeg | PlannedCall


@dataclass(frozen=True, slots=True, kw_only=True)
class LegSnapshot:
    """How a planned leg stands. ``finished_order`` counts completions in the run, for outputs of matrix legs."""

    leg: Planned
    status: Status
    conclusion: Conclusion | None = None
    outputs: Mapping[str, str] = field(default_factory=dict[str, str])
    finished_order: int = 0
    cancelling: bool = False
    """``CancelLeg`` was carried out already and the leg is on its way out; ``advance`` does not repeat itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobSnapshot:
    """A job that was expanded into legs, or skipped (then it has none and ``skipped`` is true)."""

    legs: tuple[LegSnapshot, ...] = ()
    skipped: bool = False
    failed: bool = False
    """Its expansion failed (``Reject``); it counts as a failure."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSnapshot:
    """How a run stands. ``jobs`` holds those that were expanded, skipped or rejected; others are not planned yet.

    ``contexts`` are the run-wide ones as plain JSON values: ``github``, ``vars``, ``inputs``.
    """

    contexts: Mapping[str, Any]
    jobs: Mapping[JobKey, JobSnapshot] = field(default_factory=dict[JobKey, JobSnapshot])
    cancelled: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Expand:
    """Record these legs, each in state ``waiting``. An empty tuple: the matrix excludes everything."""

    job: JobKey
    legs: tuple[Planned, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Skip:
    """Record the job as skipped; ``reason`` is for people: which need, or which ``if``."""

    job: JobKey
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reject:
    """Record the job as failed without having run: its job-level expressions do not evaluate."""

    job: JobKey
    diagnostics: tuple[Diagnostic, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """Put a waiting leg into the queue, or begin a call. ``needs`` is the context its job will see."""

    leg: LegKey
    needs: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelLeg:
    """Cancel a leg that is not completed: ``reason`` is fail-fast or the run's cancellation."""

    leg: LegKey
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Conclude:
    """Complete a call: every job of the called workflow is. ``diagnostics`` say which output does not evaluate."""

    leg: LegKey
    conclusion: Conclusion
    outputs: Mapping[str, str] = field(default_factory=dict[str, str])
    diagnostics: tuple[Diagnostic, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Finish:
    """Nothing is left to do: record the run's conclusion. Always the only decision."""

    conclusion: Conclusion


Decision = Expand | Skip | Reject | Start | CancelLeg | Conclude | Finish
