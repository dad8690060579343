"""Making an event's commit final: the payload's word, held against the repository itself."""

from dataclasses import replace
from typing import Any, cast

from terraphim_runner.github.contents.mirror import Mirror
from terraphim_runner.github.names import BadNameError, checked_sha
from terraphim_runner.model.event import Event
from terraphim_runner.ports import CheckoutError


async def settle(mirror: Mirror, event: Event) -> Event:
    """Return the event with an exact ``sha`` that is on this host.

    An empty ``sha`` becomes what ``ref`` points to now. A pull request's merge commit counts only when the pull
    request's head is one of its parents (or when it was merged, which may squash): GitHub computes merge commits
    late, and a payload can carry the last push's. Otherwise the run is for the head commit itself.
    Raises ``CheckoutError`` when the commit cannot be had.
    """
    if not event.sha:
        return replace(event, sha=await mirror.resolve(event.repository, event.ref))
    head = _head_sha(event)
    if head is None or head == event.sha or _pull_request(event).get("merged") is True:
        await mirror.ensure(event.repository, event.sha, _where(event, event.sha))
        return event
    try:
        await mirror.ensure(event.repository, event.sha, event.ref)
        current = head in await mirror.parents(event.repository, event.sha)
    except CheckoutError:
        current = False
    if current:
        return event
    await mirror.ensure(event.repository, head, _where(event, head))
    return replace(event, sha=head)


async def changes(mirror: Mirror, event: Event) -> tuple[str, ...] | None:
    """Return what ``paths`` filters are judged on: the diff of a push, the three-dot diff of a pull request.

    None when it cannot be told, or when the event has no diff; filters then let the workflow run. The event was
    settled before.
    """
    head = _head_sha(event)
    if head is not None:
        await mirror.ensure(event.repository, head, _where(event, head))
        return await mirror.changed_files(event.repository, event.before, head, since_merge_base=True)
    return await mirror.changed_files(event.repository, event.before, event.sha)


async def head_message(mirror: Mirror, event: Event) -> str | None:
    """Return the message of a pull request's head commit; None for another event, or when it cannot be had.

    The event was settled before. A run that nobody can tell whether to skip is not skipped.
    """
    head = _head_sha(event) if event.name == "pull_request" else None
    if head is None:
        return None
    try:
        await mirror.ensure(event.repository, head, _where(event, head))
        return await mirror.message(event.repository, head)
    except CheckoutError:
        return None


def _pull_request(event: Event) -> dict[str, Any]:
    found: object = event.payload.get("pull_request")
    return cast("dict[str, Any]", found) if isinstance(found, dict) else {}


def _head_sha(event: Event) -> str | None:
    head: object = _pull_request(event).get("head")
    sha: object = cast("dict[str, Any]", head).get("sha") if isinstance(head, dict) else None
    if event.name == "push" or not isinstance(sha, str):
        return None
    try:
        return checked_sha(sha)
    except BadNameError:
        return None


def _where(event: Event, sha: str) -> str:
    """Return the ref that most likely holds the commit."""
    if event.ref.startswith("refs/pull/") and sha == _head_sha(event):
        return event.ref.removesuffix("/merge") + "/head"
    return event.ref
