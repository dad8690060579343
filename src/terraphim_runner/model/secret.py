"""A value that must not be shown."""

from typing import Final

MASK: Final = "***"
"""What stands in a log where a secret stood; GitHub's own choice."""


class Secret:
    """Holds a secret so that printing, formatting, logging or raising it shows ``***``.

    Two secrets are equal when their values are. ``reveal()`` is to be called in exactly
    the place that needs the value. Refuses to be pickled.
    """

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Return the value itself."""
        return self._value

    def __repr__(self) -> str:
        return "Secret(***)"

    def __str__(self) -> str:
        return MASK

    def __format__(self, format_spec: str) -> str:
        return MASK

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)

    def __bool__(self) -> bool:
        return bool(self._value)

    def __reduce__(self) -> tuple[object, ...]:
        raise TypeError("a secret cannot be pickled: pass its name and look the value up again")
