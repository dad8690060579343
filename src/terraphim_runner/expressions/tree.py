"""The syntax tree of an expression: frozen, without values of any run. ``offset`` counts characters in its text."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum


class Operator(StrEnum):
    """The operators that compare two values."""

    EQUAL = "=="
    NOT_EQUAL = "!="
    LESS = "<"
    LESS_OR_EQUAL = "<="
    GREATER = ">"
    GREATER_OR_EQUAL = ">="


@dataclass(frozen=True, slots=True)
class Literal:
    """A constant, also the name after a dot."""

    value: bool | float | str | None
    offset: int


@dataclass(frozen=True, slots=True)
class Context:
    """A named context, in the spelling that ``Availability`` gives it."""

    name: str
    offset: int


@dataclass(frozen=True, slots=True)
class Index:
    """``object.key`` and ``object[key]``."""

    object: "Node"
    key: "Node"
    offset: int


@dataclass(frozen=True, slots=True)
class Wildcard:
    """``object.*`` and ``object[*]``."""

    object: "Node"
    offset: int


@dataclass(frozen=True, slots=True)
class Call:
    """A function by its own spelling, with a legal number of arguments."""

    function: str
    arguments: "tuple[Node, ...]"
    offset: int


@dataclass(frozen=True, slots=True)
class Not:
    operand: "Node"
    offset: int


@dataclass(frozen=True, slots=True)
class Comparison:
    operator: Operator
    left: "Node"
    right: "Node"
    offset: int


@dataclass(frozen=True, slots=True)
class And:
    """A whole chain of ``&&``; yields the first operand that is not truthy, else the last."""

    operands: "tuple[Node, ...]"
    offset: int


@dataclass(frozen=True, slots=True)
class Or:
    """A whole chain of ``||``; yields the first operand that is truthy, else the last."""

    operands: "tuple[Node, ...]"
    offset: int


Node = Literal | Context | Index | Wildcard | Call | Not | Comparison | And | Or


@dataclass(frozen=True, slots=True, kw_only=True)
class Expression:
    """A legal expression. ``source`` is its text without ``${{ }}``, which stands at ``offset`` of the text parsed."""

    source: str
    root: Node
    offset: int = 0


def children(node: Node) -> tuple[Node, ...]:
    """Return the nodes directly below, in the order they are written in."""
    match node:
        case Literal() | Context():
            return ()
        case Index():
            return (node.object, node.key)
        case Wildcard():
            return (node.object,)
        case Call():
            return node.arguments
        case Not():
            return (node.operand,)
        case Comparison():
            return (node.left, node.right)
        case And() | Or():
            return node.operands


def walk(node: Node) -> Iterator[Node]:
    """Yield the node and everything below it, each before what is below it."""
    pending = [node]
    while pending:
        current = pending.pop()
        yield current
        pending.extend(reversed(children(current)))


def depth_of(node: Node) -> int:
    """Return how many nodes stand one below the other. Recursive: the parser has bounded it."""
    return 1 + max((depth_of(child) for child in children(node)), default=0)


def references(expression: Expression) -> frozenset[tuple[str, str | None]]:
    """Return each context that is read, with its first property as written; None when that is computed or all of it."""
    found: set[tuple[str, str | None]] = set()
    pending: list[Node] = [expression.root]
    while pending:
        match pending.pop():
            case Index(object=Context(name=name), key=Literal(value=str(key))):
                found.add((name, key))
            case Context(name=name):
                found.add((name, None))
            case node:
                pending.extend(children(node))
    return frozenset(found)
