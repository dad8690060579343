"""``case(predicate, value, …, default)``: the value beside the first predicate that is true."""

from typing import Final

from terraphim_runner.expressions.errors import EvaluationError
from terraphim_runner.expressions.functions.signature import MANY, Arguments, Function
from terraphim_runner.expressions.values import Value, kind


def _case(arguments: Arguments) -> Value:
    last = len(arguments) - 1
    for index in range(0, last, 2):
        predicate = arguments[index]
        if not isinstance(predicate, bool):
            place = f"argument {index + 1} of case()"
            raise EvaluationError(f"found a value of kind {kind(predicate)} as {place}, expected true or false")
        if predicate:
            return arguments[index + 1]
    return arguments[last]


CASE: Final = Function(name="case", minimum=3, maximum=MANY, call=_case, odd=True)
