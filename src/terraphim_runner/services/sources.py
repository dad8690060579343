"""Where an event's repository comes from."""

from dataclasses import dataclass
from typing import Protocol

from terraphim_runner.model.event import Event
from terraphim_runner.ports import SourceTree
from terraphim_runner.services.calls import Fetch


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFile:
    """One workflow file at the event's commit; ``error`` says why its text could not be had."""

    path: str
    text: str
    error: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """An event whose commit is here, with what its triggers are judged on."""

    event: Event
    files: tuple[SourceFile, ...]


class Sources(Protocol):
    """Repositories as events need them. Every call may be repeated."""

    async def prepare(self, event: Event) -> Prepared:
        """Fetch the event's commit; settle its ``sha`` and changed files; read its workflow files.

        Raises ``CheckoutError`` when that commit cannot be had, ``InfrastructureError`` for trouble on the way.
        """
        ...

    def tree(self, event: Event) -> SourceTree:
        """Return what hands out the trees of a prepared event's repository."""
        ...

    def called(self, event: Event) -> Fetch:
        """Return what fetches the files that a prepared event's workflows call.

        It is for this event alone: what a ref of another repository means is asked once, so that all of the event's
        runs see the same.
        """
        ...
