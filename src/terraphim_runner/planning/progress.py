"""``advance``: from how a run stands to what has to happen next. The heart of planning; pure and deterministic."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from terraphim_runner.model.ids import JobKey
from terraphim_runner.model.states import Conclusion, Status
from terraphim_runner.planning.calls import conclude, input_bytes
from terraphim_runner.planning.conditions import JobState, judge
from terraphim_runner.planning.graph import (
    CancelLeg,
    Decision,
    Expand,
    Finish,
    JobSnapshot,
    LegSnapshot,
    Planned,
    PlannedCall,
    Reject,
    RunSnapshot,
    Skip,
    Start,
)
from terraphim_runner.planning.legs import plan_legs
from terraphim_runner.planning.outcome import (
    FAILURES,
    ancestor_results,
    needs_are_complete,
    needs_context,
    run_conclusion,
)
from terraphim_runner.planning.scopes import Scope, scope_of_run
from terraphim_runner.workflow.tree import Job, Workflow


def advance(workflow: Workflow, run: RunSnapshot) -> tuple[Decision, ...]:
    """Return what to do now; nothing while only running legs can change anything; ``Finish`` when all is done.

    The same snapshot gives the same decisions, and a decision that was carried out is not given again. ``Finish`` comes
    alone. The rules, from GitHub's documentation unless another source stands beside them:

    - A job is considered as soon as all its direct needs are complete: completed, skipped or rejected. There are no
      stages. Without an ``if`` it is ``success()``.
    - ``success()`` is true when every *ancestor*, direct or not, succeeded and the run is not cancelled: one that was
      skipped far up the graph skips everything below it that has no status function in its ``if``
      (https://github.com/actions/runner/issues/491 and /2205). ``failure()`` is true when any ancestor failed
      (https://docs.github.com/en/actions/reference/workflows-and-actions/expressions#failure). ``cancelled()`` is about
      the run. Given job keys as arguments, ``success`` and ``failure`` look at those ancestors only.
    - A leg that failed under ``continue-on-error`` counts as a success for dependents, siblings and the run.
    - The matrix is expanded when the needs are complete, for it may be computed from their outputs. A matrix that
      excludes everything runs nothing: the job counts as skipped.
    - ``fail-fast`` (the default) cancels the other legs of a job when one fails, unless that one may fail.
      ``max-parallel`` bounds how many legs of a job are queued or running together.
    - When the run is cancelled, the ``if`` of every job that is not complete is evaluated once more. Legs are cancelled
      where it is false (https://docs.github.com/en/actions/reference/workflow-cancellation-reference); jobs with
      ``always()`` or ``cancelled()`` go on, or still start when their needs are complete.
    - The run failed when a job failed; else it was cancelled when it or a job was; else it is a success, or skipped
      when every job was.
    - A call begins when it is its turn, and its jobs follow the same rules among themselves. It is complete when they
      are, with the conclusion that a run of them would have; when it is cancelled, they are, as those of a run.

    Raises ``ValueError`` when the needs form a circle, which no valid workflow does.
    """
    scope = scope_of_run(workflow, run)
    decisions = _advance(scope, _Room())
    if decisions or _has_active(scope):
        return tuple(decisions)
    return (Finish(conclusion=run_conclusion(scope.run.jobs, cancelled=run.cancelled)),)


@dataclass(slots=True)
class _Room:
    """What may still be planned at once. Once it is full, what was decided is carried out before anything else is.

    Whoever may have a run of a certain size only would else plan a hundred times as much first, and refuse it then.
    """

    left_bytes: int = 32 * 1024 * 1024

    @property
    def is_full(self) -> bool:
        return self.left_bytes <= 0

    def take(self, legs: Sequence[Planned]) -> None:
        for leg in legs:
            self.left_bytes -= 1024 + (input_bytes(leg.inputs) if isinstance(leg, PlannedCall) else 0)


def _advance(scope: Scope, room: _Room) -> list[Decision]:
    """Decide about the jobs of one workflow, and about those of the workflows that it calls.

    Nothing is decided only where there is nothing to decide, or the room was full before.
    """
    decisions: list[Decision] = []
    for job in scope.workflow.jobs.values():
        if room.is_full:
            break
        snapshot = scope.run.jobs.get(job.key)
        if snapshot is not None:
            decisions += _drive(scope, job, snapshot)
            for leg in snapshot.legs:
                decisions += _call(scope, leg, room)
        elif needs_are_complete(job, scope.run):
            decision = _consider(scope, job)
            decisions.append(decision)
            if isinstance(decision, Expand):
                room.take(decision.legs)
    return decisions


def _call(scope: Scope, leg: LegSnapshot, room: _Room) -> list[Decision]:
    """Decide about the workflow that a leg calls, once it has begun."""
    if room.is_full:
        return []
    below = scope.below(leg) if leg.status is Status.IN_PROGRESS else None
    if below is None or below.call is None:
        return []
    return _advance(below, room) or ([] if _has_active(below) else [conclude(below, below.call)])


def _has_active(scope: Scope) -> bool:
    """Tell whether anything of a workflow about which nothing is to be decided now is still on its way."""
    if any(_is_active(leg) for job in scope.run.jobs.values() for leg in job.legs):
        return True
    stuck = [key for key in scope.workflow.jobs if key not in scope.run.jobs]
    if stuck:
        raise ValueError(f"the needs of {', '.join(map(repr, stuck))} can never be complete: not a valid workflow")
    return False


def _is_active(leg: LegSnapshot) -> bool:
    return leg.status is not Status.COMPLETED


def _state(scope: Scope, job: Job) -> JobState:
    return JobState(
        contexts=scope.contexts.with_(needs=needs_context(job, scope.run)),
        ancestors=ancestor_results(scope.workflow, job, scope.run),
        cancelled=scope.run.cancelled,
    )


def _consider(scope: Scope, job: Job) -> Expand | Skip | Reject:
    """Decide about a job whose needs are complete and about which nothing is recorded yet."""
    key = scope.key(job.key)
    state = _state(scope, job)
    verdict = judge(scope.workflow, job, state)
    if verdict.diagnostics:
        return Reject(job=key, diagnostics=verdict.diagnostics)
    if not verdict.holds:
        return Skip(job=key, reason=scope.why_cancelled if state.cancelled else _why_skipped(job, state))
    planned = plan_legs(scope, job, state.contexts)
    if planned.diagnostics:
        return Reject(job=key, diagnostics=planned.diagnostics)
    return Expand(job=key, legs=planned.legs)


def _drive(scope: Scope, job: Job, snapshot: JobSnapshot) -> Iterator[Decision]:
    """Start and cancel legs of a job that was expanded."""
    active = [leg for leg in snapshot.legs if _is_active(leg)]
    if not active:
        return
    reason = _fail_fast(snapshot)
    # An `if` that does not evaluate any more keeps nothing alive.
    if reason is None and scope.run.cancelled and not judge(scope.workflow, job, _state(scope, job)).holds:
        reason = scope.why_cancelled
    if reason is not None:
        yield from (CancelLeg(leg=leg.leg.key, reason=reason) for leg in active if not leg.cancelling)
        return
    waiting = [leg for leg in active if leg.status is Status.WAITING and not leg.cancelling]
    free = _max_parallel(snapshot.legs) - sum(leg.status is not Status.WAITING for leg in active)
    if waiting and free > 0:
        needs = needs_context(job, scope.run)
        yield from (Start(leg=leg.leg.key, needs=needs) for leg in waiting[:free])


def _max_parallel(legs: Sequence[LegSnapshot]) -> int:
    return max(1, int(legs[0].leg.strategy.get("max-parallel") or len(legs)))


def _fail_fast(snapshot: JobSnapshot) -> str | None:
    failed = next((leg for leg in snapshot.legs if _fails_fast(leg)), None)
    return None if failed is None else f"fail-fast: {failed.leg.name!r} failed"


def _fails_fast(leg: LegSnapshot) -> bool:
    return (
        not _is_active(leg)
        and (leg.conclusion or Conclusion.FAILURE) in FAILURES
        and not leg.leg.continue_on_error
        and bool(leg.leg.strategy.get("fail-fast", True))
    )


def _why_skipped(job: Job, state: JobState) -> str:
    blocking = next(
        ((key, result) for key, result in state.ancestors.items() if result is not Conclusion.SUCCESS), None
    )
    blocked = f"{_described(job, *blocking)}" if blocking else ""
    if job.condition is None:
        return blocked or "its needs did not succeed"
    condition = f"its 'if' is false: {job.condition.source}"
    return f"{condition} ({blocked})" if blocked else condition


def _described(job: Job, key: JobKey, result: Conclusion) -> str:
    words = {Conclusion.FAILURE: "failed", Conclusion.CANCELLED: "was cancelled", Conclusion.SKIPPED: "was skipped"}
    direct = any(need.job == key for need in job.needs)
    return f"it needs {key!r}, which {words[result]}" if direct else f"{key!r}, which its needs need, {words[result]}"
