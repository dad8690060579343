"""``on``: which events trigger the workflow, with their filters and settings."""

from typing import Any, Final

from terraphim_runner.model.source import Related
from terraphim_runner.workflow import nodes
from terraphim_runner.workflow.cron import cron_doubt, cron_problem
from terraphim_runner.workflow.events import EVENTS, PATH_FILTERS, PATTERN_FILTERS, EventRule
from terraphim_runner.workflow.fields import Shape, expected, guess, guess_for, listed, text, texts
from terraphim_runner.workflow.findings import Findings, shown
from terraphim_runner.workflow.inputs import call_inputs, call_outputs, call_secrets, dispatch_inputs
from terraphim_runner.workflow.nodes import Entry, Node, Scalar, Sequence
from terraphim_runner.workflow.patterns import PatternError, compile_pattern
from terraphim_runner.workflow.timezones import timezones
from terraphim_runner.workflow.tree import Filter, Trigger

_EXPECTED: Final = "'on' as an event's name, a sequence of names or a mapping of events"
_CRON: Final = Shape(what="a schedule", keys=("cron", "timezone"), required=("cron",))
MAX_FILTER_ITEMS: Final = 2000
"""No bound of GitHub's: many more would only be written to keep a server busy."""
_MAX_TYPE_LENGTH: Final = 100
"""Of the ``event_type`` of a ``repository_dispatch``."""


def parse_on(findings: Findings, entry: Entry) -> tuple[Trigger, ...]:
    """Return the triggers in the file's order, each event once; what is wrong is noted and left out."""
    node = entry.value
    triggers: dict[str, Trigger] = {}
    if isinstance(node, nodes.Mapping):
        for name, event in node.entries.items():
            rule = _rule(findings, event.key, name)
            if rule is not None:
                triggers[name] = _trigger(findings, name, rule, event)
    elif isinstance(node, Sequence) or (isinstance(node.value, str) and node.value):
        for name, place in texts(findings, node, "an event's name in 'on'"):
            if _rule(findings, place, name) is not None:
                triggers.setdefault(name, Trigger(event=name, span=findings.source.of(place)))
    else:
        expected(findings, node, _EXPECTED)
        return ()
    is_empty = isinstance(node, nodes.Mapping | Sequence) and not (
        node.entries if isinstance(node, nodes.Mapping) else node.items
    )
    if is_empty:
        findings.error(node, "no-events", "found 'on' without events, expected at least one")
    return tuple(triggers.values())


def _rule(findings: Findings, place: Scalar, name: str) -> EventRule | None:
    rule = EVENTS.get(name)
    if rule is None:
        near = guess(name, EVENTS)
        message = f"found the event {shown(name)}, which GitHub does not know" + near
        findings.error(place, "unknown-event", message, fix=None if near else f"known events: {', '.join(EVENTS)}")
    elif rule.instead is not None:
        message = f"GitHub never sends the event {shown(name)}, so that it triggers nothing"
        findings.warning(place, "event-never-sent", message, fix=f"use '{rule.instead}'")
    return rule


def _trigger(findings: Findings, name: str, rule: EventRule, entry: Entry) -> Trigger:
    span = findings.source.of(entry.key)
    node = entry.value
    if name == "schedule":
        return Trigger(event=name, span=span, settings={"schedule": _schedules(findings, node)})
    if isinstance(node, Scalar) and node.value is None:
        return Trigger(event=name, span=span)
    entries = Shape(what=f"the event '{name}'", keys=rule.keys).read(findings, node) or {}
    filters: dict[str, Filter] = {}
    settings: dict[str, Any] = {}
    for key, part in entries.items():
        if key in rule.settings:
            settings[key] = _SETTINGS[name, key](findings, part.value)
            continue
        read = _filter(findings, name, rule, key, part)
        if read.patterns:
            filters[key] = read
    for key in ("branches", "tags", "paths"):
        if key in entries and f"{key}-ignore" in entries:
            related = Related(message=f"'{key}' stands here", span=findings.source.of(entries[key].key))
            message = f"found '{key}' and '{key}-ignore' for the event '{name}', expected one of them"
            fix = f"use '{key}' with '!' before the patterns that exclude"
            findings.error(entries[f"{key}-ignore"].key, "filter-conflict", message, fix=fix, related=(related,))
    return Trigger(event=name, span=span, filters=filters, settings=settings)


def _filter(findings: Findings, event: str, rule: EventRule, key: str, entry: Entry) -> Filter:
    found = texts(findings, entry.value, f"'{key}'")
    if not found and isinstance(entry.value, Sequence) and not entry.value.items:
        message = f"found '{key}' without items, which filters nothing"
        findings.warning(entry.value, "filter-empty", message, fix="name at least one, or leave it out")
    for name, place in found:
        if key in PATTERN_FILTERS:
            _check_pattern(findings, key, name, place)
        elif key == "types":
            _check_type(findings, event, rule, name, place)
    if len(found) > MAX_FILTER_ITEMS:
        message = f"found {len(found)} items of '{key}', expected at most {MAX_FILTER_ITEMS}"
        findings.error(entry.key, "too-many-patterns", message)
    # With nothing to let in, nothing triggers; with nothing to ignore, everything does.
    if key in PATTERN_FILTERS and found and all(name.startswith("!") for name, _ in found):
        # A push of a tag is not kept out by the filter of branches, nor the other way round.
        none = {"branches": "no branch", "tags": "no tag"}.get(key, "nothing")
        meaning = "everything triggers" if key.endswith("-ignore") else f"{none} triggers"
        message = f"every pattern of '{key}' excludes, so that {meaning} '{event}'"
        findings.warning(entry.key, "filter-excludes-all", message, fix="add a pattern without '!' before them")
    return Filter(patterns=tuple(name for name, _ in found), span=findings.source.of(entry.value))


def _check_type(findings: Findings, event: str, rule: EventRule, name: str, place: Scalar) -> None:
    if rule.free_types:
        if len(name) > _MAX_TYPE_LENGTH:
            message = f"found a type of {len(name)} characters of the event '{event}', expected at most"
            findings.error(place, "unknown-type", f"{message} {_MAX_TYPE_LENGTH}")
    elif name not in (rule.types or ()):
        known = rule.types or ()
        message = f"found the type {shown(name)} of the event '{event}', expected one of {listed(known)}"
        findings.error(place, "unknown-type", message + guess(name, known))


def _check_pattern(findings: Findings, key: str, pattern: str, place: Scalar) -> None:
    try:
        compile_pattern(pattern)
    except PatternError as error:
        where = findings.source.inside(place, error.offset, 1)
        findings.error(where, "filter-pattern", f"the pattern {shown(pattern)} means nothing: {error.reason}")
        return
    bare = pattern.removeprefix("!")
    if key in PATH_FILTERS and bare.startswith(("./", "../", "/")):
        message = f"the pattern {shown(pattern)} matches no path: paths start at the repository's root, without a '/'"
        fix = f"write {shown(bare.lstrip('./'))}" if bare.lstrip("./") else None
        findings.warning(place, "filter-matches-nothing", message, fix=fix)


def _schedules(findings: Findings, node: Node) -> list[dict[str, str]]:
    if not isinstance(node, Sequence) or not node.items:
        expected(findings, node, "'schedule' as a sequence of 'cron' entries")
        return []
    schedules: list[dict[str, str]] = []
    for item in node.items:
        schedule: dict[str, str] = {}
        for key, entry in (_CRON.read(findings, item) or {}).items():
            value = text(findings, entry.value, f"'{key}'")
            if value is None:
                continue
            (_check_cron if key == "cron" else _check_timezone)(findings, entry.value, value)
            schedule[key] = value
        schedules.append(schedule)
    return schedules


def _check_cron(findings: Findings, node: Node, value: str) -> None:
    problem = cron_problem(value)
    if problem is not None:
        findings.error(node, "cron", f"the schedule {shown(value)} means nothing: {problem}")
        return
    doubt = cron_doubt(value)
    if doubt is not None:
        findings.warning(node, "cron-doubt", f"the schedule {shown(value)} is hardly meant: {doubt}")


def _check_timezone(findings: Findings, node: Node, value: str) -> None:
    if value.lower() not in timezones():
        message = f"found the time zone {shown(value)}, expected an IANA name such as 'Europe/London'"
        findings.error(node, "timezone", message + guess_for(findings, value, timezones().values()))


_SETTINGS: Final = {
    ("workflow_dispatch", "inputs"): dispatch_inputs,
    ("workflow_call", "inputs"): call_inputs,
    ("workflow_call", "secrets"): call_secrets,
    ("workflow_call", "outputs"): call_outputs,
}
