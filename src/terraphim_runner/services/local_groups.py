"""Concurrency groups within one run, in memory."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from terraphim_runner.model.ids import LegKey
from terraphim_runner.planning.concurrency import Claim, arrange
from terraphim_runner.planning.graph import PlannedGroup


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """``granted``: legs whose turn it is now in all of their groups. ``displaced``: who has to leave, and why."""

    granted: tuple[LegKey, ...] = ()
    displaced: tuple[tuple[LegKey, str], ...] = ()


class LocalGroups:
    """Who asked for which group, in the order in which they asked.

    A leg asks for all of its groups at once, so that whoever came first in one came first in the others: legs alone
    never wait for each other in a circle. ``own`` is the run's group, which nobody else of the run ever gets.
    """

    def __init__(self, own: PlannedGroup | None = None) -> None:
        self._own = own
        self._claims: dict[str, list[Claim[LegKey]]] = {}
        self._waiting: dict[LegKey, None] = {}

    def ask(self, leg: LegKey, groups: Sequence[PlannedGroup], above: Sequence[LegKey]) -> str | None:
        """Let a leg wait for its groups; return why it can never have them, if so.

        ``above`` are the calls that the leg is part of: what one of them holds is not free before the leg is through.
        """
        for group in groups:
            name = group.name.casefold()
            if self._own is not None and self._own.name.casefold() == name:
                return f"it asks for the concurrency group {group.name!r}, which its own run holds"
            holder = next((claim.id for claim in self._claims.get(name, ()) if claim.id in above), None)
            if holder is not None:
                return f"it asks for the concurrency group {group.name!r}, which {holder!r} holds, that it is part of"
        for group in groups:
            self._claims.setdefault(group.name.casefold(), []).append(Claim(id=leg, group=group))
        self._waiting[leg] = None
        return None

    def leave(self, leg: LegKey) -> None:
        """Give up what the leg has or waits for; a leg that never asked has nothing."""
        self._waiting.pop(leg, None)
        for name, claims in list(self._claims.items()):
            self._claims[name] = [claim for claim in claims if claim.id != leg]
            if not self._claims[name]:
                del self._claims[name]

    def arrange(self) -> Change:
        """Return what has to change now, and take it as done; the displaced leave once they are complete."""
        displaced: dict[LegKey, str] = {}
        for name, claims in self._claims.items():
            found = arrange(claims)
            leaving = dict(found.displaced)
            displaced = {**leaving, **displaced}
            self._claims[name] = [
                replace(claim, holds=claim.holds or claim.id == found.granted, displaced=claim.id in leaving)
                if not claim.displaced
                else claim
                for claim in claims
            ]
        granted = tuple(leg for leg in self._waiting if leg not in displaced and self._holds_all(leg))
        for leg in (*granted, *displaced):
            self._waiting.pop(leg, None)
        return Change(granted=granted, displaced=tuple(displaced.items()))

    def _holds_all(self, leg: LegKey) -> bool:
        return all(claim.holds for claims in self._claims.values() for claim in claims if claim.id == leg)
