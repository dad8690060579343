"""From a stored delivery to the events that it means."""

from dataclasses import replace

from terraphim_runner.github.webhooks import as_pull_request_target, decode
from terraphim_runner.github.webhooks.decoding import Ignored
from terraphim_runner.model.errors import InfrastructureError
from terraphim_runner.model.event import Delivery, Event
from terraphim_runner.store.runs import StoredRun


def events_of(delivery: Delivery) -> tuple[Event, ...] | Ignored:
    """Return the events of a delivery: a pull request's also means ``pull_request_target``.

    Raises ``PayloadError`` for a body that is not understood.
    """
    event = decode(delivery)
    if isinstance(event, Ignored):
        return event
    return (event, as_pull_request_target(event)) if event.name == "pull_request" else (event,)


def event_of_run(delivery: Delivery, run: StoredRun) -> Event:
    """Return the event that a run is for, with the commit that was settled when the run was created."""
    events = events_of(delivery)
    if not isinstance(events, Ignored):
        for event in events:
            if event.name == run.event:
                return replace(event, ref=run.ref, sha=run.sha)
    raise InfrastructureError(
        doing=f"find the event of run {run.id}",
        reason=f"delivery {delivery.id!r} is no {run.event!r}",
        fix="redeliver the webhook: it was stored by another version",
    )
