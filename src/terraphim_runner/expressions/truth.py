"""What is certain of a condition while some of its parts are not known."""

from collections.abc import Callable

from terraphim_runner.expressions.coercion import is_truthy
from terraphim_runner.expressions.errors import EvaluationError
from terraphim_runner.expressions.evaluation import Scope, evaluate
from terraphim_runner.expressions.paths import is_constant
from terraphim_runner.expressions.tree import And, Call, Expression, Node, Not, Or


def certain(node: Node, known: Callable[[Node], bool | None]) -> bool | None:
    """Return whether the node is truthy; None when that depends on what is not known.

    ``known`` is asked about each node first and returns None where it has nothing to say. A part without contexts is
    evaluated; ``&&``, ``||`` and ``!`` are certain as soon as their parts allow it, whatever the order.
    """
    told = known(node)
    if told is not None:
        return told
    match node:
        case And():
            return _all([certain(operand, known) for operand in node.operands])
        case Or():
            return _not(_all([_not(certain(operand, known)) for operand in node.operands]))
        case Not():
            return _not(certain(node.operand, known))
        case Call(function="always"):
            return True
        case _:
            return _constant(node) if is_constant(node) else None


def _all(truths: list[bool | None]) -> bool | None:
    if False in truths:
        return False
    return None if None in truths else True


def _not(truth: bool | None) -> bool | None:
    return None if truth is None else not truth


def _constant(node: Node) -> bool | None:
    try:
        return is_truthy(evaluate(Expression(source="", root=node), Scope()))
    except EvaluationError:
        return None
