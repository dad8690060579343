"""How values convert and compare: the language's loose rules, each in one function.

The sources are GitHub's documentation ("Evaluate expressions in workflows and actions") and its runner's behaviour.
"""

import re
from math import isnan
from typing import Final

from terraphim_runner.expressions.casing import fold, is_greater
from terraphim_runner.expressions.values import Array, Object, Value

WHITESPACE: Final = (
    "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000"
)
"""What is blank to the runner's platform; unlike Python's, it has no U+001C to U+001F."""

_DECIMAL: Final = re.compile(r"([+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)\x00*")
"""The platform takes NULs after a number for the end of it."""

_HEXADECIMAL: Final = re.compile(r"0x0*([0-9a-fA-F]+)")
_OCTAL: Final = re.compile(r"0o0*([0-7]+)")
_WORD_BITS: Final = 32
_LONGEST_WORD: Final = 11
"""Of how many digits a word can be, in octal: longer texts are not converted."""

_INFINITY: Final = re.compile(r"([+-]?)infinity", re.IGNORECASE | re.ASCII)

_NAN: Final = float("nan")
_INF: Final = float("inf")


def to_string(value: Value) -> str:
    """Return the value as text: numbers with 15 significant digits, null as '', collections as their kind's name."""
    match value:
        case str():
            return value
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case Array():
            return "Array"
        case Object():
            return "Object"
        case _:
            return _number_text(value)


def _number_text(number: float) -> str:
    if number.is_integer() and abs(number) < 1e15:
        return str(int(number))
    if isnan(number):
        return "NaN"
    if abs(number) == _INF:
        return "Infinity" if number > 0 else "-Infinity"
    return format(number, ".15g").replace("e", "E")


def to_number(value: Value) -> float:
    """Return the value as a number; NaN when it has none: text that is no number, arrays and objects."""
    match value:
        case float():
            return value
        case None:
            return 0.0
        case bool():
            return 1.0 if value else 0.0
        case str():
            text = value.strip(WHITESPACE)
            return parse_number(text) if text else 0.0
        case _:
            return _NAN


def parse_number(text: str) -> float:
    """Return the number that the whole text spells, or NaN. Literals and converted strings share this grammar."""
    if decimal := _DECIMAL.fullmatch(text):
        return float(decimal[1])
    if hexadecimal := _HEXADECIMAL.fullmatch(text):
        return _word(hexadecimal[1], 16)
    if octal := _OCTAL.fullmatch(text):
        return _word(octal[1], 8)
    if infinity := _INFINITY.fullmatch(text):
        return -_INF if infinity[1] == "-" else _INF
    return _NAN


def _word(digits: str, radix: int) -> float:
    """Return the signed number of 32 bits, so that 0xffffffff is -1; NaN for what needs more, as with the runner."""
    number = int(digits, radix) if len(digits) <= _LONGEST_WORD else 1 << _WORD_BITS
    if number >= 1 << _WORD_BITS:
        return _NAN
    return float(number - (1 << _WORD_BITS) if number >= 1 << (_WORD_BITS - 1) else number)


def is_truthy(value: Value) -> bool:
    """Tell whether a condition with this value holds: all but null, false, 0, NaN and ''."""
    if isinstance(value, Array | Object):
        return True
    return bool(value) and not (isinstance(value, float) and isnan(value))


def equals(left: Value, right: Value) -> bool:
    """Tell whether ``left == right``: without case, by number when the kinds differ, collections by identity."""
    left, right = _same_kind(left, right)
    if isinstance(left, str) and isinstance(right, str):
        return left == right or (len(left) == len(right) and fold(left) == fold(right))
    if type(left) is not type(right) and not (isinstance(left, Array) and isinstance(right, Array)):
        return False
    # Array and Object have no equality of their own: this is identity for them.
    return left == right


def exceeds(left: Value, right: Value) -> bool:
    """Tell whether ``left > right``. Null, arrays and objects are never greater than their own kind."""
    left, right = _same_kind(left, right)
    if isinstance(left, str) and isinstance(right, str):
        return is_greater(left, right)
    if isinstance(left, float) and isinstance(right, float):
        return left > right
    if isinstance(left, bool) and isinstance(right, bool):
        return left and not right
    return False


def _same_kind(left: Value, right: Value) -> tuple[Value, Value]:
    if type(left) is type(right):
        return left, right
    return _comparable(left), _comparable(right)


def _comparable(value: Value) -> Value:
    return value if isinstance(value, Array | Object) else to_number(value)
