"""A tree back to text: what a person is shown of a part of an expression, in one spelling."""

import re
from math import copysign, isfinite
from typing import Final

from terraphim_runner.expressions.coercion import to_string
from terraphim_runner.expressions.tree import (
    And,
    Call,
    Comparison,
    Context,
    Index,
    Literal,
    Node,
    Not,
    Operator,
    Or,
    Wildcard,
)

_EXACT: Final = 1e15
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")

# How strongly each kind of node binds.
_OR: Final = 1
_AND: Final = 2
_EQUALITY: Final = 3
_ORDER: Final = 4
_NOT: Final = 5
_VALUE: Final = 6


def to_source(node: Node) -> str:
    """Return text that parses to the same tree, offsets aside. Recursive: the parser has bounded the depth."""
    return _text(node, 0)


def _text(node: Node, floor: int) -> str:
    """Return the node's text, in brackets where it binds less than ``floor``."""
    precedence = _precedence(node)
    text = _bare(node, precedence)
    return f"({text})" if precedence < floor else text


def _bare(node: Node, precedence: int) -> str:
    match node:
        case Literal():
            return _literal(node.value)
        case Context():
            return node.name
        case Index(key=Literal(value=str(name))) if _NAME.fullmatch(name):
            return f"{_owner(node.object)}.{name}"
        case Index():
            return f"{_owner(node.object)}[{_text(node.key, 0)}]"
        case Wildcard():
            return f"{_owner(node.object)}.*"
        case Call():
            return f"{node.function}({', '.join(_text(argument, 0) for argument in node.arguments)})"
        case Not():
            return f"!{_text(node.operand, _NOT)}"
        case Comparison():
            return f"{_text(node.left, precedence)} {node.operator} {_text(node.right, precedence + 1)}"
        case And() | Or():
            # A chain is one node, so a chain inside of a chain was in brackets.
            symbol = " && " if isinstance(node, And) else " || "
            return symbol.join(_text(operand, precedence + 1) for operand in node.operands)


def _owner(node: Node) -> str:
    # A literal has no properties, unless it is in brackets.
    return f"({_bare(node, _VALUE)})" if isinstance(node, Literal) else _text(node, _VALUE)


def _precedence(node: Node) -> int:
    match node:
        case Or():
            return _OR
        case And():
            return _AND
        case Comparison():
            return _EQUALITY if node.operator in (Operator.EQUAL, Operator.NOT_EQUAL) else _ORDER
        case Not():
            return _NOT
        case _:
            return _VALUE


def _is_inexact(value: float) -> bool:
    """Tell whether the language's own text, of 15 digits and without a sign of zero, is less than the number."""
    is_negative_zero = not value and copysign(1, value) < 0
    return is_negative_zero or abs(value) >= _EXACT or not value.is_integer()


def _literal(value: bool | float | str | None) -> str:
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    if isinstance(value, float) and isfinite(value) and _is_inexact(value):
        return repr(value)
    return "null" if value is None else to_string(value)
