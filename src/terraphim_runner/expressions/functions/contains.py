"""``contains(search, item)``: an array has an equal item, or a text has the other in it; without case."""

from typing import Final

from terraphim_runner.expressions.budget import VISIT
from terraphim_runner.expressions.casing import fold
from terraphim_runner.expressions.coercion import equals, to_string
from terraphim_runner.expressions.functions.signature import Arguments, Function
from terraphim_runner.expressions.values import Array, Object, Value


def _contains(arguments: Arguments) -> Value:
    search = arguments[0]
    if isinstance(search, Array):
        return len(search) > 0 and _has_item(search, arguments)
    if isinstance(search, Object):
        return False
    item = arguments[1]
    if isinstance(item, Array | Object):
        return False
    text, part = to_string(search), to_string(item)
    arguments.budget.work(len(text) + len(part))
    return fold(part) in fold(text)


def _has_item(array: Array, arguments: Arguments) -> bool:
    wanted = arguments[1]
    effort = VISIT + (len(wanted) if isinstance(wanted, str) else 0)
    for item in array:
        arguments.budget.work(effort + (len(item) if isinstance(item, str) else 0))
        if equals(wanted, item):
            return True
    return False


CONTAINS: Final = Function(name="contains", minimum=2, maximum=2, call=_contains)
