"""``endsWith(text, part)``: the text ends with the part, without case. Never true of an array or object."""

from typing import Final

from terraphim_runner.expressions.casing import fold
from terraphim_runner.expressions.coercion import to_string
from terraphim_runner.expressions.functions.signature import Arguments, Function
from terraphim_runner.expressions.values import Array, Object, Value


def _ends_with(arguments: Arguments) -> Value:
    whole = arguments[0]
    if isinstance(whole, Array | Object):
        return False
    part = arguments[1]
    if isinstance(part, Array | Object):
        return False
    text, affix = to_string(whole), to_string(part)
    arguments.budget.work(len(text) + len(affix))
    return fold(text).endswith(fold(affix))


ENDS_WITH: Final = Function(name="endsWith", minimum=2, maximum=2, call=_ends_with)
