"""What one evaluation may cost. A workflow is a stranger's text, and a page of nested calls could fill the memory."""

from typing import Final

from terraphim_runner.expressions.errors import EvaluationError

MAX_BYTES: Final = 10 * 1024 * 1024
"""How much new text and data one evaluation may make; GitHub's own limit is of this size."""

MAX_WORK: Final = 16 * 1024 * 1024
"""How many characters one evaluation may look at; a value that is visited counts as ``VISIT``."""

VISIT: Final = 16
ITEM_BYTES: Final = 32


class Budget:
    """Counts down while one expression, or one template with several, is evaluated."""

    __slots__ = ("_bytes", "_work")

    def __init__(self) -> None:
        self._bytes = MAX_BYTES
        self._work = MAX_WORK

    @property
    def spent(self) -> int:
        """How much was made and looked at so far, in bytes and characters together."""
        return MAX_BYTES - self._bytes + MAX_WORK - self._work

    def make(self, size_bytes: int) -> None:
        """Account for data before it is made; raises ``EvaluationError`` when that is too much."""
        self._bytes -= size_bytes
        if self._bytes < 0:
            raise EvaluationError(f"the expression makes more than {MAX_BYTES} bytes of data: split it up")

    def work(self, amount: int = VISIT) -> None:
        """Account for characters before they are looked at; raises ``EvaluationError`` when that is too much."""
        self._work -= amount
        if self._work < 0:
            raise EvaluationError("the expression takes too many steps to evaluate: split it up or give it less data")
