"""A step and what its expressions see."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar

from terraphim_runner.execution.contexts import Function, evaluate_environment
from terraphim_runner.execution.environment_files import FileCommand
from terraphim_runner.execution.frame import JobFrame
from terraphim_runner.execution.hash_files import with_digests
from terraphim_runner.execution.turns import Turn
from terraphim_runner.expressions import EvaluationError, Scope, render
from terraphim_runner.workflow.references import RemoteAction
from terraphim_runner.workflow.tree import CancelStep, RunStep, Step, UsesStep, WaitAllStep, WaitStep

Result = TypeVar("Result")

_CONTROL_NAMES: dict[type[Step], str] = {WaitStep: "Wait", WaitAllStep: "Wait for all", CancelStep: "Cancel"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """``environment`` holds the step's own ``env:`` too, once evaluated."""

    number: int
    step: Step
    action: str
    """``GITHUB_ACTION``."""
    environment: dict[str, str]

    @classmethod
    def of(cls, frame: JobFrame, turn: Turn) -> "Place":
        """Return the place of a step whose turn it is now."""
        return cls(
            number=turn.number,
            step=turn.step,
            action=_action_name(frame, turn),
            environment={**frame.environment, **frame.state.environment},
        )


async def evaluated(frame: JobFrame, place: Place, evaluate_in: Callable[[Scope], Result]) -> Result:
    """Return what ``evaluate_in`` makes of the step's scope, with ``hashFiles()``. Raises ``EvaluationError``."""
    return await with_digests(frame, lambda hash_files: evaluate_in(_scope(frame, place, hash_files)))


def display_name(frame: JobFrame, place: Place) -> str:
    """Return the step's name as it is shown, masked."""
    return frame.masks.apply(_display_name(frame, place))


def _display_name(frame: JobFrame, place: Place) -> str:
    step = place.step
    name = step.name if step.name is not None and step.name.source else None
    template = name or (step.run if isinstance(step, RunStep) else None)
    if template is None:
        return f"Run {step.uses}" if isinstance(step, UsesStep) else _CONTROL_NAMES.get(type(step), "Run")
    try:
        text = render(template, _scope(frame, place, None) if template.is_literal else _scope_of_name(frame, place))
    except (EvaluationError, KeyError):
        # A name that needs what is not there yet, such as hashFiles(), is shown as it is written.
        text = template.source
    first = next(iter(text.lstrip().splitlines()), "")
    return first if name is not None else f"Run {first}"


def _scope_of_name(frame: JobFrame, place: Place) -> Scope:
    """Return what a name sees: the step's own ``env:`` too, though the step reports its name before anything else."""
    scope = _scope(frame, place, None)
    try:
        own = evaluate_environment(place.step.env, scope)
    except (EvaluationError, KeyError):
        # The step fails with the reason, or needs hashFiles(), which a name does not have.
        return scope
    return _scope(frame, replace(place, environment={**place.environment, **own}), None)


def _scope(frame: JobFrame, place: Place, hash_files: Function | None) -> Scope:
    files = {kind.value: frame.layout.file_command(kind.value, place.number) for kind in FileCommand}
    used = place.step.action if isinstance(place.step, UsesStep) else None
    return frame.contexts.scope(
        state=frame.state,
        env=place.environment,
        action=place.action,
        source=used if isinstance(used, RemoteAction) else None,
        files=files,
        hash_files=hash_files,
    )


def _action_name(frame: JobFrame, turn: Turn) -> str:
    """``GITHUB_ACTION``: the step's id, or the name that GitHub makes up, numbered when it is not the first."""
    if turn.step.id is not None:
        return turn.step.id
    kind = _made_up_name(turn.step)
    earlier = sum(
        1 for other in frame.turns[: turn.number - 1] if other.step.id is None and _made_up_name(other.step) == kind
    )
    return kind if earlier == 0 else f"{kind}_{earlier + 1}"


def _made_up_name(step: Step) -> str:
    if isinstance(step, UsesStep):
        return "__" + step.uses.split("@", 1)[0].replace("/", "_").replace(".", "_")
    return "__" + _CONTROL_NAMES.get(type(step), "run").lower().replace(" ", "_")
