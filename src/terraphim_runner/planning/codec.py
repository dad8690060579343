"""A planned leg as JSON, for whoever stores runs. It owns the stored shape and refuses anything else."""

from collections.abc import Callable, Mapping
from typing import Any, Final, cast

from terraphim_runner.model.ids import JobKey, LegKey
from terraphim_runner.planning.graph import Planned, PlannedCall, PlannedGroup, PlannedLeg
from terraphim_runner.workflow.tree import Queue


class StoredLegError(ValueError):
    """A stored leg is not what ``leg_to_json`` writes."""


def leg_to_json(leg: Planned) -> dict[str, Any]:
    """Return the leg as plain JSON values; ``leg_from_json`` gives back an equal leg."""
    members: dict[str, Any] = {
        "key": leg.key,
        "job": leg.job,
        "name": leg.name,
        "matrix": dict(leg.matrix),
        "strategy": dict(leg.strategy),
        "groups": [
            {"name": group.name, "cancel_in_progress": group.cancel_in_progress, "queue": group.queue.value}
            for group in leg.groups
        ],
    }
    if isinstance(leg, PlannedCall):
        return {**members, "inputs": dict(leg.inputs)}
    return {
        **members,
        "labels": list(leg.labels),
        "timeout_minutes": leg.timeout_minutes,
        "continue_on_error": leg.continue_on_error,
        "environment": leg.environment,
        "cancel_timeout_minutes": leg.cancel_timeout_minutes,
    }


def leg_from_json(value: object) -> Planned:
    """Read a leg back. Raises ``StoredLegError`` that names the first member that is missing or of a wrong kind."""
    members = _object(value, "a stored leg")
    # Legs that were stored before these members were there have none of them.
    older: dict[str, Any] = {"groups": [], "environment": None, "cancel_timeout_minutes": None}
    members = {**older, **members}
    is_call = "inputs" in members
    for name, (is_right, expected) in (_SHARED | (_OF_CALL if is_call else _OF_LEG)).items():
        if name not in members:
            raise StoredLegError(f"a stored leg has no {name!r}; expected {expected}")
        if not is_right(members[name]):
            raise StoredLegError(f"a stored leg's {name!r} is {type(members[name]).__name__}; expected {expected}")
    shared: dict[str, Any] = {
        "key": LegKey(members["key"]),
        "job": JobKey(members["job"]),
        "name": members["name"],
        "matrix": members["matrix"],
        "strategy": members["strategy"],
        "groups": tuple(_group(item) for item in members["groups"]),
    }
    if is_call:
        return PlannedCall(**shared, inputs=members["inputs"])
    return PlannedLeg(
        **shared,
        labels=tuple(members["labels"]),
        timeout_minutes=members["timeout_minutes"],
        continue_on_error=members["continue_on_error"],
        environment=members["environment"],
        cancel_timeout_minutes=members["cancel_timeout_minutes"],
    )


def _group(value: object) -> PlannedGroup:
    members = _object(value, "a stored concurrency group")
    name, cancels, queue = members.get("name"), members.get("cancel_in_progress"), members.get("queue")
    if not isinstance(name, str) or not isinstance(cancels, bool) or queue not in tuple(Queue):
        raise StoredLegError("a stored concurrency group lacks its name, 'cancel_in_progress' or 'queue'")
    return PlannedGroup(name=name, cancel_in_progress=cancels, queue=Queue(queue))


def _object(value: object, what: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise StoredLegError(f"{what} is an object, not {type(value).__name__}")
    return cast("Mapping[str, Any]", value)


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_text_or_none(value: object) -> bool:
    return value is None or isinstance(value, str)


def _is_list(value: object) -> bool:
    return isinstance(value, list)


def _is_texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in cast("list[object]", value))


def _is_object(value: object) -> bool:
    return isinstance(value, dict) and all(isinstance(name, str) for name in cast("dict[object, object]", value))


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_number_or_none(value: object) -> bool:
    return value is None or _is_number(value)


def _is_boolean(value: object) -> bool:
    return isinstance(value, bool)


_Members = dict[str, tuple[Callable[[object], bool], str]]
_SHARED: Final[_Members] = {
    "key": (_is_text, "a string"),
    "job": (_is_text, "a string"),
    "name": (_is_text, "a string"),
    "matrix": (_is_object, "an object"),
    "strategy": (_is_object, "an object"),
    "groups": (_is_list, "a list"),
}
_OF_LEG: Final[_Members] = {
    "labels": (_is_texts, "a list of strings"),
    "timeout_minutes": (_is_number, "a number"),
    "continue_on_error": (_is_boolean, "true or false"),
    "environment": (_is_text_or_none, "a string or nothing"),
    "cancel_timeout_minutes": (_is_number_or_none, "a number or nothing"),
}
_OF_CALL: Final[_Members] = {"inputs": (_is_object, "an object")}
