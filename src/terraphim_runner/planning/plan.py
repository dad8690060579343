"""What a run will do, as far as that is known before anything ran: for people, never for the engine.

The engine plans lazily with ``advance``. This outline assumes that every job that runs succeeds, and says so where
the answer hangs on it: matrices and settings that are computed from ``needs`` are told as not known yet.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from terraphim_runner.expressions import Expression, Template, TemplateTree, references
from terraphim_runner.model.ids import JobKey
from terraphim_runner.model.source import Diagnostic
from terraphim_runner.model.states import Conclusion
from terraphim_runner.planning.codec import leg_to_json
from terraphim_runner.planning.conditions import JobState, judge
from terraphim_runner.planning.evaluation import Contexts
from terraphim_runner.planning.graph import PlannedLeg
from terraphim_runner.planning.legs import plan_legs
from terraphim_runner.planning.outcome import ancestors
from terraphim_runner.workflow.tree import Job, Workflow


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
    """``legs`` is None when they cannot be known yet, or will not be; ``reason`` says why, for people."""

    key: JobKey
    needs: tuple[JobKey, ...]
    outlook: Outlook
    condition: str | None = None
    legs: tuple[PlannedLeg, ...] | None = None
    reason: str | None = None
    diagnostics: tuple[Diagnostic, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanOutline:
    """Jobs come after what they need, else in the file's order."""

    workflow: str
    path: str
    event: str
    jobs: tuple[JobOutline, ...]

    def render(self) -> str:
        """Return the outline as lines of text."""
        count = f"{len(self.jobs)} job{'' if len(self.jobs) == 1 else 's'}"
        lines = [f"{self.workflow} ({self.path}) on {self.event}: {count}"]
        for job in self.jobs:
            lines += _render_job(job)
        return "\n".join(lines)

    def to_json(self) -> dict[str, Any]:
        """Return the outline as JSON values."""
        return {
            "workflow": self.workflow,
            "path": self.path,
            "event": self.event,
            "jobs": [_job_to_json(job) for job in self.jobs],
        }


def outline(workflow: Workflow, event_name: str, contexts: Mapping[str, Any]) -> PlanOutline:
    """Return what a run of a valid workflow would do. ``contexts`` hold ``github``, ``inputs`` and ``vars`` as JSON."""
    shared = Contexts(contexts)
    outlined: dict[JobKey, JobOutline] = {}
    for job in _in_order(workflow):
        outlined[job.key] = _outline_job(workflow, job, shared, outlined)
    return PlanOutline(workflow=workflow.title, path=workflow.path, event=event_name, jobs=tuple(outlined.values()))


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


def _outline_job(workflow: Workflow, job: Job, contexts: Contexts, before: Mapping[JobKey, JobOutline]) -> JobOutline:
    needs = tuple(need.job for need in job.needs)
    condition = job.condition.source if job.condition is not None else None

    def outlined(outlook: Outlook, reason: str | None = None, **more: Any) -> JobOutline:
        return JobOutline(key=job.key, needs=needs, condition=condition, outlook=outlook, reason=reason, **more)

    above = [before[key] for key in ancestors(workflow, job) if key in before]
    if job.condition is not None and _reads_needs([job.condition.expression]):
        return outlined(Outlook.UNKNOWN, f"its 'if' depends on 'needs': {job.condition.source}")
    unknown = next((item.key for item in above if item.outlook is Outlook.UNKNOWN), None)
    results = {item.key: _assumed(item) for item in above}
    verdict = judge(workflow, job, JobState(contexts=contexts, ancestors=results, cancelled=False))
    if verdict.diagnostics:
        return outlined(Outlook.REJECTED, diagnostics=verdict.diagnostics)
    if not verdict.holds:
        return outlined(Outlook.SKIPPED, _why_skipped(job, results))
    computed = _computed_from_needs(job)
    if computed is not None:
        outlook = Outlook.RUNS if unknown is None else Outlook.UNKNOWN
        return outlined(outlook, f"its {computed} depends on 'needs': known when they are complete")
    planned = plan_legs(workflow, job, contexts)
    if planned.diagnostics:
        return outlined(Outlook.REJECTED, diagnostics=planned.diagnostics)
    if not planned.legs:
        return outlined(Outlook.SKIPPED, "its matrix excludes everything", legs=())
    if unknown is not None:
        return outlined(Outlook.UNKNOWN, f"it is not known whether {unknown!r} runs", legs=planned.legs)
    return outlined(Outlook.RUNS, legs=planned.legs)


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


def _render_job(job: JobOutline) -> Iterator[str]:
    after = f", after {', '.join(job.needs)}" if job.needs else ""
    reason = f": {job.reason}" if job.reason else ""
    yield f"  {job.key}{after}: {_summary(job)}{reason}"
    yield from (f"    {diagnostic.headline()}" for diagnostic in job.diagnostics)
    if job.legs:
        yield from (f"    {leg.name}  [{', '.join(leg.labels)}]" for leg in job.legs)


def _summary(job: JobOutline) -> str:
    if job.legs and job.outlook is Outlook.RUNS:
        return "1 leg" if len(job.legs) == 1 else f"{len(job.legs)} legs"
    return str(job.outlook)


def _job_to_json(job: JobOutline) -> dict[str, Any]:
    return {
        "key": job.key,
        "needs": list(job.needs),
        "if": job.condition,
        "outlook": str(job.outlook),
        "reason": job.reason,
        "legs": None if job.legs is None else [leg_to_json(leg) for leg in job.legs],
        "diagnostics": [diagnostic.headline() for diagnostic in job.diagnostics],
    }
