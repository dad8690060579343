"""From a stored delivery to the events that it means, and whether their runs may see secrets."""

from dataclasses import replace
from typing import Final

from terraphim_runner.github.webhooks import as_pull_request_target, decode, from_fork
from terraphim_runner.github.webhooks.decoding import Ignored
from terraphim_runner.model.errors import InfrastructureError
from terraphim_runner.model.event import Delivery, Event
from terraphim_runner.store.runs import StoredRun

_DEPENDABOT: Final = "dependabot[bot]"
_DEPENDABOT_EVENTS: Final = frozenset(
    {
        "create",
        "deployment",
        "deployment_status",
        "pull_request",
        "pull_request_review",
        "pull_request_review_comment",
        "push",
    }
)


def events_of(delivery: Delivery) -> tuple[Event, ...] | Ignored:
    """Return the events of a delivery: a pull request's also means ``pull_request_target``.

    Raises ``PayloadError`` for a body that is not understood.
    """
    event = decode(delivery)
    if isinstance(event, Ignored):
        return event
    return (event, as_pull_request_target(event)) if event.name == "pull_request" else (event,)


def gets_secrets(event: Event) -> bool:
    """Tell whether a run for the event sees the repository's secrets: not for code that a stranger wrote.

    As on GitHub, a fork's pull request gets none, and neither does what Dependabot pushed or proposed ("Troubleshooting
    Dependabot on GitHub Actions"). ``pull_request_target`` runs the base's own workflow.
    """
    if event.name == "pull_request_target":
        return True
    return not (from_fork(event) or (event.actor == _DEPENDABOT and event.name in _DEPENDABOT_EVENTS))


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
