"""``join(array, separator)``: the items' texts, with a comma between them unless told otherwise."""

from typing import Final

from terraphim_runner.expressions.coercion import to_string
from terraphim_runner.expressions.functions.signature import Arguments, Function
from terraphim_runner.expressions.values import Array, Object, Value


def _join(arguments: Arguments) -> Value:
    items = arguments[0]
    if isinstance(items, Object):
        return ""
    if not isinstance(items, Array):
        return to_string(items)
    if len(items) == 0:
        return ""
    # With a single item GitHub does not look at the separator, so that it cannot fail.
    separator = _separator(arguments) if len(items) > 1 else ""
    texts: list[str] = []
    for item in items:
        text = to_string(item)
        arguments.budget.work()
        arguments.budget.make(len(text) + len(separator))
        texts.append(text)
    return separator.join(texts)


def _separator(arguments: Arguments) -> str:
    if len(arguments) < 2:
        return ","
    separator = arguments[1]
    return "," if isinstance(separator, Array | Object) else to_string(separator)


JOIN: Final = Function(name="join", minimum=1, maximum=2, call=_join)
