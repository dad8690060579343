"""What an expression reads, as paths: ``github.event.commits[0].message`` → ``github``, ``event``, ``commits``, ``*`` …

Names compare without case, so a path is in lower case. ``*`` stands for what is not one fixed name: a wildcard, a
number, a computed key.
"""

from collections.abc import Iterator

from terraphim_runner.expressions.availability import SPECIAL_FUNCTIONS
from terraphim_runner.expressions.tree import Call, Context, Index, Literal, Node, Wildcard, children, walk

Path = tuple[str, ...]
ANY = "*"


def path_of(node: Node) -> Path | None:
    """Return the path of a context or of a property of one, at any depth; None for every other node."""
    keys: list[str] = []
    while True:
        match node:
            case Context(name=name):
                return (name.lower(), *reversed(keys))
            case Index(object=owner, key=Literal(value=str(key))):
                keys.append(key.lower())
                node = owner
            case Index(object=owner) | Wildcard(object=owner):
                keys.append(ANY)
                node = owner
            case _:
                return None


def paths_in(node: Node) -> Iterator[tuple[Path, Node]]:
    """Yield each path that is read below the node, whole, with its node; also those that compute keys of others."""
    pending = [node]
    while pending:
        current = pending.pop()
        path = path_of(current)
        if path is None:
            pending.extend(reversed(children(current)))
            continue
        yield path, current
        while isinstance(current, Index | Wildcard):
            if isinstance(current, Index) and not isinstance(current.key, Literal):
                pending.append(current.key)
            current = current.object


def begin_of(node: Node) -> int:
    """Return the offset of the context that a path begins with; of any other node, its own."""
    while isinstance(node, Index | Wildcard):
        node = node.object
    return node.offset


def is_constant(node: Node) -> bool:
    """Tell whether the node reads no context and calls no function that depends on the moment."""
    return not any(
        isinstance(item, Context) or (isinstance(item, Call) and item.function in SPECIAL_FUNCTIONS)
        for item in walk(node)
    )
