"""The values of the expression language, and their exchange with plain JSON values.

Arrays and objects are compared by identity, as the language does; numbers are always floats.
"""

from collections.abc import ItemsView, Iterable, Iterator, KeysView, Mapping, Sequence, ValuesView
from typing import Any, Final, cast

from terraphim_runner.expressions.casing import fold
from terraphim_runner.expressions.errors import EvaluationError

MAX_DEPTH: Final = 128
"""How deep arrays and objects may be nested inside each other."""

_EXACT_INTEGERS: Final = 2.0**53


class Array:
    """An ordered list of values that must not be changed after it was made."""

    __slots__ = ("items",)

    def __init__(self, items: "Iterable[Value]" = ()) -> None:
        self.items: tuple[Value, ...] = tuple(items)

    def __len__(self) -> int:
        return len(self.items)

    def __iter__(self) -> "Iterator[Value]":
        return iter(self.items)

    def __getitem__(self, index: int) -> "Value":
        return self.items[index]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({list(self.items)!r})"


class FilteredArray(Array):
    """What ``*`` yields. An index on it is applied to each of its items instead of to itself."""

    __slots__ = ()


class Object:
    """Keys and values in the order they were given in; must not be changed after it was made.

    Keys are found without case; of two keys that differ only in case, the one that is written exactly as
    asked wins, then the first. Of two identical keys the last value wins.
    """

    __slots__ = ("_entries", "_folded")

    def __init__(self, entries: "Mapping[str, Value] | Iterable[tuple[str, Value]]" = ()) -> None:
        self._entries: dict[str, Value] = dict(entries)
        self._folded: dict[str, str] | None = None

    @classmethod
    def merged(cls, entries: "Iterable[tuple[str, Value]]") -> "Object":
        """Return an object in which keys that differ only in case are one: the first spelling with the last value."""
        values: dict[str, Value] = {}
        spellings: dict[str, str] = {}
        for key, value in entries:
            values[spellings.setdefault(fold(key), key)] = value
        merged = cls(values)
        merged._folded = spellings
        return merged

    def _spelling(self, key: str) -> str | None:
        if key in self._entries:
            return key
        folded = self._folded
        if folded is None:
            # Complete before it is seen by another thread; of equal names the first is kept.
            folded = {fold(name): name for name in reversed(self._entries)}
            self._folded = folded
        return folded.get(fold(key))

    def get(self, key: str) -> "Value":
        """Return the key's value; null when there is no such key."""
        spelling = self._spelling(key)
        return None if spelling is None else self._entries[spelling]

    def __getitem__(self, key: str) -> "Value":
        spelling = self._spelling(key)
        if spelling is None:
            raise KeyError(key)
        return self._entries[spelling]

    def __contains__(self, key: str) -> bool:
        return self._spelling(key) is not None

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def keys(self) -> KeysView[str]:
        return self._entries.keys()

    def values(self) -> "ValuesView[Value]":
        return self._entries.values()

    def items(self) -> "ItemsView[str, Value]":
        return self._entries.items()

    def __repr__(self) -> str:
        return f"Object({self._entries!r})"


Value = bool | float | str | Array | Object | None
"""Everything that an expression can evaluate to."""


def from_json(plain: object) -> Value:
    """Return the value of plain JSON data: mappings, sequences, strings, numbers, booleans, None.

    Values pass through. Numbers become floats (an integer beyond their range, an infinity); half surrogate pairs, which
    no file could hold, become U+FFFD. Raises ``EvaluationError`` when nested deeper than ``MAX_DEPTH``, ``TypeError``
    for what is not JSON.
    """
    return _from_json(plain, MAX_DEPTH)


def _from_json(plain: object, depth: int) -> Value:
    match plain:
        case str():
            return well_formed(plain)
        case None | bool() | float() | Array() | Object():
            return plain
        case int():
            return integer(plain)
        case Mapping() | Sequence() if not isinstance(plain, bytes | bytearray | memoryview):
            if depth == 0:
                raise EvaluationError(f"the data is nested more than {MAX_DEPTH} levels deep")
            return _collection(cast("Mapping[object, object] | Sequence[object]", plain), depth - 1)
        case _:
            raise TypeError(f"found a {type(plain).__name__}, expected JSON data")


def _collection(plain: Mapping[object, object] | Sequence[object], depth: int) -> Array | Object:
    if isinstance(plain, Mapping):
        return Object({well_formed(str(key)): _from_json(item, depth) for key, item in plain.items()})
    return Array([_from_json(item, depth) for item in plain])


def integer(number: int) -> float:
    """Return the integer as the language's number; beyond the range of those, an infinity."""
    try:
        return float(number)
    except OverflowError:
        return float("inf") if number > 0 else float("-inf")


def well_formed(text: str) -> str:
    """Return the text with U+FFFD in place of half surrogate pairs, which no file could hold."""
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def to_json(value: Value) -> Any:
    """Return plain Python data. Integral numbers become ``int`` as far as floats are exact (2⁵³); NaN stays a float."""
    match value:
        case Array():
            return [to_json(item) for item in value]
        case Object():
            return {key: to_json(item) for key, item in value.items()}
        case float() if value.is_integer() and abs(value) <= _EXACT_INTEGERS:
            return int(value)
        case _:
            return value


def kind(value: Value) -> str:
    """Return ``null``, ``boolean``, ``number``, ``string``, ``array`` or ``object``."""
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case str():
            return "string"
        case Array():
            return "array"
        case Object():
            return "object"
        case _:
            return "number"
