"""What an action and its callers have to agree on, made ready for many callers: names compare without case."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from terraphim_runner.workflow.fields import guess, listed
from terraphim_runner.workflow.metadata.tree import Action, CompositeRuns, DockerRuns

MAX_NAMED: Final = 20
"""More inputs than this are not listed in a message."""

_OF_CONTAINERS: Final = frozenset({"args", "entrypoint"})
"""What every container action takes, defined or not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Interface:
    """Names are in lower case, but in ``required``, which has them as written."""

    defined: tuple[str, ...]
    """The inputs as written."""
    known: frozenset[str]
    """What ``with`` may hold."""
    required: tuple[str, ...]
    """The inputs that have to be given, for they have no default."""
    deprecated: Mapping[str, str]
    """The inputs that are deprecated, and what the action says of each."""
    outputs: frozenset[str] | None
    """None when the action may set others than it declares: only a composite action cannot."""

    def expected(self) -> str:
        """Return the clause that names the inputs, the first of them when there are many."""
        if not self.defined:
            return "which takes none"
        rest = len(self.defined) - MAX_NAMED
        return f"expected one of {listed(self.defined[:MAX_NAMED])}" + (f" and {rest} more" if rest > 0 else "")

    def guess(self, name: str) -> str:
        """Return what the name was meant to be, as a clause; empty when none is near or there are too many."""
        return guess(name, self.defined)


def interface_of(action: Action) -> Interface:
    """Return the action's interface, in time in proportion to it."""
    inputs = {name.lower(): known for name, known in action.inputs.items()}
    always = _OF_CONTAINERS if isinstance(action.runs, DockerRuns) else frozenset[str]()
    return Interface(
        defined=tuple(action.inputs),
        known=always.union(inputs),
        required=tuple(known.name for known in inputs.values() if known.required and known.default is None),
        deprecated={name: known.deprecation_message for name, known in inputs.items() if known.deprecation_message},
        outputs=frozenset(map(str.lower, action.outputs)) if isinstance(action.runs, CompositeRuns) else None,
    )
