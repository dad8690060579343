"""One step: its condition, its time, its action, and what its result means for the job.

In three parts, so that a step in the background can be prepared when it is its turn, run beside the others, and take
effect when somebody waits for it: ``prepare``, ``perform`` and ``conclude``, then ``take_effect``.

Documentation: "Workflow syntax", ``jobs.<job_id>.steps``; the order (environment, condition, timeout, action,
``continue-on-error``) is that of actions/runner.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime
from math import isfinite
from typing import TypeVar

import anyio

from terraphim_runner.execution.actions.checkout import check_out
from terraphim_runner.execution.cancellation import Cancellation
from terraphim_runner.execution.contexts import evaluate_environment
from terraphim_runner.execution.frame import JobFrame
from terraphim_runner.execution.outcome import Outcome, StepFailure
from terraphim_runner.execution.place import Place, display_name, evaluated
from terraphim_runner.execution.run_step import Script, run_script
from terraphim_runner.execution.turns import Turn
from terraphim_runner.execution.watched import watched
from terraphim_runner.expressions import (
    EvaluationError,
    Object,
    Scope,
    evaluate,
    is_truthy,
    kind,
    render,
    resolve,
    to_string,
)
from terraphim_runner.model.errors import InfrastructureError
from terraphim_runner.model.job import LogKind, StepResult
from terraphim_runner.model.states import Conclusion
from terraphim_runner.ports import RefusedError
from terraphim_runner.workflow.actions import is_checkout
from terraphim_runner.workflow.tree import RunDefaults, RunStep, UsesStep

_TIMED_OUT = "timed out"
_BROKEN = "an expression of this step cannot be evaluated"

Guarded = TypeVar("Guarded")
Action = Callable[[Cancellation], Awaitable[Outcome]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """A step that was reported as started."""

    place: Place
    name: str
    started_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A step whose condition holds, with everything evaluated that it needs to run."""

    place: Place
    minutes: float | None
    """None: the job's own limit is the only one."""
    action: Action


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """A step that was reported as completed. What its outcome sets has not taken effect yet."""

    result: StepResult
    outcome: Outcome


async def run_step(frame: JobFrame, turn: Turn) -> None:
    """Run or skip the step, report it, and let its result count for the job.

    Raises ``InfrastructureError`` when the machine is gone; the step is reported as failed first.
    """
    begun = await begin(frame, turn)
    trouble: InfrastructureError | None = None

    async def run() -> Outcome:
        prepared = await prepare(frame, begun.place)
        return prepared if isinstance(prepared, Outcome) else await perform(frame, prepared, Cancellation())

    try:
        outcome = await guarded(frame, turn.number, run)
    except InfrastructureError as error:
        outcome, trouble = await failed(frame, turn.number, str(error)), error
    ended = await conclude(frame, begun, outcome)
    take_effect(frame, ended)
    frame.state.failed = frame.state.failed or ended.result.conclusion is Conclusion.FAILURE
    if trouble is not None:
        raise trouble


async def begin(frame: JobFrame, turn: Turn) -> Begun:
    """Report that the step starts now."""
    place = Place.of(frame, turn)
    begun = Begun(place=place, name=display_name(frame, place), started_at=frame.clock.now())
    await frame.reporter.step_started(turn.number, begun.name, begun.started_at)
    return begun


async def guarded(frame: JobFrame, number: int, run: Callable[[], Awaitable[Guarded]]) -> Guarded | Outcome:
    """Return what ``run`` returns, or the failure that it came to. Raises ``InfrastructureError``."""
    try:
        return await run()
    except StepFailure as failure:
        return await failed(frame, number, str(failure))
    except RefusedError as refusal:
        return await failed(frame, number, f"the machine refused: {refusal}")
    except EvaluationError as error:
        return await failed(frame, number, f"{_BROKEN}: {error}")


async def prepare(frame: JobFrame, place: Place) -> Prepared | Outcome:
    """Evaluate all that the step needs, as the job stands now; its outcome at once when it is skipped.

    An ``env`` or ``if`` that does not evaluate fails the step, and ``continue-on-error`` does not help: as with
    actions/runner, the step never began. Raises ``StepFailure``, ``EvaluationError`` and ``InfrastructureError``.
    """
    try:
        own = await evaluated(frame, place, lambda scope: evaluate_environment(place.step.env, scope))
        place.environment.update(own)
        holds = await _condition(frame, place)
    except EvaluationError as error:
        return replace(await failed(frame, place.number, f"{_BROKEN}: {error}"), may_continue=False)
    if not holds:
        return Outcome(conclusion=Conclusion.SKIPPED)
    minutes = await _timeout_minutes(frame, place)
    return Prepared(place=place, minutes=minutes, action=await _action(frame, place))


async def conclude(frame: JobFrame, begun: Begun, outcome: Outcome) -> Ended:
    """Apply ``continue-on-error`` and report the result."""
    conclusion = outcome.conclusion
    if conclusion is Conclusion.FAILURE and outcome.may_continue and await _continues(frame, begun.place):
        conclusion = Conclusion.SUCCESS
    result = StepResult(
        number=begun.place.number,
        id=begun.place.step.id,
        name=begun.name,
        outcome=outcome.conclusion,
        conclusion=conclusion,
        started_at=begun.started_at,
        completed_at=frame.clock.now(),
        exit_code=outcome.exit_code,
        outputs=outcome.outputs,
        summary=outcome.summary,
        error=frame.masks.apply(outcome.error) if outcome.error else None,
    )
    await frame.reporter.step_completed(shown(frame, result))
    return Ended(result=result, outcome=outcome)


def take_effect(frame: JobFrame, ended: Ended) -> None:
    """Let the steps after this one see what it set. Whether its failure counts is the caller's business."""
    state = frame.state
    state.environment |= ended.outcome.environment
    # A directory that was added before moves to the front of PATH, as with actions/runner.
    newest_first = dict.fromkeys([*reversed(ended.outcome.paths), *reversed(state.paths)])
    state.paths = [*reversed(newest_first)]
    state.results.append(ended.result)
    state.cancelled = state.cancelled or frame.stop.requested


def shown(frame: JobFrame, result: StepResult) -> StepResult:
    """The result as it may leave the job: later steps need an output as it is, reports and the store do not."""
    return replace(result, outputs={name: frame.masks.apply(value) for name, value in result.outputs.items()})


async def failed(frame: JobFrame, number: int, reason: str) -> Outcome:
    """Tell why the step fails, and return that."""
    await frame.say(number, LogKind.ERROR, reason)
    return Outcome(conclusion=Conclusion.FAILURE, error=reason)


async def _condition(frame: JobFrame, place: Place) -> bool:
    """Tell whether the step is to run, given how the job stands at this moment."""
    frame.state.cancelled = frame.state.cancelled or frame.stop.requested
    condition = place.step.condition
    if condition is None:
        return frame.state.status is Conclusion.SUCCESS
    return await evaluated(frame, place, lambda scope: is_truthy(evaluate(condition.expression, scope)))


async def _timeout_minutes(frame: JobFrame, place: Place) -> float | None:
    """Return the step's own limit. One that is broken is an error in the log, and the step runs without."""
    template = place.step.timeout_minutes
    if template is None:
        return None
    try:
        value = await evaluated(frame, place, lambda scope: resolve(template, scope))
    except EvaluationError as error:
        await frame.say(place.number, LogKind.ERROR, f"timeout-minutes cannot be evaluated: {error}")
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
        reason = f"timeout-minutes is a value of kind {kind(value)}, expected a number"
        await frame.say(place.number, LogKind.ERROR, reason)
        return None
    # As with actions/runner, zero and less means no limit of the step's own.
    return float(value) if value > 0 else None


async def _continues(frame: JobFrame, place: Place) -> bool:
    template = place.step.continue_on_error
    if template is None:
        return False
    try:
        value = await evaluated(frame, place, lambda scope: resolve(template, scope))
    except EvaluationError as error:
        await frame.say(place.number, LogKind.ERROR, f"continue-on-error cannot be evaluated: {error}")
        return False
    if not isinstance(value, bool):
        await frame.say(
            place.number, LogKind.ERROR, f"continue-on-error is a value of kind {kind(value)}, expected true or false"
        )
        return False
    return value


async def _action(frame: JobFrame, place: Place) -> Action:
    step = place.step
    if isinstance(step, RunStep):
        script = await _script(frame, place, step)
        return lambda interrupt: run_script(frame, script, interrupt)
    if isinstance(step, UsesStep) and is_checkout(step.action):
        inputs = await evaluated(frame, place, lambda scope: evaluate_environment(step.with_, scope))
        lowered = {name.lower(): value for name, value in inputs.items()}
        await _announce(frame, place, step.uses, lowered)
        return lambda interrupt: _interruptible(lambda: check_out(frame, place.number, lowered), interrupt)
    raise StepFailure(f"found a step that is not supported yet: {getattr(step, 'uses', type(step).__name__)!r}")


async def _script(frame: JobFrame, place: Place, step: RunStep) -> Script:
    def texts(scope: Scope) -> dict[str, str]:
        own = {"run": step.run, "shell": step.shell, "working-directory": step.working_directory}
        below = (_defaults(frame.request.workflow.defaults, scope), _defaults(frame.request.job.defaults, scope))
        return below[0] | below[1] | {name: render(value, scope) for name, value in own.items() if value is not None}

    found = await evaluated(frame, place, texts)
    return Script(
        number=place.number,
        text=found["run"],
        shell=found.get("shell"),
        working_directory=found.get("working-directory", ""),
        environment=place.environment,
        action=place.action,
        paths=tuple(frame.state.paths),
    )


def _defaults(defaults: RunDefaults, scope: Scope) -> dict[str, str]:
    """Return ``defaults.run``; raises ``EvaluationError`` when one expression for all of it yields no object."""
    parts = {"shell": defaults.shell, "working-directory": defaults.working_directory}
    if defaults.whole is None:
        return {name: render(template, scope) for name, template in parts.items() if template is not None}
    found = resolve(defaults.whole, scope)
    if found is not None and not isinstance(found, Object):
        raise EvaluationError(f"found a value of kind {kind(found)} as 'defaults.run', expected an object")
    values = {} if found is None else {name: found.get(name) for name in parts}
    return {name: to_string(value) for name, value in values.items() if value is not None}


async def _announce(frame: JobFrame, place: Place, uses: str, inputs: dict[str, str]) -> None:
    lines = [f"Run {uses}"]
    for title, values in (("with:", inputs), ("env:", place.environment)):
        lines += [title, *(f"  {name}: {value}" for name, value in values.items())] if values else []
    await frame.say(place.number, LogKind.GROUP, lines[0])
    if lines[1:]:
        await frame.say(place.number, LogKind.COMMAND, "\n".join(lines[1:]))
    await frame.say(place.number, LogKind.ENDGROUP, "")


async def _interruptible(action: Callable[[], Awaitable[Outcome]], interrupt: Cancellation) -> Outcome:
    """Run what has no process to signal; an interrupt ends it at once."""
    scope = anyio.CancelScope()

    async def stop() -> None:
        await interrupt.wait()
        scope.cancel()

    async def act() -> Outcome:
        with scope:
            return await action()
        return Outcome(conclusion=Conclusion.CANCELLED, error=interrupt.reason)

    return await watched(act, stop)


async def perform(frame: JobFrame, prepared: Prepared, interrupt: Cancellation) -> Outcome:
    """Run the action under the step's own time limit, the job's cancellation, and ``interrupt``.

    Raises ``StepFailure``, ``RefusedError`` and ``InfrastructureError``.
    """
    place, minutes = prepared.place, prepared.minutes

    async def watch_time() -> None:
        await (anyio.sleep_forever() if minutes is None else anyio.sleep(minutes * 60))
        interrupt.request(_TIMED_OUT)

    outcome = await watched(
        lambda: prepared.action(interrupt), watch_time, lambda: stop_with_job(frame, place, interrupt)
    )
    if outcome.conclusion is Conclusion.CANCELLED and interrupt.reason == _TIMED_OUT and minutes is not None:
        reason = f"the step has timed out after {minutes:g} minutes"
        await frame.say(place.number, LogKind.ERROR, reason)
        return replace(outcome, conclusion=Conclusion.FAILURE, error=reason)
    return outcome


async def stop_with_job(frame: JobFrame, place: Place, interrupt: Cancellation) -> None:
    """Interrupt the step once the job is cancelled, unless its condition still holds then (``always()``)."""
    await frame.stop.wait()
    try:
        goes_on = await _condition(frame, place)
    except (EvaluationError, InfrastructureError):
        goes_on = False
    if not goes_on:
        interrupt.request(frame.stop.reason)
