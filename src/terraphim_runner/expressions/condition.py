"""``if:`` conditions, and what GitHub adds to them unasked."""

from terraphim_runner.expressions.availability import STATUS_FUNCTIONS, Availability
from terraphim_runner.expressions.coercion import WHITESPACE
from terraphim_runner.expressions.errors import ExpressionError
from terraphim_runner.expressions.parser import parse
from terraphim_runner.expressions.template import OPENING, split
from terraphim_runner.expressions.tree import And, Call, Expression, Literal, Node, walk


def parse_condition(text: str, *, allowed: Availability) -> Expression:
    """Return the condition with ``success() && (…)`` around it, unless it calls a status function itself.

    Nothing is added where ``success`` is not available. A blank condition is ``success()``. ``${{ }}`` around the whole
    may be left out; any text beside it, blanks included, makes the condition a text and so always true, as with GitHub.
    Raises ``ExpressionError``.
    """
    if OPENING not in text:
        root, offset = _bare(text, allowed), 0
    else:
        root, offset = _root(split(text, allowed=allowed), allowed)
    if "success" in allowed.functions and not calls_status_function(root):
        operands = root.operands if isinstance(root, And) else (root,)
        root = And((Call("success", (), 0), *operands), 0)
    return Expression(source=text, root=root, offset=offset)


def calls_status_function(node: Node) -> bool:
    """Tell whether the tree calls ``success``, ``failure``, ``cancelled`` or ``always``."""
    return any(isinstance(item, Call) and item.function in STATUS_FUNCTIONS for item in walk(node))


def _bare(text: str, allowed: Availability) -> Node:
    return parse(text, allowed=allowed).root if text.strip(WHITESPACE) else Literal(True, 0)


def _root(parts: tuple[str | Expression, ...], allowed: Availability) -> tuple[Node, int]:
    if len(parts) == 1 and isinstance(parts[0], Expression):
        whole = parts[0]
        if isinstance(whole.root, Literal) and isinstance(whole.root.value, str) and whole.source.startswith("'"):
            return _quoted(whole.root.value, whole.offset + 1, allowed)
        return whole.root, whole.offset
    pieces: list[str] = []
    arguments: list[Node] = []
    for part in parts:
        if isinstance(part, Expression):
            pieces.append(f"{{{len(arguments)}}}")
            arguments.append(part.root)
        else:
            pieces.append(part.replace("{", "{{").replace("}", "}}"))
    return Call("format", (Literal("".join(pieces), 0), *arguments), 0), 0


def _quoted(text: str, offset: int, allowed: Availability) -> tuple[Node, int]:
    """Return the condition that stands in quotes.

    GitHub takes an expression that is nothing but a quoted text for that text, and a text as a condition for an
    expression: ``${{ 'false' }}`` is false.
    """
    try:
        return _bare(text, allowed), offset
    except ExpressionError as error:
        place = error.offset + text.count("'", 0, error.offset)
        raise ExpressionError(error.message, offset=offset + place, length=error.length) from None
