"""Evaluating a job's own expressions: the contexts as values, and mistakes as diagnostics with their place."""

from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from terraphim_runner.expressions import (
    Budget,
    EvaluationError,
    Scope,
    Template,
    TemplateTree,
    Value,
    evaluate_tree,
    from_json,
)
from terraphim_runner.model.source import Diagnostic, Span

MAX_SPENT: Final = 256 * 1024 * 1024
"""Of ``Budget.spent``, for all expressions of one look at a run: a few seconds. No honest run comes near it."""


class Allowance:
    """What all expressions of one look at a run may cost together: each one has a budget, and there are many."""

    def __init__(self) -> None:
        self._left = MAX_SPENT

    @contextmanager
    def budget(self) -> Generator[Budget]:
        """Give a budget for one evaluation and count what it spent; ``EvaluationError`` when nothing is left."""
        if self._left <= 0:
            raise EvaluationError("the run's expressions take too long together: give them less data, or have fewer")
        budget = Budget()
        try:
            yield budget
        finally:
            self._left -= budget.spent


class Contexts(Mapping[str, Value]):
    """Contexts as values, each converted from JSON when it is first asked for, and once.

    An event's payload may be large and most expressions never look at it. ``with_`` adds contexts on top and shares
    what is converted already.
    """

    def __init__(self, plain: Mapping[str, Any], below: "Contexts | None" = None) -> None:
        self._plain = plain
        self._below = below
        self._values: dict[str, Value] = {}
        self.allowance: Allowance = Allowance() if below is None else below.allowance

    def with_(self, **plain: Any) -> "Contexts":
        return Contexts(plain, self)

    def __getitem__(self, name: str) -> Value:
        if name in self._values:
            return self._values[name]
        if name not in self._plain:
            if self._below is None:
                raise KeyError(name)
            return self._below[name]
        value = from_json(self._plain[name])
        self._values[name] = value
        return value

    def __iter__(self) -> Iterator[str]:
        yield from self._plain
        if self._below is not None:
            yield from (name for name in self._below if name not in self._plain)

    def __len__(self) -> int:
        return sum(1 for _ in self)


class Evaluator:
    """Evaluates parts of one job in one scope and collects what goes wrong, with its place in the file."""

    def __init__(self, path: str, contexts: Contexts) -> None:
        self._path = path
        self._scope = Scope(contexts=contexts)
        self._allowance = contexts.allowance
        self.diagnostics: list[Diagnostic] = []

    def value(self, what: str, tree: TemplateTree, span: Span) -> Value:
        """Return the tree's value; null, and a diagnostic, when it has none."""
        try:
            with self._allowance.budget() as budget:
                return evaluate_tree(tree, self._scope, budget=budget)
        except EvaluationError as error:
            self.problem(span, "expression-evaluation", f"{what} does not evaluate: {error.message}")
            return None

    def problem(self, span: Span, rule: str, message: str, fix: str | None = None) -> None:
        self.diagnostics.append(Diagnostic(path=self._path, span=span, rule=rule, message=message, fix=fix))


def first_span(tree: TemplateTree, default: Span) -> Span:
    """Return the place of the first scalar in the tree."""
    if isinstance(tree, Template):
        return tree.span
    for item in tree.values() if isinstance(tree, Mapping) else tree:
        return first_span(item, default)
    return default
