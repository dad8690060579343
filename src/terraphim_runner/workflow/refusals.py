"""Events that GitHub starts no run for, whatever a workflow asks for.

Source: GitHub's documentation, "Skipping workflow runs", and the notes on each event in "Events that trigger
workflows". What only GitHub can know (who made an event with which token, how many tags one push had) is not here.
"""

import re
from typing import Final

from terraphim_runner.model.event import Event
from terraphim_runner.workflow.payloads import boolean, member, text

_SKIP: Final = re.compile(r"\[(?:skip ci|ci skip|no ci|skip actions|actions skip)\]", re.IGNORECASE)
_SKIP_TRAILERS: Final = ("skip-checks: true", "skip-checks:true")
_SKIPPABLE: Final = ("push", "pull_request")
_DRAFTS: Final = ("created", "edited", "deleted")
_ACTIONS: Final = "github-actions"


def refusal(event: Event, head_message: str | None) -> str | None:
    """Return why the event triggers nothing; None when its workflows decide. ``head_message`` None is unknown."""
    match event.name:
        case "push":
            return _skipped(event, head_message)
        case "pull_request":
            return _skipped(event, head_message) or _conflict(event)
        case "release":
            return _draft(event)
        case "deployment_status":
            inactive = text(event.payload, "deployment_status", "state") == "inactive"
            return "the deployment's state is 'inactive', which triggers no workflow" if inactive else None
        case "check_run":
            return _own_checks(event, "check_run", "check_suite")
        case "check_suite":
            return _own_checks(event, "check_suite")
        case _:
            return None


def skip_instruction(message: str) -> str | None:
    """Return the instruction in a commit's message that keeps pushes and pull requests from starting runs.

    A trailer counts when it is the message's last line and two empty lines stand before its paragraph.
    """
    found = _SKIP.search(message)
    if found:
        return found.group()
    lines = [line.strip() for line in message.rstrip().splitlines()]
    if not lines or lines[-1].lower() not in _SKIP_TRAILERS:
        return None
    before = next((at for at in reversed(range(len(lines))) if not lines[at]), 0)
    return lines[-1] if before > 0 and not lines[before - 1] else None


def _skipped(event: Event, head_message: str | None) -> str | None:
    if event.name not in _SKIPPABLE:
        return None
    message = head_message if head_message is not None else text(event.payload, "head_commit", "message")
    instruction = None if message is None else skip_instruction(message)
    if instruction is None:
        return None
    verb = "contains" if instruction.startswith("[") else "ends with"
    return f"the head commit's message {verb} {instruction!r}"


def _conflict(event: Event) -> str | None:
    conflicts = member(event.payload, "pull_request", "mergeable") is False
    if not conflicts or text(event.payload, "pull_request", "state") == "closed":
        return None
    return "the pull request has a merge conflict, so there is no merge commit to run on"


def _draft(event: Event) -> str | None:
    if event.action not in _DRAFTS or not boolean(event.payload, "release", "draft"):
        return None
    return f"the release is a draft, of which {event.action!r} triggers no workflow"


def _own_checks(event: Event, *path: str) -> str | None:
    if text(event.payload, *path, "app", "slug") != _ACTIONS:
        return None
    return "the checks are GitHub Actions' own, which trigger no workflow: it would be an endless circle"
