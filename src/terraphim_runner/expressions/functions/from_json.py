"""``fromJSON(text)``: the value that JSON text spells, and what the runner's library takes for JSON (``json_text``)."""

from typing import Final, cast

from terraphim_runner.expressions.budget import ITEM_BYTES, VISIT
from terraphim_runner.expressions.coercion import WHITESPACE, to_string
from terraphim_runner.expressions.errors import EvaluationError
from terraphim_runner.expressions.functions.json_text import MAX_DEPTH, read_json, too_deep
from terraphim_runner.expressions.functions.signature import Arguments, Function
from terraphim_runner.expressions.values import Array, Object, Value, well_formed


def _from_json(arguments: Arguments) -> Value:
    text = to_string(arguments[0])
    # Charged before anything is made; separators inside of texts are counted too, on the safe side.
    items = text.count(",") + text.count("[") + text.count("{") + 1
    arguments.budget.work(len(text) + VISIT * items)
    arguments.budget.make(len(text) + ITEM_BYTES * items)
    if not text.strip(WHITESPACE + "\0"):
        raise EvaluationError("found empty text as the argument of fromJSON(), expected JSON")
    return _value(read_json(text), MAX_DEPTH)


def _value(plain: object, depth: int) -> Value:
    match plain:
        case str():
            return well_formed(plain)
        case dict() | list():
            if depth == 0:
                raise too_deep()
            return _collection(cast("dict[str, object] | list[object]", plain), depth - 1)
        case _:
            return cast("float | bool | None", plain)


def _collection(plain: dict[str, object] | list[object], depth: int) -> Array | Object:
    if isinstance(plain, list):
        return Array([_value(item, depth) for item in plain])
    return Object.merged((well_formed(key), _value(item, depth)) for key, item in plain.items())


FROM_JSON: Final = Function(name="fromJSON", minimum=1, maximum=1, call=_from_json)
