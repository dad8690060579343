"""Which contexts and special functions may be named at a place of a workflow file.

A name that GitHub does not know is an error everywhere; one that it knows may still be out of place.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

CONTEXTS: Final = frozenset(
    {"github", "env", "vars", "job", "jobs", "steps", "runner", "secrets", "strategy", "matrix", "needs", "inputs"}
)
"""Every context that GitHub documents."""

STATUS_FUNCTIONS: Final = frozenset({"success", "failure", "cancelled", "always"})
SPECIAL_FUNCTIONS: Final = STATUS_FUNCTIONS | {"hashFiles"}
"""The functions that only some places may call, and that whoever evaluates supplies (``Scope.functions``)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Availability:
    """What may be named at one place; ``where`` tells the place in messages (``jobs.<id>.if``).

    Names are found without case. The functions that need no surroundings (``contains``, ``format`` …) are always
    there and not listed. ``status_arguments`` is how many job keys ``success()`` and ``failure()`` may be given:
    many in a job's ``if``, none elsewhere.
    """

    contexts: frozenset[str]
    functions: frozenset[str] = frozenset()
    where: str = "this place"
    status_arguments: int = 0
    _spellings: Mapping[str, str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_spellings", {name.lower(): name for name in self.contexts})

    def context(self, name: str) -> str | None:
        """Return the context's own spelling, or None when it is not available here."""
        return self._spellings.get(name.lower())


ANYTHING: Final = Availability(
    contexts=CONTEXTS, functions=SPECIAL_FUNCTIONS, where="any expression", status_arguments=255
)
"""Every context that GitHub knows, and every function."""
