"""``toJSON(value)``: two spaces of indentation, keys in their order, empty collections on one line.

Beyond what JSON demands, U+0085, U+2028 and U+2029 are escaped; NaN and infinities stand unquoted, as with the
runner.
"""

import re
from typing import Final

from terraphim_runner.expressions.budget import Budget
from terraphim_runner.expressions.coercion import to_string
from terraphim_runner.expressions.errors import EvaluationError
from terraphim_runner.expressions.functions.signature import Arguments, Function
from terraphim_runner.expressions.values import MAX_DEPTH, Array, Object, Value

_SPECIAL: Final = re.compile(r'[\x00-\x1f"\\\x85\u2028\u2029]')
_SHORT: Final = {'"': '\\"', "\\": "\\\\", "\b": "\\b", "\t": "\\t", "\n": "\\n", "\f": "\\f", "\r": "\\r"}


def _to_json(arguments: Arguments) -> Value:
    pieces: list[str] = []
    _write(arguments[0], 0, pieces, arguments.budget)
    return "".join(pieces)


def _write(value: Value, depth: int, pieces: list[str], budget: Budget) -> None:
    budget.work()
    match value:
        case Array() | Object() if len(value) == 0:
            _put("[]" if isinstance(value, Array) else "{}", pieces, budget)
        case Array() | Object():
            if depth == MAX_DEPTH:
                raise EvaluationError(f"the data given to toJSON() is nested more than {MAX_DEPTH} levels deep")
            _write_collection(value, depth, pieces, budget)
        case None:
            _put("null", pieces, budget)
        case str():
            _put(_quoted(value, budget), pieces, budget)
        case _:
            _put(to_string(value), pieces, budget)


def _write_collection(value: Array | Object, depth: int, pieces: list[str], budget: Budget) -> None:
    indent = "\n" + "  " * (depth + 1)
    opening, closing = ("[", "]") if isinstance(value, Array) else ("{", "}")
    lead = opening + indent
    entries = ((None, item) for item in value) if isinstance(value, Array) else value.items()
    for key, item in entries:
        _put(lead if key is None else f"{lead}{_quoted(key, budget)}: ", pieces, budget)
        _write(item, depth + 1, pieces, budget)
        lead = "," + indent
    _put(indent[:-2] + closing, pieces, budget)


def _put(piece: str, pieces: list[str], budget: Budget) -> None:
    budget.make(len(piece))
    pieces.append(piece)


def _quoted(text: str, budget: Budget) -> str:
    budget.work(len(text))
    return f'"{_SPECIAL.sub(_escape, text)}"'


def _escape(match: re.Match[str]) -> str:
    char = match[0]
    return _SHORT.get(char) or f"\\u{ord(char):04x}"


TO_JSON: Final = Function(name="toJSON", minimum=1, maximum=1, call=_to_json)
