"""What a scalar means: the YAML 1.2 core schema as GitHub reads it.

``on``, ``yes``, ``12_345`` and dates are strings, ``0755`` is 755, ``.inf`` and ``.nan`` are numbers.
PyYAML's own resolvers follow YAML 1.1, which is why none of them is used.
"""

import math
import re
from collections.abc import Callable
from typing import Final

from terraphim_runner.expressions.coercion import to_string
from terraphim_runner.workflow.nodes import Scalar, ScalarValue

_WORDS: Final[dict[str, ScalarValue]] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), math.nan),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), math.inf),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), -math.inf),
}
_DECIMAL: Final = re.compile(r"[-+]?[0-9]+")
_BASED: Final = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT: Final = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_EXACT: Final = 2**53
_MAX_DIGITS: Final = 400
"""Any decimal longer than this is infinite as a double; converting a longer one would only cost time."""


def resolve(text: str) -> ScalarValue:
    """Return the value of a plain scalar."""
    if text in _WORDS:
        return _WORDS[text]
    first = text[0]
    if first not in "+-.0123456789":
        return text
    number = _number(text)
    return text if number is None else number


def resolve_tagged(text: str, tag: str) -> ScalarValue:
    """Return the value of a scalar with a core-schema tag; raises ``ValueError`` when the text is none of its kind."""
    value = resolve(text) if tag != "str" else text
    if not _OF_KIND[tag](value):
        raise ValueError(text)
    return value


_OF_KIND: Final[dict[str, Callable[[ScalarValue], bool]]] = {
    "str": lambda value: isinstance(value, str),
    "null": lambda value: value is None,
    "bool": lambda value: isinstance(value, bool),
    "int": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "float": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
}

SCALAR_TAGS: Final = frozenset(_OF_KIND)


def _number(text: str) -> int | float | None:
    if _BASED.fullmatch(text):
        return _exact(int(text, 0)) if len(text) <= _MAX_DIGITS else math.inf
    if len(text) > _MAX_DIGITS:
        # int() and float() take no longer than this for a legal number; the sign is all that is left to know.
        return float(text) if _FLOAT.fullmatch(text) else None
    if _DECIMAL.fullmatch(text):
        return _exact(int(text))
    return float(text) if _FLOAT.fullmatch(text) else None


def _exact(number: int) -> int | float:
    return number if -_EXACT <= number <= _EXACT else _as_double(number)


def _as_double(number: int) -> float:
    try:
        return float(number)
    except OverflowError:
        return math.copysign(math.inf, number)


def as_text(scalar: Scalar) -> str:
    """Return a scalar where text is expected: numbers and booleans in GitHub's one spelling, null as nothing."""
    value = scalar.value
    if isinstance(value, str):
        return value
    return to_string(float(value) if isinstance(value, int) and not isinstance(value, bool) else value)
