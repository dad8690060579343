"""What a reusable workflow takes and gives back: ``inputs``, ``secrets`` and ``outputs`` of ``workflow_call``."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, cast

from terraphim_runner.expressions import Template, parse_template
from terraphim_runner.model.source import Span
from terraphim_runner.workflow.availability import CALL_INPUT_DEFAULT, CALL_OUTPUT
from terraphim_runner.workflow.tree import Workflow

EVENT: Final = "workflow_call"


class InputType(StrEnum):
    STRING = "string"
    BOOLEAN = "boolean"
    NUMBER = "number"


@dataclass(frozen=True, slots=True, kw_only=True)
class CallInput:
    """``default`` may hold expressions; without one it is an empty string, false or 0."""

    name: str
    type: InputType
    required: bool = False
    default: Template | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """Inputs, secrets (name → whether it is required) and outputs by their names, which compare without case."""

    span: Span
    inputs: Mapping[str, CallInput] = field(default_factory=dict[str, CallInput])
    secrets: Mapping[str, bool] = field(default_factory=dict[str, bool])
    outputs: Mapping[str, Template] = field(default_factory=dict[str, Template])


def signature(workflow: Workflow) -> Signature | None:
    """Return what a valid workflow takes and gives back; None when it cannot be called."""
    trigger = next((item for item in workflow.triggers if item.event == EVENT), None)
    if trigger is None:
        return None
    inputs = _definitions(trigger.settings.get("inputs"))
    secrets = _definitions(trigger.settings.get("secrets"))
    outputs = _definitions(trigger.settings.get("outputs"))
    return Signature(
        span=trigger.span,
        inputs={name: _input(name, definition, trigger.span) for name, definition in inputs.items()},
        secrets={name: definition.get("required") is True for name, definition in secrets.items()},
        outputs={
            name: parse_template(definition["value"], allowed=CALL_OUTPUT, span=trigger.span)
            for name, definition in outputs.items()
            if "value" in definition
        },
    )


def _input(name: str, definition: Mapping[str, Any], span: Span) -> CallInput:
    default = definition.get("default")
    template = None
    if isinstance(default, str):
        template = parse_template(default, allowed=CALL_INPUT_DEFAULT, span=span)
    elif default is not None:
        template = Template.literal(default, span)
    return CallInput(
        name=name,
        type=InputType(definition["type"]),
        required=definition.get("required") is True,
        default=template,
    )


def _definitions(value: object) -> dict[str, Mapping[str, Any]]:
    if not isinstance(value, Mapping):
        return {}
    return {
        name: cast("Mapping[str, Any]", definition) if isinstance(definition, Mapping) else {}
        for name, definition in cast("Mapping[str, object]", value).items()
    }
