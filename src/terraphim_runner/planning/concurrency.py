"""Who of those in a concurrency group may go on, who waits, and who has to leave.

Pure, and a function of how the group stands: ``arrange`` may be called at any time, again and again. The rules are
those of https://docs.github.com/en/actions/how-tos/write-workflows/choose-when-workflows-run/control-workflow-concurrency:
one at a time; whoever comes later displaces those that wait, or joins the end of the queue where it asked for
``queue: max``; ``cancel-in-progress`` displaces the one whose turn it is, too.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from terraphim_runner.planning.graph import PlannedGroup
from terraphim_runner.workflow.tree import Queue

MAX_WAITING: Final = 100
"""How many may wait for one group under ``queue: max``; GitHub cancels whoever comes then."""

Id = TypeVar("Id", bound=Hashable)


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim(Generic[Id]):
    """One run, job or call that asked for the group. ``holds``: it is its turn."""

    id: Id
    group: PlannedGroup
    holds: bool = False
    displaced: bool = False
    """It was told to leave already, and is on its way out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrangement(Generic[Id]):
    """What has to change: whose turn it is now, if that is news, and who has to leave, each with the reason."""

    granted: Id | None = None
    displaced: tuple[tuple[Id, str], ...] = ()


def arrange(claims: Sequence[Claim[Id]]) -> Arrangement[Id]:
    """Return what has to change in one group. ``claims`` are all that have not left yet, in the order they came.

    Carrying it out and asking again gives nothing. At most one claim holds; it keeps its turn until it left, displaced
    or not. Nobody is granted and displaced at once.
    """
    is_free = not any(claim.holds for claim in claims)
    first: Claim[Id] | None = None
    leaving: dict[Id, str] = {}
    holding: list[Claim[Id]] = []
    waiting: list[Claim[Id]] = []
    for claim in claims:
        if claim.displaced:
            continue
        name = claim.group.name
        if claim.holds:
            holding.append(claim)
            continue
        if claim.group.cancel_in_progress:
            reason = f"a newer request for the concurrency group {name!r} cancels what is in progress"
            leaving |= {other.id: reason for other in holding}
            if first is not None:
                leaving[first.id] = reason
                first = None
        if is_free and first is None and not waiting:
            # It would have its turn already had it been asked about before the next one came.
            first = claim
            continue
        if claim.group.queue is Queue.SINGLE:
            reason = f"a newer request for the concurrency group {name!r} takes its place"
            leaving |= {other.id: reason for other in waiting}
            waiting.clear()
        elif len(waiting) >= MAX_WAITING:
            leaving[claim.id] = f"{MAX_WAITING} wait for the concurrency group {name!r} already"
            continue
        waiting.append(claim)
    granted = first or (waiting[0] if is_free and waiting else None)
    return Arrangement(granted=granted.id if granted else None, displaced=tuple(leaving.items()))
