"""Whether an event triggers a workflow, and the reason in words for people.

Pure: the changed files and the head commit's message are brought along by the caller. Source: GitHub's documentation,
"Workflow syntax" (``on``), "Events that trigger workflows" and "Skipping workflow runs".
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

from terraphim_runner.model.event import Event
from terraphim_runner.workflow.events import BRANCH_FILTERS, EVENTS, EventRule
from terraphim_runner.workflow.patterns import select
from terraphim_runner.workflow.tree import Filter, Trigger, Workflow

_SKIP: Final = re.compile(r"\[(?:skip ci|ci skip|no ci|skip actions|actions skip)\]", re.IGNORECASE)
_SKIP_TRAILERS: Final = ("skip-checks: true", "skip-checks:true")
_PULL_REQUEST_EVENTS: Final = ("pull_request", "pull_request_target")


@dataclass(frozen=True, slots=True, kw_only=True)
class TriggerMatch:
    """``reason`` says which filter let the event in, or kept it out, with the values that were compared."""

    matched: bool
    reason: str


def match(workflow: Workflow, event: Event, *, head_message: str | None = None) -> TriggerMatch:
    """Tell whether the event triggers the workflow. Never raises on what a payload holds.

    ``head_message`` is the head commit's message, which the payload of a pull request does not carry; without it a
    push is judged on its payload and a pull request runs. ``changed_files`` None counts as matching every path filter.
    """
    trigger = next((item for item in workflow.triggers if item.event == event.name), None)
    if trigger is None:
        wanted = _listed(item.event for item in workflow.triggers)
        return _no(f"the event is {event.name!r}, the workflow runs on {wanted}")
    refusal = _skipped(event, head_message) or _wrong_type(trigger, event) or _filtered(trigger, event)
    if refusal:
        return _no(refusal)
    return TriggerMatch(matched=True, reason=_welcome(trigger, event))


def _no(reason: str) -> TriggerMatch:
    return TriggerMatch(matched=False, reason=reason)


def _filtered(trigger: Trigger, event: Event) -> str | None:
    """Return why the event's own filters keep it out."""
    match event.name:
        case "push":
            return _push(trigger, event)
        case "pull_request" | "pull_request_target":
            branch = _branch(event.base_ref)
            return _branches(trigger, branch, "base branch") or _paths(trigger, event)
        case "merge_group":
            base = event.base_ref or _text(event.payload, "merge_group", "base_ref")
            return _branches(trigger, _branch(base), "base branch")
        case "workflow_run":
            name = _text(event.payload, "workflow_run", "name")
            branch = _text(event.payload, "workflow_run", "head_branch")
            return _workflows(trigger, name) or _branches(trigger, branch, "branch")
        case "schedule":
            return _schedule(trigger, event)
        case _:
            return None


def _push(trigger: Trigger, event: Event) -> str | None:
    deleted = event.payload.get("deleted") is True or set(event.sha) == {"0"}
    if event.ref.startswith("refs/tags/"):
        tag = event.ref.removeprefix("refs/tags/")
        if deleted:
            return f"the push deletes tag {tag!r}"
        # Path filters are not judged for tags.
        return _tags(trigger, tag)
    branch = _branch(event.ref)
    if deleted:
        return f"the push deletes branch {branch!r}"
    if _has(trigger, "tags", "tags-ignore") and not _has(trigger, *BRANCH_FILTERS):
        return f"{branch!r} is a branch, 'push' filters tags only"
    return _branches(trigger, branch, "branch") or _paths(trigger, event)


def _tags(trigger: Trigger, tag: str) -> str | None:
    if _has(trigger, *BRANCH_FILTERS) and not _has(trigger, "tags", "tags-ignore"):
        return f"{tag!r} is a tag, 'push' filters branches only"
    return _named(trigger, "tags", tag, "tag")


def _branches(trigger: Trigger, branch: str | None, what: str) -> str | None:
    if branch is None:
        return None
    return _named(trigger, "branches", branch, what)


def _named(trigger: Trigger, key: str, name: str, what: str) -> str | None:
    wanted = trigger.filters.get(key)
    if wanted and not select(wanted.patterns, name):
        return _mismatch(f"{what} {name!r}", wanted, key)
    unwanted = trigger.filters.get(f"{key}-ignore")
    if unwanted and select(unwanted.patterns, name):
        return f"{what} {name!r} is ignored by '{key}-ignore': {_listed(unwanted.patterns)}"
    return None


def _mismatch(what: str, wanted: Filter, key: str) -> str:
    positive = [text for text in wanted.patterns if not text.startswith("!")]
    if not positive:
        return f"{what} matches nothing: every pattern of '{key}' excludes ({_listed(wanted.patterns)})"
    if len(positive) < len(wanted.patterns):
        return f"{what} is not let in by {_listed(wanted.patterns)}, read in order"
    return f"{what} matches none of {_listed(positive)}"


def _paths(trigger: Trigger, event: Event) -> str | None:
    files = event.changed_files
    if files is None:
        return None
    wanted = trigger.filters.get("paths")
    if wanted and not any(select(wanted.patterns, file) for file in files):
        return f"none of {_counted(files)} matches 'paths': {_listed(wanted.patterns)}"
    unwanted = trigger.filters.get("paths-ignore")
    if unwanted and files and all(select(unwanted.patterns, file) for file in files):
        return f"'paths-ignore' ({_listed(unwanted.patterns)}) leaves none of {_counted(files)}"
    return None


def _workflows(trigger: Trigger, name: str | None) -> str | None:
    wanted = trigger.filters.get("workflows")
    if wanted is None or name is None or name in wanted.patterns:
        return None
    return f"workflow {name!r} is none of {_listed(wanted.patterns)}"


def _schedule(trigger: Trigger, event: Event) -> str | None:
    due = event.payload.get("schedule")
    entries: list[dict[str, str]] = trigger.settings.get("schedule", [])
    crons = [entry["cron"] for entry in entries]
    if not isinstance(due, str) or due in crons:
        return None
    return f"the schedule {due!r} is none of {_listed(crons)}"


def _wrong_type(trigger: Trigger, event: Event) -> str | None:
    asked = trigger.filters.get("types")
    rule = EVENTS.get(event.name, EventRule())
    if event.action is None:
        return None
    if asked is not None:
        if event.action in asked.patterns:
            return None
        return f"the activity {event.action!r} is none of {_listed(asked.patterns)}"
    if rule.default_types and event.action not in rule.default_types:
        return f"the activity {event.action!r} is none of {_listed(rule.default_types)}, the types without 'types'"
    if rule.types is not None and event.action not in rule.types:
        return f"the activity {event.action!r} triggers no workflow"
    return None


def _skipped(event: Event, head_message: str | None) -> str | None:
    if event.name not in ("push", "pull_request"):
        return None
    message = head_message if head_message is not None else _text(event.payload, "head_commit", "message")
    if message is None:
        return None
    found = _SKIP.search(message)
    if found:
        return f"the head commit's message contains {found.group()!r}"
    lines = message.rstrip().splitlines()
    # A trailer stands in a paragraph of its own, or with other trailers, as the last.
    if "" in lines and lines[-1].strip().lower() in _SKIP_TRAILERS:
        return "the head commit's message ends with 'skip-checks: true'"
    return None


def _welcome(trigger: Trigger, event: Event) -> str:
    words = [event.name]
    if event.action is not None:
        words.append(f"{event.action!r}")
    if event.name == "push":
        kind = "tag" if event.ref.startswith("refs/tags/") else "branch"
        words.append(f"to {kind} {_branch(event.ref)!r}")
    elif event.name in _PULL_REQUEST_EVENTS and event.base_ref:
        words.append(f"into {_branch(event.base_ref)!r}")
    filters = [key for key in trigger.filters if key != "types"]
    if filters:
        words.append(f"passes {_listed(filters)}")
        if event.changed_files is None and _has(trigger, "paths", "paths-ignore"):
            words.append("(the changed files are not known)")
    return " ".join(words)


def _has(trigger: Trigger, *keys: str) -> bool:
    return any(key in trigger.filters for key in keys)


def _branch(ref: str | None) -> str | None:
    return None if ref is None else ref.removeprefix("refs/heads/").removeprefix("refs/tags/")


def _text(payload: Mapping[str, Any], key: str, field: str) -> str | None:
    """Return a string from the payload, which is GitHub's word at best: anything else counts as absent."""
    part = payload.get(key)
    value = cast("Mapping[str, Any]", part).get(field) if isinstance(part, Mapping) else None
    return value if isinstance(value, str) else None


def _counted(files: tuple[str, ...]) -> str:
    if len(files) == 1:
        return f"the one changed file {files[0]!r}"
    return f"the {len(files)} changed files"


def _listed(names: Iterable[str]) -> str:
    items = [repr(name) for name in names]
    if len(items) > 8:
        return ", ".join(items[:8]) + f" and {len(items) - 8} more"
    return ", ".join(items) or "nothing"
