"""The inputs of a run that somebody started by hand (``workflow_dispatch``): declared, checked, typed.

https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-syntax#onworkflow_dispatchinputs
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf, isfinite
from typing import Any, Final, cast

from terraphim_runner.expressions.coercion import to_number, to_string
from terraphim_runner.model.event import Event
from terraphim_runner.workflow.tree import Workflow

MAX_INPUTS_LENGTH: Final = 65_535
"""GitHub's limit for the values of one dispatch."""

_EVENT: Final = "workflow_dispatch"


@dataclass(frozen=True, slots=True, kw_only=True)
class DispatchInputs:
    """``values`` is the ``inputs`` context, ``texts`` is ``github.event.inputs``.

    Both are texts, but for booleans in ``values``: of a dispatch GitHub gives a number as the text it was sent as.
    ``problems`` are sentences for the person who started the run; with any of them the run must not begin.
    """

    values: Mapping[str, Any] = field(default_factory=dict[str, Any])
    texts: Mapping[str, str] = field(default_factory=dict[str, str])
    problems: tuple[str, ...] = ()


def dispatch_inputs(workflow: Workflow, event: Event) -> DispatchInputs:
    """Return what the workflow's declared inputs are in this event; nothing for every other kind of event.

    Names compare without case. A missing optional input is its default, else ``false``, an empty string, or the first
    of its options.
    """
    if event.name != _EVENT:
        return DispatchInputs()
    given = {name.lower(): (name, value) for name, value in _mapping(event.payload.get("inputs")).items()}
    declared = _declared(workflow)
    values: dict[str, Any] = {}
    texts: dict[str, str] = {}
    problems: list[str] = []
    for name, settings in declared.items():
        _, found = given.pop(name.lower(), (name, None))
        text = _as_text(settings.get("default") if found is None else found)
        if not text and settings.get("required") is True:
            problems.append(f"input {name!r} is required; expected a value for it")
            continue
        typed, problem = _typed(name, text, settings)
        if problem:
            problems.append(problem)
            continue
        values[name] = typed
        texts[name] = _as_text(typed)
    length = sum(len(text) for text in texts.values())
    if length > MAX_INPUTS_LENGTH:
        problems.append(f"the inputs have {length} characters together; expected at most {MAX_INPUTS_LENGTH}")
    known = ", ".join(repr(name) for name in declared) or "none"
    problems += [f"unknown input {name!r}; the workflow declares {known}" for name, _ in given.values()]
    return DispatchInputs(values=values, texts=texts, problems=tuple(problems))


def _declared(workflow: Workflow) -> dict[str, Mapping[str, Any]]:
    for trigger in workflow.triggers:
        if trigger.event == _EVENT:
            return {name: _mapping(settings) for name, settings in _mapping(trigger.settings.get("inputs")).items()}
    return {}


def _typed(name: str, text: str, settings: Mapping[str, Any]) -> tuple[Any, str | None]:
    match settings.get("type", "string"):
        case "boolean":
            return _boolean(name, text)
        case "number":
            return _number(name, text)
        case "choice":
            return _choice(name, text, settings)
        case _:
            return text, None


def _boolean(name: str, text: str) -> tuple[Any, str | None]:
    if text.lower() not in {"", "true", "false"}:
        return None, f"input {name!r} is {text!r}; expected true or false"
    return text.lower() == "true", None


def _number(name: str, text: str) -> tuple[Any, str | None]:
    if not isfinite(to_number(text)):
        return None, f"input {name!r} is {text!r}; expected a number"
    return text, None


def _choice(name: str, text: str, settings: Mapping[str, Any]) -> tuple[Any, str | None]:
    options = settings.get("options")
    offered = (
        [_as_text(option) for option in cast("list[object]", options)] if isinstance(options, list | tuple) else []
    )
    if not text and offered:
        # GitHub's form has the first option selected.
        return offered[0], None
    if text not in offered:
        return None, f"input {name!r} is {text!r}; expected one of {', '.join(map(repr, offered))}"
    return text, None


def _as_text(value: object) -> str:
    """Return a value as the language writes it. Defaults are YAML's, and a payload may hold any JSON."""
    match value:
        case str():
            return value
        case bool() | None:
            return to_string(value)
        case int() | float():
            try:
                return to_string(float(value))
            except OverflowError:
                return to_string(inf if value > 0 else -inf)
        case _:
            return "Array" if isinstance(value, list) else "Object"


def _mapping(value: object) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", value) if isinstance(value, Mapping) else {}
