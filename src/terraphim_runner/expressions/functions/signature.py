"""What a function of the language is: its name, how many arguments it takes, and how it is computed."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from terraphim_runner.expressions.budget import Budget
from terraphim_runner.expressions.tree import Node
from terraphim_runner.expressions.values import Value

MANY: Final = 255
"""How many arguments a function can take at most, as with GitHub."""


class Arguments:
    """The arguments of one call, each evaluated when it is first asked for and then kept.

    So ``case`` looks at one branch only, and an argument that ``format`` never mentions cannot fail.
    """

    __slots__ = ("_evaluate", "_known", "_nodes", "budget")

    def __init__(self, nodes: tuple[Node, ...], evaluate: Callable[[Node], Value], budget: Budget) -> None:
        self._nodes = nodes
        self._evaluate = evaluate
        self._known: dict[int, Value] = {}
        self.budget = budget

    def __len__(self) -> int:
        return len(self._nodes)

    def __getitem__(self, index: int) -> Value:
        if index not in self._known:
            self._known[index] = self._evaluate(self._nodes[index])
        return self._known[index]

    def all(self) -> list[Value]:
        """Return every argument's value."""
        return [self[index] for index in range(len(self))]


@dataclass(frozen=True, slots=True, kw_only=True)
class Function:
    """``call`` is None for a function that whoever evaluates has to supply."""

    name: str
    minimum: int
    maximum: int
    call: Callable[[Arguments], Value] | None = None
    odd: bool = False
    """The number of arguments must be odd."""

    def complaint(self, count: int, maximum: int) -> str | None:
        """Return what is wrong with this number of arguments, or None; ``maximum`` may be less than the own one."""
        if self.minimum <= count <= maximum and (count % 2 == 1 or not self.odd):
            return None
        if self.odd:
            expected = f"an odd number from {self.minimum}: pairs, then a default"
        elif self.minimum == maximum:
            expected = "none" if maximum == 0 else f"exactly {maximum}"
        elif count < self.minimum:
            expected = f"at least {self.minimum}"
        else:
            expected = f"at most {maximum}"
        return f"found {count} arguments of {self.name}(), expected {expected}"
