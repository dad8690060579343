"""The actions of the repository itself: what a step's ``uses`` leads to, and whether they use each other in a circle.

Nothing is read here. Who knows the repository's files says what stands where.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from terraphim_runner.workflow.metadata.tree import Action, CompositeRuns
from terraphim_runner.workflow.references import ActionReference, LocalAction, SelfAction
from terraphim_runner.workflow.tree import UsesStep

FILE_NAMES = ("action.yml", "action.yaml")
"""Where an action's metadata may stand, in the order in which GitHub looks."""

DOCKERFILES = ("Dockerfile", "dockerfile")
"""What makes a folder without metadata an action, too: a container that takes no inputs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkedAction:
    """What a folder of the repository holds.

    ``action`` is None when there is no valid metadata: ``absence`` or ``fault`` says why, and neither does when the
    folder holds a Dockerfile only, or was not looked at.
    """

    action: Action | None = None
    absence: str | None = None
    """Why there is nothing to use, as a clause: ``the folder does not exist``."""
    fault: str | None = None
    """Why what is there cannot be used, as a clause."""


def own_path(reference: ActionReference) -> str | None:
    """Return the folder of an action of the repository itself, relative to its root; None for every other one."""
    return reference.path if isinstance(reference, LocalAction | SelfAction) else None


def uses_of(action: Action) -> tuple[str, ...]:
    """Return the folders of the repository's actions that a composite action uses, in order, each once."""
    if not isinstance(action.runs, CompositeRuns):
        return ()
    paths = (own_path(step.action) for step in action.runs.steps if isinstance(step, UsesStep))
    return tuple(dict.fromkeys(path for path in paths if path is not None))


def find_circle(start: str, uses: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    """Return the folders of the first circle that using ``start`` runs into, empty when there is none.

    ``uses`` tells which others each folder's action uses. Takes time in proportion to it.
    """
    done: set[str] = set()
    trail: dict[str, None] = {start: None}
    pending = [iter(uses.get(start, ()))]
    while pending:
        following = next(pending[-1], None)
        if following is None:
            pending.pop()
            done.add(trail.popitem()[0])
        elif following in trail:
            path = [*trail]
            return tuple(path[path.index(following) :])
        elif following not in done:
            trail[following] = None
            pending.append(iter(uses.get(following, ())))
    return ()
