"""``toJSON(value)``: two spaces of indentation, keys in their order, empty collections on one line.

Beyond what JSON demands, U+0085, U+2028 and U+2029 are escaped; NaN and infinities stand unquoted, as with the
runner.
"""

from json import JSONEncoder
from typing import Final

from terraphim_runner.expressions.budget import Budget
from terraphim_runner.expressions.coercion import to_string
from terraphim_runner.expressions.errors import EvaluationError
from terraphim_runner.expressions.functions.signature import Arguments, Function
from terraphim_runner.expressions.values import MAX_DEPTH, Array, Object, Value

_ENCODER: Final = JSONEncoder(ensure_ascii=False)
_BEYOND_JSON: Final = (("\x85", "\\u0085"), ("\u2028", "\\u2028"), ("\u2029", "\\u2029"))


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
            _put_quoted(value, pieces, budget)
        case _:
            _put(to_string(value), pieces, budget)


def _write_collection(value: Array | Object, depth: int, pieces: list[str], budget: Budget) -> None:
    indent = "\n" + "  " * (depth + 1)
    opening, closing = ("[", "]") if isinstance(value, Array) else ("{", "}")
    lead = opening + indent
    entries = ((None, item) for item in value) if isinstance(value, Array) else value.items()
    for key, item in entries:
        _put(lead, pieces, budget)
        if key is not None:
            _put_quoted(key, pieces, budget)
            _put(": ", pieces, budget)
        _write(item, depth + 1, pieces, budget)
        lead = "," + indent
    _put(indent[:-2] + closing, pieces, budget)


def _put(piece: str, pieces: list[str], budget: Budget) -> None:
    budget.make(len(piece))
    pieces.append(piece)


def _put_quoted(text: str, pieces: list[str], budget: Budget) -> None:
    # Charged before it is made: escapes can make it six times as long.
    budget.work(len(text))
    budget.make(len(text))
    quoted = _ENCODER.encode(text)
    if not quoted.isascii():
        for char, escape in _BEYOND_JSON:
            quoted = quoted.replace(char, escape)
    budget.make(len(quoted) - len(text))
    pieces.append(quoted)


TO_JSON: Final = Function(name="toJSON", minimum=1, maximum=1, call=_to_json)
