"""``fromJSON(text)``: the value that JSON text spells.

NaN and infinities are taken too, so that ``toJSON`` can be undone.
"""

import json
from typing import Final

from terraphim_runner.expressions.budget import ITEM_BYTES
from terraphim_runner.expressions.coercion import to_string
from terraphim_runner.expressions.errors import EvaluationError
from terraphim_runner.expressions.functions.signature import Arguments, Function
from terraphim_runner.expressions.values import Value, from_json


def _from_json(arguments: Arguments) -> Value:
    text = to_string(arguments[0])
    # Charged before anything is made; separators inside of texts are counted too, on the safe side.
    items = text.count(",") + text.count("[") + text.count("{") + 1
    arguments.budget.work(len(text))
    arguments.budget.make(len(text) + ITEM_BYTES * items)
    if not text.strip():
        raise EvaluationError("found empty text as the argument of fromJSON(), expected JSON")
    try:
        plain: object = json.loads(text, parse_int=float)
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise EvaluationError(f"the argument of fromJSON() is not JSON: {error.msg.lower()} at {place}") from None
    except RecursionError:
        raise EvaluationError("the argument of fromJSON() is nested too deep") from None
    return from_json(plain)


FROM_JSON: Final = Function(name="fromJSON", minimum=1, maximum=1, call=_from_json)
