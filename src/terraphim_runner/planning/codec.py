"""A planned leg as JSON, for whoever stores runs. It owns the stored shape and refuses anything else."""

from collections.abc import Callable, Mapping
from typing import Any, Final, cast

from terraphim_runner.model.ids import JobKey, LegKey
from terraphim_runner.planning.graph import PlannedLeg


class StoredLegError(ValueError):
    """A stored leg is not what ``leg_to_json`` writes."""


def leg_to_json(leg: PlannedLeg) -> dict[str, Any]:
    """Return the leg as plain JSON values; ``leg_from_json`` gives back an equal leg."""
    return {
        "key": leg.key,
        "job": leg.job,
        "name": leg.name,
        "labels": list(leg.labels),
        "matrix": dict(leg.matrix),
        "strategy": dict(leg.strategy),
        "timeout_minutes": leg.timeout_minutes,
        "continue_on_error": leg.continue_on_error,
    }


def leg_from_json(value: object) -> PlannedLeg:
    """Read a leg back. Raises ``StoredLegError`` that names the first member that is missing or of a wrong kind."""
    if not isinstance(value, Mapping):
        raise StoredLegError(f"a stored leg is an object, not {type(value).__name__}")
    members = cast("Mapping[str, Any]", value)
    for name, (is_right, expected) in _MEMBERS.items():
        if name not in members:
            raise StoredLegError(f"a stored leg has no {name!r}; expected {expected}")
        if not is_right(members[name]):
            raise StoredLegError(f"a stored leg's {name!r} is {type(members[name]).__name__}; expected {expected}")
    return PlannedLeg(
        key=LegKey(members["key"]),
        job=JobKey(members["job"]),
        name=members["name"],
        labels=tuple(members["labels"]),
        matrix=members["matrix"],
        strategy=members["strategy"],
        timeout_minutes=members["timeout_minutes"],
        continue_on_error=members["continue_on_error"],
    )


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in cast("list[object]", value))


def _is_object(value: object) -> bool:
    return isinstance(value, dict) and all(isinstance(name, str) for name in cast("dict[object, object]", value))


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_boolean(value: object) -> bool:
    return isinstance(value, bool)


_MEMBERS: Final[dict[str, tuple[Callable[[object], bool], str]]] = {
    "key": (_is_text, "a string"),
    "job": (_is_text, "a string"),
    "name": (_is_text, "a string"),
    "labels": (_is_texts, "a list of strings"),
    "matrix": (_is_object, "an object"),
    "strategy": (_is_object, "an object"),
    "timeout_minutes": (_is_number, "a number"),
    "continue_on_error": (_is_boolean, "true or false"),
}
