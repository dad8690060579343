"""What a run will do, as far as that is known before anything ran: for people, never for the engine.

The engine plans lazily with ``advance``. This outline assumes that every job that runs succeeds, and says so where
the answer hangs on it: matrices and settings that are computed from ``needs`` are told as not known yet.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Final

from terraphim_runner.expressions import Expression, Template, TemplateTree, references
from terraphim_runner.model.ids import JobKey
from terraphim_runner.model.source import Diagnostic
from terraphim_runner.model.states import Conclusion, Status
from terraphim_runner.planning.codec import leg_to_json
from terraphim_runner.planning.conditions import JobState, judge
from terraphim_runner.planning.graph import LegSnapshot, Planned, PlannedLeg, RunSnapshot
from terraphim_runner.planning.legs import plan_legs
from terraphim_runner.planning.outcome import ancestors
from terraphim_runner.planning.scopes import Scope, scope_of_run
from terraphim_runner.planning.sections import sections
from terraphim_runner.workflow.tree import CallJob, Job, Workflow


class Outlook(StrEnum):
    """What is known of a job before the run."""

    RUNS = "runs"
    """If everything before it succeeds."""
    SKIPPED = "skipped"
    UNKNOWN = "unknown"
    """It hangs on what the jobs before it find out."""
    REJECTED = "rejected"
    """Its job-level expressions do not evaluate: it will fail without running."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobOutline:
    """``legs`` is None when they cannot be known yet, or will not be; ``reason`` says why, for people.

    ``key`` and ``needs`` are the run's keys. ``calls`` are the called workflow's jobs for each leg that calls one.
    """

    key: JobKey
    needs: tuple[JobKey, ...]
    outlook: Outlook
    condition: str | None = None
    legs: tuple[Planned, ...] | None = None
    reason: str | None = None
    diagnostics: tuple[Diagnostic, ...] = ()
    calls: tuple["PlanOutline", ...] = ()
    sections: tuple[Mapping[str, Any], ...] = ()
    """Of each leg: its container, services, environment, permissions and defaults, where it has them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanOutline:
    """Jobs come after what they need, else in the file's order."""

    workflow: str
    path: str
    event: str
    jobs: tuple[JobOutline, ...]
    inputs: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Of a called workflow."""

    def render(self) -> str:
        """Return the outline as lines of text."""
        return "\n".join(_render(self, f"on {self.event}"))

    def to_json(self) -> dict[str, Any]:
        """Return the outline as JSON values."""
        return {
            "workflow": self.workflow,
            "path": self.path,
            "event": self.event,
            "inputs": dict(self.inputs),
            "jobs": [_job_to_json(job) for job in self.jobs],
        }


def outline(workflow: Workflow, event_name: str, contexts: Mapping[str, Any]) -> PlanOutline:
    """Return what a run of a valid workflow would do. ``contexts`` hold ``github``, ``inputs`` and ``vars`` as JSON.

    Calls are followed where the workflow is linked.
    """
    scope = scope_of_run(workflow, RunSnapshot(contexts=contexts))
    return _outline(scope, event_name, _Budget(left=MAX_JOBS))


MAX_JOBS: Final = 2000
"""Of one outline: calls of calls multiply."""


@dataclass(slots=True)
class _Budget:
    left: int


def _outline(scope: Scope, event_name: str, budget: _Budget) -> PlanOutline:
    outlined: dict[JobKey, JobOutline] = {}
    for job in _in_order(scope.workflow):
        budget.left -= 1
        outlined[job.key] = _outline_job(scope, job, outlined)
    for key, told in outlined.items():
        calls = [scope.below(LegSnapshot(leg=leg, status=Status.IN_PROGRESS)) for leg in told.legs or ()]
        needed = sum(len(below.workflow.jobs) for below in calls if below is not None)
        if needed and told.outlook is not Outlook.SKIPPED and needed <= budget.left:
            inner = tuple(_outline(below, event_name, budget) for below in calls if below is not None)
            outlined[key] = replace(told, calls=inner)
    return PlanOutline(
        workflow=scope.workflow.title,
        path=scope.workflow.path,
        event=event_name,
        jobs=tuple(outlined.values()),
        inputs=scope.call.inputs if scope.call is not None else {},
    )


def _in_order(workflow: Workflow) -> Iterator[Job]:
    """Yield each job after its needs. A circle, which no valid workflow has, ends the sequence early."""
    pending = list(workflow.jobs.values())
    done: set[JobKey] = set()
    while pending:
        ready = [job for job in pending if all(need.job in done for need in job.needs)]
        if not ready:
            return
        yield from ready
        done.update(job.key for job in ready)
        pending = [job for job in pending if job.key not in done]


def _outline_job(scope: Scope, job: Job, before: Mapping[JobKey, JobOutline]) -> JobOutline:
    workflow, contexts = scope.workflow, scope.contexts
    needs = tuple(scope.key(need.job) for need in job.needs)
    condition = job.condition.source if job.condition is not None else None

    def outlined(outlook: Outlook, reason: str | None = None, **more: Any) -> JobOutline:
        return JobOutline(
            key=scope.key(job.key), needs=needs, condition=condition, outlook=outlook, reason=reason, **more
        )

    above = {key: before[key] for key in ancestors(workflow, job) if key in before}
    if job.condition is not None and _reads_needs([job.condition.expression]):
        return outlined(Outlook.UNKNOWN, f"its 'if' depends on 'needs': {job.condition.source}")
    unknown = next((key for key, item in above.items() if item.outlook is Outlook.UNKNOWN), None)
    results = {key: _assumed(item) for key, item in above.items()}
    verdict = judge(workflow, job, JobState(contexts=contexts, ancestors=results, cancelled=False))
    if verdict.diagnostics:
        return outlined(Outlook.REJECTED, diagnostics=verdict.diagnostics)
    if not verdict.holds:
        return outlined(Outlook.SKIPPED, _why_skipped(job, results))
    computed = _computed_from_needs(job)
    if computed is not None:
        outlook = Outlook.RUNS if unknown is None else Outlook.UNKNOWN
        return outlined(outlook, f"its {computed} depends on 'needs': known when they are complete")
    if isinstance(job, CallJob) and job.key not in workflow.calls:
        return outlined(Outlook.RUNS, f"it calls {job.uses}, which was not fetched")
    planned = plan_legs(scope, job, contexts)
    if planned.diagnostics:
        return outlined(Outlook.REJECTED, diagnostics=planned.diagnostics)
    if not planned.legs:
        return outlined(Outlook.SKIPPED, "its matrix excludes everything", legs=())
    told: dict[str, Any] = {
        "legs": planned.legs,
        "sections": tuple(
            sections(workflow, job, contexts.with_(matrix=leg.matrix or None, strategy=leg.strategy))
            for leg in planned.legs
        ),
    }
    if unknown is not None:
        return outlined(Outlook.UNKNOWN, f"it is not known whether {unknown!r} runs", **told)
    return outlined(Outlook.RUNS, **told)


def _assumed(job: JobOutline) -> Conclusion:
    match job.outlook:
        case Outlook.SKIPPED:
            return Conclusion.SKIPPED
        case Outlook.REJECTED:
            return Conclusion.FAILURE
        case _:
            return Conclusion.SUCCESS


def _why_skipped(job: Job, results: Mapping[JobKey, Conclusion]) -> str:
    stopped = next((key for key, result in results.items() if result is not Conclusion.SUCCESS), None)
    below = "" if stopped is None else f"{stopped!r} does not run or fails"
    if job.condition is None:
        return below
    assumption = " when all jobs before it succeed" if job.needs and stopped is None else ""
    condition = f"its 'if' is false{assumption}: {job.condition.source}"
    return f"{condition} ({below})" if below else condition


def _computed_from_needs(job: Job) -> str | None:
    """Return the first job-level key whose value hangs on ``needs``."""
    strategy = job.strategy
    parts: list[tuple[str, TemplateTree | None]] = [
        ("strategy", strategy.whole if strategy else None),
        ("matrix", strategy.matrix if strategy else None),
        ("fail-fast", strategy.fail_fast if strategy else None),
        ("max-parallel", strategy.max_parallel if strategy else None),
        ("name", job.name),
        ("runs-on", job.runs_on),
        ("timeout-minutes", job.timeout_minutes),
        ("continue-on-error", job.continue_on_error),
        ("cancel-timeout-minutes", job.cancel_timeout_minutes),
        ("environment", job.environment.name if job.environment else None),
        ("concurrency", job.concurrency.group if job.concurrency else None),
        ("with", job.with_ if isinstance(job, CallJob) else None),
    ]
    return next((name for name, part in parts if part is not None and _reads_needs(_expressions(part))), None)


def _expressions(tree: TemplateTree) -> Iterator[Expression]:
    if isinstance(tree, Template):
        yield from tree.expressions
        return
    for item in tree.values() if isinstance(tree, Mapping) else tree:
        yield from _expressions(item)


def _reads_needs(expressions: Iterator[Expression] | list[Expression]) -> bool:
    return any(context == "needs" for expression in expressions for context, _ in references(expression))


def _render(plan: PlanOutline, why: str) -> Iterator[str]:
    count = f"{len(plan.jobs)} job{'' if len(plan.jobs) == 1 else 's'}"
    yield f"{plan.workflow} ({plan.path}) {why}: {count}"
    for job in plan.jobs:
        yield from _render_job(job)


def _render_job(job: JobOutline) -> Iterator[str]:
    after = f", after {', '.join(job.needs)}" if job.needs else ""
    reason = f": {job.reason}" if job.reason else ""
    yield f"  {job.key}{after}: {_summary(job)}{reason}"
    yield from (f"    {diagnostic.headline()}" for diagnostic in job.diagnostics)
    for index, leg in enumerate(job.legs or ()):
        if isinstance(leg, PlannedLeg):
            yield f"    {leg.name}  [{', '.join(leg.labels)}]"
        elif job.calls:
            yield from (f"    {line}" for line in _render(job.calls[index], f"called as {leg.name!r}"))
        else:
            yield f"    {leg.name}"


def _summary(job: JobOutline) -> str:
    if job.legs and job.outlook is Outlook.RUNS:
        return "1 leg" if len(job.legs) == 1 else f"{len(job.legs)} legs"
    return str(job.outlook)


def _legs_to_json(job: JobOutline) -> list[dict[str, Any]] | None:
    if job.legs is None:
        return None
    nothing: dict[str, Any] = {}
    parts = job.sections or (nothing,) * len(job.legs)
    return [{**leg_to_json(leg), **part} for leg, part in zip(job.legs, parts, strict=True)]


def _job_to_json(job: JobOutline) -> dict[str, Any]:
    return {
        "key": job.key,
        "needs": list(job.needs),
        "if": job.condition,
        "outlook": str(job.outlook),
        "reason": job.reason,
        "legs": _legs_to_json(job),
        "diagnostics": [diagnostic.headline() for diagnostic in job.diagnostics],
        "calls": [called.to_json() for called in job.calls],
    }
