"""Whether an event triggers a workflow, and the reason in words for people.

Pure: the changed files and the head commit's message are brought along by the caller. Source: GitHub's documentation,
"Workflow syntax" (``on``), "Events that trigger workflows" and "Skipping workflow runs". A workflow that listens in
vain for an activity is told the activities that it asks for; one whose filter keeps the event out is told both sides
of the comparison.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final

from terraphim_runner.model.event import Event
from terraphim_runner.workflow.events import BRANCH_FILTERS, EVENTS, PATH_FILTERS, TAG_FILTERS, EventRule
from terraphim_runner.workflow.patterns import PatternError, select, selector
from terraphim_runner.workflow.payloads import boolean, length, pushed_ref, text
from terraphim_runner.workflow.refusals import refusal
from terraphim_runner.workflow.tree import Filter, Trigger, Workflow

MAX_DIFF_FILES: Final = 300
"""GitHub judges path filters on as many files of a diff, in git's order, and on none after them."""
MAX_DIFF_COMMITS: Final = 1000
"""A push of more commits passes every path filter."""
MAX_PATH_STEPS: Final = 5_000_000
"""Characters of paths times patterns, a second or two of work; past it every path filter lets in, as GitHub's do when a
diff takes too long."""
_SHOWN_FILES: Final = 3
_PULL_REQUEST_EVENTS: Final = ("pull_request", "pull_request_target")


@dataclass(frozen=True, slots=True, kw_only=True)
class TriggerMatch:
    """``reason`` says which filter let the event in, or kept it out, with the values that were compared."""

    matched: bool
    reason: str


def match(workflow: Workflow, event: Event, *, head_message: str | None = None) -> TriggerMatch:
    """Tell whether the event triggers the workflow. Never raises on what a payload holds.

    ``head_message`` is the head commit's message where the event does not bring it along; without either a push is
    judged on its payload and a pull request runs. ``changed_files`` None counts as matching every path filter.
    """
    trigger = next((item for item in workflow.triggers if item.event == event.name), None)
    if trigger is None:
        return _no(_other_event(workflow, event))
    told = head_message if head_message is not None else event.head_message
    why_not = (
        refusal(event, told)
        or _of_another_file(workflow, event)
        or _wrong_type(trigger, event)
        or _filtered(trigger, event)
    )
    if why_not:
        return _no(why_not)
    return TriggerMatch(matched=True, reason=_welcome(trigger, event))


def _no(reason: str) -> TriggerMatch:
    return TriggerMatch(matched=False, reason=reason)


def _other_event(workflow: Workflow, event: Event) -> str:
    wanted = _listed(item.event for item in workflow.triggers)
    return f"the event is {event.name!r}, the workflow runs on {wanted}"


def _of_another_file(workflow: Workflow, event: Event) -> str | None:
    """A run that somebody starts by hand is of the one workflow that the payload names by its path."""
    wanted = text(event.payload, "workflow") if event.name == "workflow_dispatch" else None
    if wanted is None or wanted in (workflow.path, PurePosixPath(workflow.path).name):
        return None
    return f"the dispatch is for the workflow {wanted!r}"


def _filtered(trigger: Trigger, event: Event) -> str | None:
    """Return why the event's own filters keep it out."""
    match event.name:
        case "push":
            return _push(trigger, event)
        case "pull_request" | "pull_request_target":
            branch = _branch(event.base_ref)
            return _branches(trigger, branch, "base branch") or _paths(trigger, event)
        case "merge_group":
            base = event.base_ref or text(event.payload, "merge_group", "base_ref")
            return _branches(trigger, _branch(base), "base branch")
        case "workflow_run":
            name = text(event.payload, "workflow_run", "name")
            branch = text(event.payload, "workflow_run", "head_branch")
            return _workflows(trigger, name) or _branches(trigger, branch, "branch")
        case "image_version":
            return _image(trigger, event)
        case "schedule":
            return _schedule(trigger, event)
        case _:
            return None


def _push(trigger: Trigger, event: Event) -> str | None:
    ref = pushed_ref(event)
    if ref.startswith("refs/tags/"):
        tag = ref.removeprefix("refs/tags/")
        if _has(trigger, *BRANCH_FILTERS) and not _has(trigger, *TAG_FILTERS):
            return f"{tag!r} is a tag, 'push' filters branches only"
        # Path filters are not judged for tags.
        return _named(trigger, "tags", tag, "tag")
    branch = _branch(ref)
    if _has(trigger, *TAG_FILTERS) and not _has(trigger, *BRANCH_FILTERS):
        return f"{branch!r} is a branch, 'push' filters tags only"
    return _branches(trigger, branch, "branch") or _paths(trigger, event)


def _branches(trigger: Trigger, branch: str | None, what: str) -> str | None:
    if branch is None:
        return None
    return _named(trigger, "branches", branch, what)


def _image(trigger: Trigger, event: Event) -> str | None:
    """GitHub documents no payload of this event; the names are those of its filters."""
    for key, part in (("names", "name"), ("versions", "version")):
        value = text(event.payload, "image_version", part)
        why_not = None if value is None else _named(trigger, key, value, f"image {part}")
        if why_not:
            return why_not
    return None


def _named(trigger: Trigger, key: str, name: str, what: str) -> str | None:
    wanted = trigger.filters.get(key)
    if wanted and not select(wanted.patterns, name):
        return _mismatch(f"{what} {name!r}", wanted, key)
    unwanted = trigger.filters.get(f"{key}-ignore")
    if unwanted and select(unwanted.patterns, name):
        return f"{what} {name!r} is ignored by '{key}-ignore': {_listed(unwanted.patterns)}"
    return None


def _mismatch(what: str, wanted: Filter, key: str) -> str:
    positive = [pattern for pattern in wanted.patterns if not pattern.startswith("!")]
    if not positive:
        return f"{what} matches nothing: every pattern of '{key}' excludes ({_listed(wanted.patterns)})"
    if len(positive) < len(wanted.patterns):
        return f"{what} is not let in by '{key}': {_listed(wanted.patterns)}, read in order"
    return f"{what} matches none of '{key}': {_listed(positive)}"


def _paths(trigger: Trigger, event: Event) -> str | None:
    if not _has(trigger, *PATH_FILTERS) or _unjudged(trigger, event):
        return None
    files = () if boolean(event.payload, "deleted") else event.changed_files or ()
    if not files:
        return f"no files changed, which no path filter lets in ({_listed(_path_patterns(trigger))})"
    judged = files[:MAX_DIFF_FILES]
    wanted = trigger.filters.get("paths")
    if wanted and not any(map(selector(wanted.patterns), judged)):
        missed = f"{_changed(files)} matches none of" if len(files) == 1 else f"none of {_changed(files)} matches"
        return f"{missed} 'paths': {_listed(wanted.patterns)}"
    unwanted = trigger.filters.get("paths-ignore")
    if unwanted and all(map(selector(unwanted.patterns), judged)):
        all_of = "" if len(files) == 1 else "all of "
        return f"'paths-ignore' ({_listed(unwanted.patterns)}) covers {all_of}{_changed(files)}"
    return None


def _unjudged(trigger: Trigger, event: Event) -> str | None:
    """Return why path filters let the event in without a look at its files; None when they are judged."""
    if boolean(event.payload, "deleted"):
        return None
    if event.changed_files is None:
        return "the changed files are not known"
    if event.name == "push" and length(event.payload, "commits") > MAX_DIFF_COMMITS:
        return f"the push has more than {MAX_DIFF_COMMITS} commits"
    characters = sum(map(len, event.changed_files[:MAX_DIFF_FILES]))
    if characters * sum(1 for _ in _path_patterns(trigger)) > MAX_PATH_STEPS:
        return "there are too many patterns and paths to compare"
    return None


def _path_patterns(trigger: Trigger) -> Iterable[str]:
    return (pattern for key in PATH_FILTERS if key in trigger.filters for pattern in trigger.filters[key].patterns)


def _workflows(trigger: Trigger, name: str | None) -> str | None:
    wanted = trigger.filters.get("workflows")
    if wanted is None or name is None or name in wanted.patterns:
        return None
    # Names may be patterns, too: '*' is every workflow. One that is no pattern is only itself.
    if select(filter(_is_pattern, wanted.patterns), name):
        return None
    return f"workflow {name!r} is none of 'workflows': {_listed(wanted.patterns)}"


def _is_pattern(pattern: str) -> bool:
    try:
        select((pattern,), "")
    except PatternError:
        return False
    return True


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
        return f"the activity {event.action!r} is none of 'types': {_listed(asked.patterns)}"
    if rule.default_types and event.action not in rule.default_types:
        return f"the activity {event.action!r} is none of {_listed(rule.default_types)}, the types without 'types'"
    if rule.types is not None and event.action not in rule.types:
        return f"the activity {event.action!r} triggers no workflow"
    return None


def _welcome(trigger: Trigger, event: Event) -> str:
    words = [event.name]
    if event.action is not None:
        words.append(f"{event.action!r}")
    if event.name == "push":
        ref = pushed_ref(event)
        kind = "tag" if ref.startswith("refs/tags/") else "branch"
        done = "that deletes" if boolean(event.payload, "deleted") else "to"
        words.append(f"{done} {kind} {_branch(ref)!r}")
    elif event.name in _PULL_REQUEST_EVENTS and event.base_ref:
        words.append(f"into {_branch(event.base_ref)!r}")
    elif event.name == "schedule" and isinstance(event.payload.get("schedule"), str):
        words.append(f"{event.payload['schedule']!r}")
    unjudged = _unjudged_filters(trigger, event)
    passed = [key for key in trigger.filters if key in _judged_keys(event) and key not in unjudged]
    if passed:
        words.append(f"passes {_listed(passed)}")
    if unjudged:
        told = "; ".join(f"{key!r} is not judged: {reason}" for key, reason in unjudged.items())
        words.append(f"({told})")
    return " ".join(words)


def _judged_keys(event: Event) -> tuple[str, ...]:
    if event.name == "push":
        is_tag = pushed_ref(event).startswith("refs/tags/")
        return TAG_FILTERS if is_tag else (*BRANCH_FILTERS, *PATH_FILTERS)
    return tuple(key for key in EVENTS.get(event.name, EventRule()).filters)


def _unjudged_filters(trigger: Trigger, event: Event) -> dict[str, str]:
    """Return the filters that let the event in for want of what they compare, each with what is missing."""
    reasons: dict[str, str | None] = {}
    if event.name == "push":
        reasons |= dict.fromkeys(PATH_FILTERS, _unjudged(trigger, event))
    elif event.name in _PULL_REQUEST_EVENTS:
        reasons |= dict.fromkeys(PATH_FILTERS, _unjudged(trigger, event))
        reasons |= dict.fromkeys(BRANCH_FILTERS, _absent(event.base_ref, "base branch"))
    elif event.name == "workflow_run":
        reasons["workflows"] = _absent(text(event.payload, "workflow_run", "name"), "workflow")
        branch = _absent(text(event.payload, "workflow_run", "head_branch"), "branch")
        reasons |= dict.fromkeys(BRANCH_FILTERS, branch)
    elif event.name == "merge_group":
        base = event.base_ref or text(event.payload, "merge_group", "base_ref")
        reasons |= dict.fromkeys(BRANCH_FILTERS, _absent(base, "base branch"))
    elif event.name == "image_version":
        reasons["names"] = _absent(text(event.payload, "image_version", "name"), "image")
        reasons["versions"] = _absent(text(event.payload, "image_version", "version"), "version")
    judged = _judged_keys(event)
    return {key: why for key, why in reasons.items() if why and key in trigger.filters and key in judged}


def _absent(value: str | None, what: str) -> str | None:
    return f"the event names no {what}" if value is None else None


def _has(trigger: Trigger, *keys: str) -> bool:
    return any(key in trigger.filters for key in keys)


def _branch(ref: str | None) -> str | None:
    return None if ref is None else ref.removeprefix("refs/heads/").removeprefix("refs/tags/")


def _changed(files: tuple[str, ...]) -> str:
    if len(files) == 1:
        return f"the one changed file {files[0]!r}"
    if len(files) > MAX_DIFF_FILES:
        return f"the first {MAX_DIFF_FILES} of {len(files)} changed files (the only ones that count)"
    shown = ", ".join(repr(file) for file in files[:_SHOWN_FILES])
    return f"the {len(files)} changed files ({shown}{', …' if len(files) > _SHOWN_FILES else ''})"


def _listed(names: Iterable[str]) -> str:
    items = [repr(name) for name in names]
    if len(items) > 8:
        return ", ".join(items[:8]) + f" and {len(items) - 8} more"
    return ", ".join(items) or "nothing"
