"""``format(template, …)``: ``{0}`` stands for the first further argument; ``{{`` and ``}}`` are braces.

GitHub's grammar has a format after a colon, as in ``{0:x}``, but no value that takes one: only the empty one is legal.
"""

import re
from typing import Final

from terraphim_runner.expressions.coercion import to_string
from terraphim_runner.expressions.errors import EvaluationError
from terraphim_runner.expressions.functions.signature import MANY, Arguments, Function
from terraphim_runner.expressions.values import Value

_PIECE: Final = re.compile(r"[^{}]++|\{\{|\}\}|\{([0-9]+)(?:\}|:\}(?!\}))")


def _format(arguments: Arguments) -> Value:
    template = to_string(arguments[0])
    budget = arguments.budget
    budget.work(len(template))
    pieces: list[str] = []
    position = 0
    while position < len(template):
        match = _PIECE.match(template, position)
        if match is None:
            place = f"character {position + 1} of the template of format()"
            advice = "expected '{0}', '{1}' …, or a doubled brace for the brace itself"
            raise EvaluationError(f"found a lone {template[position]!r} at {place}, {advice}")
        piece = match[0]
        if match[1] is not None:
            piece = to_string(arguments[_position(match[1], len(arguments) - 1)])
        elif piece in {"{{", "}}"}:
            piece = piece[0]
        budget.make(len(piece))
        budget.work()
        pieces.append(piece)
        position = match.end()
    return "".join(pieces)


def _position(digits: str, given: int) -> int:
    # Longer than any legal number: not converted, for that could take long.
    index = int(digits) if len(digits.lstrip("0")) <= len(str(MANY)) else MANY
    if index >= given:
        shown = digits if len(digits) <= 10 else f"{digits[:10]}…"
        raise EvaluationError(f"found {{{shown}}} in the template of format(), but it was given {given} values")
    return index + 1


FORMAT: Final = Function(name="format", minimum=1, maximum=MANY, call=_format)
