"""A tree and the values of a moment to a value. Pure, bounded, and every operand at most once."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import floor, isnan
from typing import Final

from terraphim_runner.expressions.budget import ITEM_BYTES, VISIT, Budget
from terraphim_runner.expressions.coercion import equals, exceeds, is_truthy, to_number, to_string
from terraphim_runner.expressions.errors import EvaluationError
from terraphim_runner.expressions.functions import BY_NAME, Arguments
from terraphim_runner.expressions.tree import (
    And,
    Call,
    Comparison,
    Context,
    Expression,
    Index,
    Literal,
    Node,
    Not,
    Operator,
    Or,
    Wildcard,
)
from terraphim_runner.expressions.values import Array, FilteredArray, Object, Value

_MAX_INDEX: Final = 2**31 - 1

_COMPARISONS: Final[Mapping[Operator, Callable[[Value, Value], bool]]] = {
    Operator.EQUAL: equals,
    Operator.NOT_EQUAL: lambda left, right: not equals(left, right),
    Operator.LESS: lambda left, right: exceeds(right, left),
    Operator.LESS_OR_EQUAL: lambda left, right: exceeds(right, left) or equals(left, right),
    Operator.GREATER: exceeds,
    Operator.GREATER_OR_EQUAL: lambda left, right: exceeds(left, right) or equals(left, right),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What names mean at one moment.

    ``contexts`` is keyed by the context's spelling in ``Availability`` (GitHub's are lower case); one that is not there
    is null. ``functions`` supplies ``success``, ``failure``, ``cancelled``, ``always`` and ``hashFiles``, spelled so;
    each is given its arguments' values and may raise ``EvaluationError``.
    """

    contexts: Mapping[str, Value] = field(default_factory=dict[str, Value])
    functions: Mapping[str, Callable[[list[Value]], Value]] = field(
        default_factory=dict[str, Callable[[list[Value]], Value]]
    )


def evaluate(expression: Expression, scope: Scope, *, budget: Budget | None = None) -> Value:
    """Return the expression's value. Raises ``EvaluationError``.

    Time and memory are bounded by a ``Budget``; give one to share it among several expressions.
    """
    return _Evaluator(scope, budget or Budget()).evaluate(expression.root)


class _Evaluator:
    """Recursive: the parser has bounded how deep the tree is."""

    def __init__(self, scope: Scope, budget: Budget) -> None:
        self._scope = scope
        self._budget = budget

    def evaluate(self, node: Node) -> Value:
        # What is most frequent comes first; a literal costs less than counting it.
        if isinstance(node, Literal):
            return node.value
        self._budget.work()
        match node:
            case Context():
                return self._scope.contexts.get(node.name)
            case Index():
                return self._index(node)
            case Call():
                return self._call(node)
            case Comparison():
                return self._compare(node)
            case And() | Or():
                return self._chain(node)
            case Not():
                return not is_truthy(self.evaluate(node.operand))
            case Wildcard():
                return self._wildcard(self.evaluate(node.object))

    def _chain(self, node: And | Or) -> Value:
        stop_at = isinstance(node, Or)
        value: Value = None
        for operand in node.operands:
            value = self.evaluate(operand)
            if is_truthy(value) is stop_at:
                break
        return value

    def _call(self, node: Call) -> Value:
        arguments = Arguments(node.arguments, self.evaluate, self._budget)
        if call := BY_NAME[node.function].call:
            return call(arguments)
        supplied = self._scope.functions.get(node.function)
        if supplied is None:
            raise EvaluationError(f"{node.function}() has no value here")
        return supplied(arguments.all())

    def _compare(self, node: Comparison) -> bool:
        left = self.evaluate(node.left)
        right = self.evaluate(node.right)
        if isinstance(left, str):
            self._budget.work(len(left))
        if isinstance(right, str):
            self._budget.work(len(right))
        return _COMPARISONS[node.operator](left, right)

    def _index(self, node: Index) -> Value:
        owner = self.evaluate(node.object)
        if not isinstance(owner, Array | Object):
            return None
        key = self.evaluate(node.key)
        if isinstance(owner, Object) and isinstance(key, str):
            # The usual case, github.ref and the like: the same as below, without a detour.
            self._budget.work(VISIT + len(key))
            return owner.get(key)
        if isinstance(owner, FilteredArray):
            return self._filtered([found for item in owner for found in self._items_at(item, key)])
        found = self._items_at(owner, key)
        return found[0] if found else None

    def _items_at(self, owner: Value, key: Value) -> tuple[Value, ...]:
        """Return the one item with the key, or nothing."""
        self._budget.work(VISIT + len(key) if isinstance(key, str) else VISIT)
        if isinstance(key, Array | Object):
            return ()
        if isinstance(owner, Object):
            name = to_string(key)
            return (owner[name],) if name in owner else ()
        if isinstance(owner, Array):
            number = to_number(key)
            if isnan(number) or not 0 <= number <= _MAX_INDEX or floor(number) >= len(owner):
                return ()
            return (owner[floor(number)],)
        return ()

    def _wildcard(self, owner: Value) -> FilteredArray:
        if isinstance(owner, FilteredArray):
            return self._filtered([found for item in owner for found in self._items_of(item)])
        return self._filtered(self._items_of(owner))

    def _items_of(self, owner: Value) -> list[Value]:
        """Return every item but nulls."""
        match owner:
            case Array():
                self._budget.work(len(owner))
                return [item for item in owner if item is not None]
            case Object():
                self._budget.work(len(owner))
                return [item for item in owner.values() if item is not None]
            case _:
                return []

    def _filtered(self, items: list[Value]) -> FilteredArray:
        self._budget.make(ITEM_BYTES * (1 + len(items)))
        return FilteredArray(items)
