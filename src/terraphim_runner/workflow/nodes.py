"""What a YAML document consists of, with the place of every part.

Places are offsets into the file's text; ``SourceText`` turns them into lines and columns when somebody asks.
An alias is expanded to the very node that its anchor names, so a node may occur at several places of the tree.
"""

from dataclasses import dataclass

ScalarValue = str | int | float | bool | None
"""A number is an ``int`` where it is integral and exact as a double, else a ``float``."""

PlainValue = ScalarValue | list["PlainValue"] | dict[str, "PlainValue"]


@dataclass(frozen=True, slots=True)
class Scalar:
    """One scalar. ``text`` is its content as a string, ``value`` what the core schema makes of it.

    ``style`` is empty for a plain scalar, else its indicator: ``'``, ``"``, ``|`` or ``>``.
    """

    start: int
    end: int
    text: str
    style: str
    value: ScalarValue


@dataclass(frozen=True, slots=True)
class Sequence:
    start: int
    end: int
    items: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class Entry:
    """One key of a mapping and its value."""

    key: Scalar
    value: "Node"


@dataclass(frozen=True, slots=True)
class Mapping:
    """``entries`` is in the file's order and keyed by the keys as strings; duplicates were reported and left out."""

    start: int
    end: int
    entries: dict[str, Entry]


Node = Scalar | Sequence | Mapping


def kind(node: Node) -> str:
    """Return what the node is, in the words that diagnostics use."""
    match node:
        case Sequence():
            return "a sequence"
        case Mapping():
            return "a mapping"
        case Scalar(value=None):
            return "nothing"
        case Scalar(value=bool()):
            return "a boolean"
        case Scalar(value=int() | float()):
            return "a number"
        case Scalar(text=""):
            return "an empty string"
        case Scalar():
            return "a string"


def plain(node: Node) -> PlainValue:
    """Return the node's content as plain values, without places."""
    if isinstance(node, Scalar):
        return node.value
    if isinstance(node, Sequence):
        return [plain(item) for item in node.items]
    return {name: plain(entry.value) for name, entry in node.entries.items()}
