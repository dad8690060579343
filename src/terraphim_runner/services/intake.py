"""Taking deliveries in: from a stored delivery to its runs."""

import logging
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar

import anyio
import anyio.to_thread
from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from terraphim_runner.github.webhooks import PayloadError
from terraphim_runner.github.webhooks.decoding import Ignored
from terraphim_runner.model.errors import InfrastructureError
from terraphim_runner.model.event import Delivery, Event
from terraphim_runner.model.ids import DeliveryId, RunId
from terraphim_runner.model.source import Diagnostic, Span
from terraphim_runner.model.states import Conclusion
from terraphim_runner.planning.contexts import github_context
from terraphim_runner.planning.graph import PlannedGroup
from terraphim_runner.planning.groups import run_group
from terraphim_runner.planning.inputs import dispatch_inputs
from terraphim_runner.planning.run_name import run_name
from terraphim_runner.ports import CheckoutError, Clock
from terraphim_runner.services.advance import Advancer
from terraphim_runner.services.calls import called_to_json, resolve
from terraphim_runner.services.events import events_of
from terraphim_runner.services.queue import Queue
from terraphim_runner.services.repositories import Repositories
from terraphim_runner.services.sources import Prepared, SourceFile, Sources
from terraphim_runner.store import claims, deliveries, runs
from terraphim_runner.store.database import Database
from terraphim_runner.store.deliveries import DeliveryState
from terraphim_runner.workflow import parse
from terraphim_runner.workflow.linking import Linked
from terraphim_runner.workflow.tree import Workflow
from terraphim_runner.workflow.triggers import match

FETCH_TRIES = 3
RETRY_PAUSE_S = 2.0
DEADLINE_S = 900.0
MAX_AT_ONCE = 8
"""Deliveries being taken in: each holds its body and some processes of git."""
MAX_JOBS = 512
"""Of one workflow file. GitHub names no bound; a file of 1 MiB has room for thousands, each with a matrix."""

T = TypeVar("T")

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Addresses:
    """Where GitHub is, as workflows see it."""

    server_url: str
    api_url: str


class Intake:
    """Stores deliveries and turns them into runs."""

    def __init__(
        self,
        *,
        database: Database,
        queue: Queue,
        sources: Sources,
        repositories: Repositories,
        addresses: Addresses,
        advancer: Advancer,
        clock: Clock,
    ) -> None:
        self._database = database
        self._queue = queue
        self._sources = sources
        self._repositories = repositories
        self._addresses = addresses
        self._advancer = advancer
        self._clock = clock
        self._busy: set[DeliveryId] = set()
        self._slots = anyio.Semaphore(MAX_AT_ONCE)

    @property
    def busy(self) -> Collection[DeliveryId]:
        """The deliveries that are being taken in by this process, or wait for their turn."""
        return frozenset(self._busy)

    async def accept(self, delivery: Delivery, *, ignored: Ignored | None) -> bool:
        """Store a delivery; when it is new and means something, have it taken in. Return whether it was new.

        It is stored when this returns. The same delivery id never gives runs twice. Raises ``InfrastructureError``
        when it cannot be stored.
        """
        try:
            is_new = await self._database.write(deliveries.insert, delivery)
        except SQLAlchemyError as error:
            raise InfrastructureError(
                doing="store the delivery",
                reason=str(error.__cause__ or type(error).__name__),
                fix="make room on the disk of the database, and see that it can be reached and written",
                retryable=True,
            ) from error
        if not is_new:
            return False
        if ignored is not None:
            await self._settle(delivery.id, DeliveryState.IGNORED, ignored.reason)
        else:
            await self._queue.start_intake(delivery.id)
        return True

    async def intake_once(self, delivery_id: DeliveryId) -> None:
        """Create the runs of a stored delivery. May be repeated: what was created already is not created again."""
        if delivery_id in self._busy:
            return
        self._busy.add(delivery_id)
        try:
            async with self._slots:
                with anyio.fail_after(DEADLINE_S):
                    await self._take_in(delivery_id)
        except (CheckoutError, PayloadError, InfrastructureError, TimeoutError) as error:
            note = str(error) or f"it took more than {DEADLINE_S:g} s"
            log.warning("delivery %s was not taken in: %s", delivery_id, note)
            await self._settle(delivery_id, DeliveryState.FAILED, note)
        finally:
            self._busy.discard(delivery_id)

    async def _take_in(self, delivery_id: DeliveryId) -> None:
        found = await self._database.read(deliveries.load, delivery_id)
        if found is None or found[1] is not DeliveryState.RECEIVED:
            return
        delivery, _ = found
        events = await anyio.to_thread.run_sync(events_of, delivery)
        if isinstance(events, Ignored):
            await self._settle(delivery_id, DeliveryState.IGNORED, events.reason)
            return
        notes: list[str] = []
        created: dict[RunId, None] = {}
        for event in events:
            prepared = await self._prepare(event)
            for file in prepared.files:
                concerned, note = await self._consider(delivery, prepared, file)
                notes.append(note)
                created |= dict.fromkeys(concerned)
        # Every run is stored before the delivery is settled; from here on each run is looked after by itself.
        note = "\n".join(notes) or "the commit has no workflow files"
        await self._settle(delivery_id, DeliveryState.PROCESSED, note)
        await self._advancer.advance(*created)

    async def _prepare(self, event: Event) -> Prepared:
        return await self._retried(partial(self._sources.prepare, event))

    async def _link(self, workflow: Workflow, event: Event) -> Linked:
        """Return the workflow with all that it calls, or with what is wrong with that."""
        return await self._retried(partial(resolve, workflow, self._sources.called(event)))

    async def _retried(self, fetch: Callable[[], Awaitable[T]]) -> T:
        for tries_left in reversed(range(FETCH_TRIES)):
            try:
                return await fetch()
            except InfrastructureError as error:
                if not error.retryable or tries_left == 0:
                    raise
                log.info("will try again: %s", error)
                await anyio.sleep(RETRY_PAUSE_S)
        raise AssertionError("the last try returns or raises")

    async def _consider(self, delivery: Delivery, prepared: Prepared, file: SourceFile) -> tuple[Sequence[RunId], str]:
        """Create a run where the file is triggered, or is not valid; return a note that says why.

        Returned first are the runs that are to be advanced: this one, and those whose concurrency group it entered.
        """
        event = prepared.event
        new = runs.NewRun(
            delivery=delivery.id,
            repository=event.repository.full_name,
            path=file.path,
            title=file.path,
            event=event.name,
            ref=event.ref,
            sha=event.sha,
            source=file.text,
        )
        if file.error is not None:
            diagnostic = Diagnostic(path=file.path, span=Span.at(1, 1), rule="file", message=file.error)
            return await self._store_broken(new, (diagnostic,), event)
        result = await anyio.to_thread.run_sync(parse, file.path, file.text)
        if result.workflow is None:
            return await self._store_broken(new, tuple(result.diagnostics), event)
        verdict = match(result.workflow, event)
        if not verdict.matched:
            return (), f"{file.path} on {event.name}: not triggered: {verdict.reason}"
        inputs = dispatch_inputs(result.workflow, event)
        error = ""
        if len(result.workflow.jobs) > MAX_JOBS:
            error = f"the workflow has {len(result.workflow.jobs)} jobs, expected at most {MAX_JOBS}"
        elif inputs.problems:
            error = "the run was started with inputs that do not fit: " + "; ".join(inputs.problems)
        if error:
            await self._database.write(self._store_failure, new, (), error)
            return (), f"{file.path} on {event.name}: {error}"
        try:
            linked = await self._link(result.workflow, event)
        except InfrastructureError as trouble:
            # The other workflows of the delivery are not to wait for a repository that cannot be reached.
            await self._database.write(self._store_failure, new, (), str(trouble))
            return (), f"{file.path} on {event.name}: {trouble}"
        if linked.has_errors or linked.missing:
            return await self._store_unlinked(new, linked, event)
        new = replace(new, called=called_to_json(linked))
        concerned = await self._database.write(self._store, new, linked.workflow, event)
        return concerned, f"{file.path} on {event.name}: triggered: {verdict.reason}"

    async def _store_broken(
        self, new: runs.NewRun, diagnostics: tuple[Diagnostic, ...], event: Event
    ) -> tuple[Sequence[RunId], str]:
        # What a broken file would be triggered by is unknown. GitHub reports it on every push; so do we, and on
        # nothing else, for a pull request's push brings its own delivery.
        if event.name != "push":
            return (), f"{new.path} on {event.name}: not valid"
        await self._database.write(self._store_failure, new, diagnostics, "the workflow file is not valid")
        return (), f"{new.path} on {event.name}: not valid: {diagnostics[0].headline() if diagnostics else '?'}"

    async def _store_unlinked(self, new: runs.NewRun, linked: Linked, event: Event) -> tuple[Sequence[RunId], str]:
        error = "what the workflow calls is not valid"
        await self._database.write(self._store_failure, new, linked.diagnostics, error)
        return (), f"{new.path} on {event.name}: {error}: {linked.diagnostics[0].headline()}"

    def _store(self, connection: Connection, new: runs.NewRun, workflow: Workflow, event: Event) -> list[RunId]:
        """Store a run and its claim on its concurrency group; return it, and the runs that this concerns."""
        created = runs.create(connection, replace(new, title=workflow.title), at=self._clock.now())
        if created is None:
            return []
        run_id, number = created
        github = github_context(
            event,
            workflow=workflow,
            run_id=str(run_id),
            run_number=number,
            server_url=self._addresses.server_url,
            api_url=self._addresses.api_url,
        )
        contexts: dict[str, Any] = {
            "github": github,
            "vars": dict(self._repositories.of(new.repository).variables),
            "inputs": dict(dispatch_inputs(workflow, event).values),
        }
        runs.set_contexts(connection, run_id, contexts, payload=event.payload)
        runs.set_display_title(connection, run_id, run_name(workflow, contexts))
        concerned = self._enter_group(connection, run_id, new.repository, workflow, contexts)
        return [run_id, *sorted(concerned - {run_id}, key=int)]

    def _enter_group(
        self,
        connection: Connection,
        run_id: RunId,
        repository: str,
        workflow: Workflow,
        contexts: Mapping[str, Any],
    ) -> frozenset[RunId]:
        """Claim the group of a workflow's ``concurrency``; a run whose group does not evaluate has ended with that."""
        group = run_group(workflow, contexts)
        if group is None:
            return frozenset()
        if isinstance(group, PlannedGroup):
            concerned = claims.add(connection, repository, run_id, group)
            if run_id not in concerned:
                runs.wait(connection, run_id)
            return concerned
        return runs.complete(
            connection,
            run_id,
            Conclusion.STARTUP_FAILURE,
            at=self._clock.now(),
            error="the workflow's 'concurrency' does not evaluate",
            diagnostics=group,
        )

    def _store_failure(
        self, connection: Connection, new: runs.NewRun, diagnostics: tuple[Diagnostic, ...], error: str
    ) -> None:
        created = runs.create(connection, new, at=self._clock.now())
        if created is not None:
            runs.complete(
                connection,
                created[0],
                Conclusion.STARTUP_FAILURE,
                at=self._clock.now(),
                error=error,
                diagnostics=diagnostics,
            )

    async def _settle(self, delivery_id: DeliveryId, state: DeliveryState, note: str) -> None:
        await self._database.write(deliveries.settle, delivery_id, state=state, note=note, at=self._clock.now())
