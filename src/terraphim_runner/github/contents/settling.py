"""Making an event's commit final: the payload's word, held against the repository itself."""

from dataclasses import replace
from typing import Any, Final, cast

from terraphim_runner.github.contents.mirror import Mirror
from terraphim_runner.github.names import BadNameError, checked_sha, is_zero
from terraphim_runner.model.event import Event
from terraphim_runner.ports import CheckoutError

_ASKS: Final = "pull_request"
"""The event whose head commit may say ``[skip ci]`` while its payload does not carry the message."""


async def settle(mirror: Mirror, event: Event) -> Event:
    """Return the event with an exact ``sha`` that is on this host.

    An empty ``sha`` becomes what ``ref`` points to now. A pull request's merge commit counts only when the pull
    request's head is one of its parents (or when it was merged, which may squash): GitHub computes merge commits
    late, and a payload can carry the last push's. Otherwise the run is for the head commit itself. A pull request
    also gets its ``head_message``, which may ask that nothing runs.
    Raises ``CheckoutError`` when the commit cannot be had.
    """
    settled = await _settled(mirror, event)
    return replace(settled, head_message=await _head_message(mirror, settled)) if event.name == _ASKS else settled


async def _settled(mirror: Mirror, event: Event) -> Event:
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

    A new branch is compared with the commit before the first that was pushed with it; nothing changed when it brought
    none. None when it cannot be told, or when the event has no diff; filters then let the workflow run. The event was
    settled before.
    """
    head = _head_sha(event)
    if head is not None:
        await mirror.ensure(event.repository, head, _where(event, head))
        return await mirror.changed_files(event.repository, event.before, head, since_merge_base=True)
    if event.before is not None and is_zero(event.before) and event.name == "push":
        return await _new_branch_changes(mirror, event)
    return await mirror.changed_files(event.repository, event.before, event.sha)


async def _new_branch_changes(mirror: Mirror, event: Event) -> tuple[str, ...] | None:
    commits: object = event.payload.get("commits")
    if commits == []:
        return ()
    first = _commit_id(cast("list[object]", commits)[0]) if isinstance(commits, list) else None
    if first is None:
        return None
    try:
        await mirror.ensure(event.repository, first, event.ref)
    except CheckoutError:
        return None
    before = await mirror.parents(event.repository, first)
    return await mirror.changed_files(event.repository, before[0], event.sha) if before else None


def _commit_id(commit: object) -> str | None:
    sha: object = cast("dict[str, Any]", commit).get("id") if isinstance(commit, dict) else None
    if not isinstance(sha, str):
        return None
    try:
        return checked_sha(sha)
    except BadNameError:
        return None


async def _head_message(mirror: Mirror, event: Event) -> str | None:
    head = _head_sha(event)
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
