"""``strategy.matrix`` → its legs: the product of the vectors, less ``exclude``, plus ``include``.

Works on an evaluated matrix and knows nothing of jobs. The rules are those of
https://docs.github.com/en/actions/how-tos/write-workflows/choose-what-workflows-do/run-job-variations and, where that
is silent, of GitHub's open-source workflow converter: filters compare leaf by leaf with the language's loose ``==``,
``exclude`` may only name vectors, and a leg is named by what was in it before ``include`` added values to it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice, product
from math import isfinite, prod
from typing import Any, Final

from terraphim_runner.expressions import Array, Object, Value, equals, kind, to_json, to_string

MAX_LEGS: Final = 256
"""GitHub's limit for one matrix."""

MAX_COMBINATIONS: Final = 16_384
"""Of the vectors, before ``exclude``: keeps a hostile matrix from filling the memory."""

MAX_COMPARISONS: Final = 1_000_000
"""Combinations times values in filters: keeps one from taking minutes."""

MAX_SIZE_BYTES: Final = 4 * 1024 * 1024
"""Of all legs' values together, roughly: each leg is stored with its own copy."""


class MatrixError(Exception):
    """The matrix has no meaning; the text is one lower-case sentence: what was found, what was expected."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Combination:
    """One leg's values, as JSON, and the words that tell it from its siblings in its name."""

    values: dict[str, Any]
    words: tuple[str, ...]


def expand(matrix: Value) -> tuple[Combination, ...]:
    """Return the legs in GitHub's order: the first vector varies slowest, unmatched includes come last.

    Empty when ``exclude`` removes everything. Values keep their kinds. Raises ``MatrixError`` for what is no matrix, an
    empty vector, an ``exclude`` of an unknown key, more than ``MAX_LEGS`` legs or numbers that JSON does not have.
    """
    parts = _parts(matrix)
    size = prod(len(vector) for vector in parts.vectors.values()) if parts.vectors else 0
    if size > MAX_COMBINATIONS:
        raise MatrixError(f"the matrix has {size} combinations before 'exclude'; expected at most {MAX_COMBINATIONS}")
    if size * sum(1 for entry in (*parts.include, *parts.exclude) for _ in _walk(entry)) > MAX_COMPARISONS:
        raise MatrixError("the matrix has too many 'include' and 'exclude' entries for its size; split the job up")
    legs = tuple(islice(_legs(parts, size), MAX_LEGS + 1))
    if len(legs) > MAX_LEGS:
        raise MatrixError(f"the matrix has more than {MAX_LEGS} legs, which is GitHub's limit; split the job up")
    left = MAX_SIZE_BYTES
    for leg in legs:
        left -= _checked_size(leg, left)
    return tuple(Combination(values=to_json(leg.whole), words=leg.words()) for leg in legs)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Matrix:
    vectors: dict[str, Array]
    include: tuple[Object, ...]
    exclude: tuple[Object, ...]


def _parts(matrix: Value) -> _Matrix:
    if not isinstance(matrix, Object):
        raise MatrixError(f"the matrix is {_a(matrix)}; expected an object of vectors")
    vectors: dict[str, Array] = {}
    include: tuple[Object, ...] = ()
    exclude: tuple[Object, ...] = ()
    for name, value in matrix.items():
        if name.lower() == "include":
            include = _filters(name, value)
        elif name.lower() == "exclude":
            exclude = _filters(name, value)
        else:
            vectors[name] = _vector(name, value)
    if not vectors and not include:
        raise MatrixError("the matrix is empty; expected at least one vector, or an 'include'")
    names = Object(dict.fromkeys(vectors))
    for entry in exclude:
        for name in entry:
            if name not in names:
                raise MatrixError(f"'exclude' names {name!r}; expected one of the vectors: {', '.join(vectors)}")
    return _Matrix(vectors=vectors, include=include, exclude=exclude)


def _vector(name: str, value: Value) -> Array:
    if not isinstance(value, Array):
        raise MatrixError(f"matrix vector {name!r} is {_a(value)}; expected a list of values")
    if not len(value):
        raise MatrixError(f"matrix vector {name!r} is empty; expected at least one value")
    return value


def _filters(name: str, value: Value) -> tuple[Object, ...]:
    if not isinstance(value, Array):
        raise MatrixError(f"matrix {name!r} is {_a(value)}; expected a list of objects")
    entries: list[Object] = []
    for entry in value:
        if not isinstance(entry, Object) or not len(entry):
            found = "an empty object" if isinstance(entry, Object) else _a(entry)
            raise MatrixError(f"matrix {name!r} has {found} in it; expected objects with values")
        entries.append(entry)
    return tuple(entries)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Leg:
    """``own`` is what was in the leg before ``include`` added to it."""

    own: Object
    whole: Object

    def words(self) -> tuple[str, ...]:
        leaves = (value for value in _walk(self.own) if not isinstance(value, Array | Object))
        return tuple(word for word in map(to_string, leaves) if word)


def _legs(parts: _Matrix, size: int) -> Iterator[_Leg]:
    include = [_Include.of(entry, parts.vectors) for entry in parts.include]
    matched: set[int] = set()
    for values in product(*parts.vectors.values()) if size else ():
        combination = Object(dict(zip(parts.vectors, values, strict=True)))
        if any(_holds(entry, combination) for entry in parts.exclude):
            continue
        added: dict[str, Value] = {}
        for number, entry in enumerate(include):
            if _holds(entry.condition, combination):
                matched.add(number)
                # A later include may overwrite what an earlier one added, never an original value.
                added.update(entry.added)
        yield _Leg(own=combination, whole=Object({**dict(combination.items()), **added}))
    for number, entry in enumerate(include):
        if number not in matched:
            whole = Object({**dict(entry.condition.items()), **entry.added})
            yield _Leg(own=whole, whole=whole)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Include:
    """``condition`` are the entry's values for vectors: all must be a leg's for ``added``, the rest, to join it."""

    condition: Object
    added: dict[str, Value]

    @classmethod
    def of(cls, entry: Object, vectors: dict[str, Array]) -> "_Include":
        names = Object(dict.fromkeys(vectors))
        return cls(
            condition=Object({name: value for name, value in entry.items() if name in names}),
            added={name: value for name, value in entry.items() if name not in names},
        )


def _holds(wanted: Value, found: Value) -> bool:
    """Tell whether every leaf of ``wanted`` equals what stands at its place in ``found``."""
    if isinstance(wanted, Object):
        return all(
            _holds(value, found.get(name) if isinstance(found, Object) else None) for name, value in wanted.items()
        )
    if isinstance(wanted, Array):
        items = found if isinstance(found, Array) else Array()
        return all(_holds(value, items[at] if at < len(items) else None) for at, value in enumerate(wanted))
    return equals(found, wanted)


def _checked_size(leg: _Leg, left: int) -> int:
    """Return roughly how many bytes the leg's values take; refuses more than ``left``, and what JSON cannot say."""
    size = 0
    for value in _walk(leg.whole):
        size += 16 + (
            len(value) if isinstance(value, str) else sum(map(len, value)) if isinstance(value, Object) else 0
        )
        if size > left:
            raise MatrixError(f"the matrix's legs hold more than {MAX_SIZE_BYTES} bytes; keep large data out of it")
        if isinstance(value, float) and not isfinite(value):
            raise MatrixError(f"the matrix holds the number {to_string(value)}; expected finite numbers")
    return size


def _walk(value: Value) -> Iterator[Value]:
    """Yield the value and everything in it, in order."""
    yield value
    if isinstance(value, Array | Object):
        for item in value.values() if isinstance(value, Object) else value:
            yield from _walk(item)


def _a(value: Value) -> str:
    name = kind(value)
    return name if name == "null" else f"an {name}" if name[0] in "aeiou" else f"a {name}"
