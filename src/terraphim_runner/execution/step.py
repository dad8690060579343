"""One step: its condition, its time, its action, and what its result means for the job.

Documentation: "Workflow syntax", ``jobs.<job_id>.steps``; the order (environment, condition, timeout, action,
``continue-on-error``) is that of actions/runner.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime
from math import isfinite

import anyio

from terraphim_runner.execution.actions.checkout import check_out
from terraphim_runner.execution.cancellation import Cancellation
from terraphim_runner.execution.contexts import Function, evaluate_environment
from terraphim_runner.execution.environment_files import FileCommand
from terraphim_runner.execution.frame import JobFrame
from terraphim_runner.execution.hash_files import with_digests
from terraphim_runner.execution.outcome import Outcome, StepFailure
from terraphim_runner.execution.run_step import Script, run_script
from terraphim_runner.execution.watched import watched
from terraphim_runner.expressions import EvaluationError, Scope, Template, evaluate, is_truthy, kind, render, resolve
from terraphim_runner.model.errors import InfrastructureError
from terraphim_runner.model.job import LogKind, StepResult
from terraphim_runner.model.states import Conclusion
from terraphim_runner.ports import RefusedError
from terraphim_runner.workflow.tree import RunStep, Step, UsesStep

_DEFAULT_TIMEOUT_MINUTES = 360.0
_CHECKOUT = "actions/checkout"
_TIMED_OUT = "timed out"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """A step and what its expressions see: ``environment`` holds the step's own ``env:`` too, once evaluated."""

    number: int
    step: Step
    action: str
    environment: dict[str, str]


async def run_step(frame: JobFrame, number: int, step: Step) -> None:
    """Run or skip the step, report it, and let its result count for the job.

    Raises ``InfrastructureError`` when the machine is gone; the step is reported as failed first.
    """
    started_at = frame.clock.now()
    place = _Place(number=number, step=step, action=_action_name(frame, number, step), environment=_inherited(frame))
    name = frame.masks.apply(await _display_name(frame, place))
    await frame.reporter.step_started(number, name, started_at)
    try:
        outcome = await _outcome(frame, place)
    except StepFailure as failure:
        outcome = await _failed(frame, number, str(failure))
    except RefusedError as refusal:
        outcome = await _failed(frame, number, f"the machine refused: {refusal}")
    except EvaluationError as error:
        outcome = await _failed(frame, number, f"an expression of this step cannot be evaluated: {error}")
    except InfrastructureError as error:
        await _finish(frame, place, name, started_at, await _failed(frame, number, str(error)))
        raise
    await _finish(frame, place, name, started_at, outcome)


async def _outcome(frame: JobFrame, place: _Place) -> Outcome:
    own = await _evaluate(frame, place, lambda scope: evaluate_environment(place.step.env, scope))
    place.environment.update(own)
    if not await _condition(frame, place):
        return Outcome(conclusion=Conclusion.SKIPPED)
    minutes = await _timeout_minutes(frame, place)
    action = await _action(frame, place)
    return await _limited(frame, place, minutes, action)


async def _finish(frame: JobFrame, place: _Place, name: str, started_at: datetime, outcome: Outcome) -> None:
    conclusion = outcome.conclusion
    if conclusion is Conclusion.FAILURE and await _continues(frame, place):
        conclusion = Conclusion.SUCCESS
    result = StepResult(
        number=place.number,
        id=place.step.id,
        name=name,
        outcome=outcome.conclusion,
        conclusion=conclusion,
        started_at=started_at,
        completed_at=frame.clock.now(),
        exit_code=outcome.exit_code,
        outputs=outcome.outputs,
        summary=outcome.summary,
        error=frame.masks.apply(outcome.error) if outcome.error else None,
    )
    frame.state.results.append(result)
    frame.state.failed = frame.state.failed or conclusion is Conclusion.FAILURE
    frame.state.cancelled = frame.state.cancelled or frame.stop.requested
    await frame.reporter.step_completed(shown(frame, result))


def shown(frame: JobFrame, result: StepResult) -> StepResult:
    """The result as it may leave the job: later steps need an output as it is, reports and the store do not."""
    return replace(result, outputs={name: frame.masks.apply(value) for name, value in result.outputs.items()})


async def _failed(frame: JobFrame, number: int, reason: str) -> Outcome:
    await frame.say(number, LogKind.ERROR, reason)
    return Outcome(conclusion=Conclusion.FAILURE, error=reason)


def _inherited(frame: JobFrame) -> dict[str, str]:
    return {**frame.environment, **frame.state.environment}


def _action_name(frame: JobFrame, number: int, step: Step) -> str:
    """``GITHUB_ACTION``: the step's id, or the name that GitHub makes up, numbered when it is not the first."""
    if step.id is not None:
        return step.id
    kind = _made_up_name(step)
    earlier = sum(
        1 for other in frame.request.job.steps[: number - 1] if other.id is None and _made_up_name(other) == kind
    )
    return kind if earlier == 0 else f"{kind}_{earlier + 1}"


def _made_up_name(step: Step) -> str:
    if isinstance(step, UsesStep):
        return "__" + step.uses.split("@", 1)[0].replace("/", "_").replace(".", "_")
    return "__run"


async def _display_name(frame: JobFrame, place: _Place) -> str:
    step = place.step
    name = step.name if step.name is not None and step.name.source else None
    template = name or (step.run if isinstance(step, RunStep) else None)
    if template is None:
        return f"Run {step.uses}" if isinstance(step, UsesStep) else "Run"
    scope = _scope(frame, place, None)
    try:
        text = render(template, scope)
    except (EvaluationError, KeyError):
        # A name that needs what is not there yet, such as hashFiles(), is shown as it is written.
        text = template.source
    first = next(iter(text.lstrip().splitlines()), "")
    return first if name is not None else f"Run {first}"


def _scope(frame: JobFrame, place: _Place, hash_files: Function | None) -> Scope:
    files = {kind.value: frame.layout.file_command(kind.value, place.number) for kind in FileCommand}
    return frame.contexts.scope(
        state=frame.state, env=place.environment, action=place.action, files=files, hash_files=hash_files
    )


async def _evaluate(frame: JobFrame, place: _Place, evaluate_in: Callable[[Scope], dict[str, str]]) -> dict[str, str]:
    return await with_digests(frame, lambda hash_files: evaluate_in(_scope(frame, place, hash_files)))


async def _condition(frame: JobFrame, place: _Place) -> bool:
    """Tell whether the step is to run, given how the job stands at this moment."""
    frame.state.cancelled = frame.state.cancelled or frame.stop.requested
    condition = place.step.condition
    if condition is None:
        return frame.state.status is Conclusion.SUCCESS
    return await with_digests(
        frame, lambda hash_files: is_truthy(evaluate(condition.expression, _scope(frame, place, hash_files)))
    )


async def _timeout_minutes(frame: JobFrame, place: _Place) -> float:
    template = place.step.timeout_minutes
    if template is None:
        return _DEFAULT_TIMEOUT_MINUTES
    value = await with_digests(frame, lambda hash_files: resolve(template, _scope(frame, place, hash_files)))
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
        raise StepFailure(f"timeout-minutes is a value of kind {kind(value)}, expected a number")
    # As with actions/runner, zero and less means no limit of the step's own.
    return float(value) if value > 0 else _DEFAULT_TIMEOUT_MINUTES


async def _continues(frame: JobFrame, place: _Place) -> bool:
    template = place.step.continue_on_error
    if template is None:
        return False
    try:
        value = await with_digests(frame, lambda hash_files: resolve(template, _scope(frame, place, hash_files)))
    except EvaluationError as error:
        await frame.say(place.number, LogKind.ERROR, f"continue-on-error cannot be evaluated: {error}")
        return False
    if not isinstance(value, bool):
        await frame.say(
            place.number, LogKind.ERROR, f"continue-on-error is a value of kind {kind(value)}, expected true or false"
        )
        return False
    return value


Action = Callable[[Cancellation], Awaitable[Outcome]]


async def _action(frame: JobFrame, place: _Place) -> Action:
    step = place.step
    if isinstance(step, RunStep):
        script = await _script(frame, place, step)
        return lambda interrupt: run_script(frame, script, interrupt)
    if isinstance(step, UsesStep) and step.uses.partition("@")[0].lower() == _CHECKOUT:
        inputs = await _evaluate(frame, place, lambda scope: evaluate_environment(step.with_, scope))
        lowered = {name.lower(): value for name, value in inputs.items()}
        await _announce(frame, place, step.uses, lowered)
        return lambda interrupt: _interruptible(lambda: check_out(frame, place.number, lowered), interrupt)
    raise StepFailure(f"found a step that is not supported yet: {getattr(step, 'uses', type(step).__name__)!r}")


async def _script(frame: JobFrame, place: _Place, step: RunStep) -> Script:
    defaults = (frame.request.job.defaults, frame.request.workflow.defaults)
    shell = _first(step.shell, *(item.shell for item in defaults))
    directory = _first(step.working_directory, *(item.working_directory for item in defaults))

    def texts(scope: Scope) -> dict[str, str]:
        wanted = {"run": step.run, "shell": shell, "directory": directory}
        return {name: render(template, scope) for name, template in wanted.items() if template is not None}

    found = await _evaluate(frame, place, texts)
    return Script(
        number=place.number,
        text=found["run"],
        shell=found.get("shell"),
        working_directory=found.get("directory", ""),
        environment=place.environment,
        action=place.action,
    )


def _first(*templates: Template | None) -> Template | None:
    return next((template for template in templates if template is not None), None)


async def _announce(frame: JobFrame, place: _Place, uses: str, inputs: dict[str, str]) -> None:
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


async def _limited(frame: JobFrame, place: _Place, minutes: float, action: Action) -> Outcome:
    """Run the action under the step's own time limit and the job's cancellation."""
    interrupt = Cancellation()

    async def watch_time() -> None:
        await anyio.sleep(minutes * 60)
        interrupt.request(_TIMED_OUT)

    async def watch_job() -> None:
        await frame.stop.wait()
        # A step whose condition still holds in a cancelled job (always(), cancelled()) goes on.
        try:
            goes_on = await _condition(frame, place)
        except (EvaluationError, InfrastructureError):
            goes_on = False
        if not goes_on:
            interrupt.request(frame.stop.reason)

    outcome = await watched(lambda: action(interrupt), watch_time, watch_job)
    if outcome.conclusion is Conclusion.CANCELLED and interrupt.reason == _TIMED_OUT:
        reason = f"the step has timed out after {minutes:g} minutes"
        await frame.say(place.number, LogKind.ERROR, reason)
        return Outcome(
            conclusion=Conclusion.FAILURE,
            exit_code=outcome.exit_code,
            outputs=outcome.outputs,
            summary=outcome.summary,
            error=reason,
        )
    return outcome
