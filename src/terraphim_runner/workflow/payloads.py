"""Reading a payload without trusting its shape: what is missing or of another kind counts as absent."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

from terraphim_runner.model.event import Event


def member(payload: Mapping[str, Any], *path: str) -> object:
    """Return what stands at the end of the path, None when there is no such place."""
    value: object = payload
    for key in path:
        if not isinstance(value, dict):
            return None
        value = cast("dict[str, object]", value).get(key)
    return value


def text(payload: Mapping[str, Any], *path: str) -> str | None:
    """Return the string at the end of the path."""
    value = member(payload, *path)
    return value if isinstance(value, str) else None


def boolean(payload: Mapping[str, Any], *path: str) -> bool:
    """Tell whether ``true`` stands at the end of the path."""
    return member(payload, *path) is True


def length(payload: Mapping[str, Any], *path: str) -> int:
    """Return how many items the list at the end of the path has; 0 when there is none."""
    value = member(payload, *path)
    return len(cast("Sequence[object]", value)) if isinstance(value, list | tuple) else 0


def pushed_ref(event: Event) -> str:
    """Return the ref that a push is about. A run for a deletion is for the default branch, its filters are not."""
    if boolean(event.payload, "deleted"):
        return text(event.payload, "ref") or event.ref
    return event.ref
