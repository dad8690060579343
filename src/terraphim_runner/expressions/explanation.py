"""Why an expression has its value: each part of its conditions with what it came to.

For people, after the fact: evaluating parts one by one costs more than evaluating the whole, so nothing that decides
uses it. What a part shows is one line, cut, with secrets masked.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from terraphim_runner.expressions.budget import Budget
from terraphim_runner.expressions.coercion import is_truthy, to_string
from terraphim_runner.expressions.errors import EvaluationError
from terraphim_runner.expressions.evaluation import Scope, evaluate
from terraphim_runner.expressions.paths import paths_in
from terraphim_runner.expressions.printing import to_source
from terraphim_runner.expressions.tree import And, Call, Comparison, Expression, Literal, Node, Not, Or, walk
from terraphim_runner.expressions.truth import certain
from terraphim_runner.expressions.values import Array, Object, Value, to_json
from terraphim_runner.model.secret import MASK, Secret

MAX_SHOWN: Final = 120
_MAX_PARTS: Final = 200
_SECRET_PATHS: Final = (("secrets",), ("github", "token"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Unknown:
    """What has no value yet. A part that reads one of the ``contexts`` or calls one of the ``functions`` is open."""

    contexts: frozenset[str] = frozenset()
    functions: frozenset[str] = frozenset()

    def touches(self, node: Node) -> bool:
        """Tell whether the node's value can depend on it."""
        return any(path[0] in self.contexts for path, _ in paths_in(node)) or any(
            isinstance(item, Call) and item.function in self.functions for item in walk(node)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A part of an expression: its text, and its value as text.

    ``value`` is None when it is open or has none; then ``problem`` says why where that is a mistake. ``truth`` is
    whether the part counts as true, None when that is open. ``reached`` is false for what is not looked at, because
    an operand before it decided.
    """

    source: str
    value: str | None
    truth: bool | None
    reached: bool = True
    problem: str | None = None
    parts: "tuple[Part, ...]" = ()

    def to_json(self) -> dict[str, Any]:
        """Return the part as JSON values."""
        return {
            "source": self.source,
            "value": self.value,
            "truth": self.truth,
            "reached": self.reached,
            "problem": self.problem,
            "parts": [part.to_json() for part in self.parts],
        }


def explain(
    expression: Expression, scope: Scope, *, unknown: Unknown | None = None, secrets: Iterable[Secret] = ()
) -> Part:
    """Return the expression's value with that of each operand, down to contexts and calls. Never raises.

    Values of ``secrets`` and of the ``secrets`` context are shown as ``***``. After some 200 parts the rest is shown
    without theirs.
    """
    texts = {form for secret in secrets if secret for form in _forms(secret.reveal())}
    hidden = sorted(texts, key=len, reverse=True)
    return _Explainer(scope, unknown or Unknown(), hidden).explain(expression.root)


class _Explainer:
    def __init__(self, scope: Scope, unknown: Unknown, hidden: list[str]) -> None:
        self._scope = scope
        self._unknown = unknown
        self._hidden = hidden
        self._left = _MAX_PARTS
        # The whole is evaluated as it is in a run; all of its parts together may cost as much once more.
        self._whole: Budget | None = Budget()
        self._parts_budget = Budget()

    def explain(self, node: Node, *, reached: bool = True) -> Part:
        self._left -= 1
        value: Value = None
        problem: str | None = None
        is_open = self._unknown.touches(node)
        if not is_open:
            try:
                value = self._evaluate(node)
            except EvaluationError as error:
                problem = self._masked(error.message)
        truth = certain(node, self._known) if is_open else None if problem else is_truthy(value)
        return Part(
            source=self._masked(to_source(node)),
            value=None if is_open or problem else self._shown(node, value),
            truth=truth,
            reached=reached,
            problem=problem,
            parts=self._parts(node, reached=reached),
        )

    def _known(self, node: Node) -> bool | None:
        if self._unknown.touches(node):
            return None
        try:
            return is_truthy(self._evaluate(node))
        except EvaluationError:
            return None

    def _evaluate(self, node: Node) -> Value:
        budget, self._whole = self._whole or self._parts_budget, None
        return evaluate(Expression(source="", root=node), self._scope, budget=budget)

    def _parts(self, node: Node, *, reached: bool) -> tuple[Part, ...]:
        if self._left <= 0:
            return ()
        match node:
            case And() | Or():
                return self._operands(node, reached=reached)
            case Not():
                below: tuple[Node, ...] = (node.operand,)
            case Comparison():
                below = (node.left, node.right)
            case Call():
                below = node.arguments
            case _:
                return ()
        return tuple(self.explain(item, reached=reached) for item in below if not isinstance(item, Literal))

    def _operands(self, node: And | Or, *, reached: bool) -> tuple[Part, ...]:
        decides = isinstance(node, Or)
        parts: list[Part] = []
        for operand in node.operands:
            part = self.explain(operand, reached=reached)
            parts.append(part)
            # What follows an open part may be looked at, so only a known one decides.
            reached = reached and part.truth is not decides
        return tuple(parts)

    def _shown(self, node: Node, value: Value) -> str:
        if not isinstance(value, bool | None) and _reads_secrets(node):
            return MASK
        text = self._masked(_text(value))
        return text if len(text) <= MAX_SHOWN else f"{text[: MAX_SHOWN - 1]}…"

    def _masked(self, text: str) -> str:
        for secret in self._hidden:
            text = text.replace(secret, MASK)
        return text


def _reads_secrets(node: Node) -> bool:
    """Tell whether the node's value may hold a secret: also that of all of ``github``, where the token is."""
    return any(path[: len(known)] == known[: len(path)] for path, _ in paths_in(node) for known in _SECRET_PATHS)


def _forms(secret: str) -> tuple[str, ...]:
    """Return the secret as it is, and as it is written in quotes and in JSON."""
    return (secret, secret.replace("'", "''"), json.dumps(secret, ensure_ascii=False)[1:-1])


def _text(value: Value) -> str:
    """Return a value as the language would write it; of collections, JSON."""
    match value:
        case str():
            return "'" + value.replace("'", "''") + "'"
        case None:
            return "null"
        case Array() | Object():
            return json.dumps(to_json(value), ensure_ascii=False)
        case _:
            return to_string(value)
