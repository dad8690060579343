"""``on``: which events trigger the workflow, with their filters and settings."""

from collections.abc import Mapping
from typing import Any, Final

from terraphim_runner.model.source import Related
from terraphim_runner.workflow import nodes
from terraphim_runner.workflow.availability import CALL_INPUT_DEFAULT, CALL_OUTPUT
from terraphim_runner.workflow.cron import cron_problem
from terraphim_runner.workflow.events import EVENTS, PATTERN_FILTERS, EventRule
from terraphim_runner.workflow.fields import Shape, expected, guess, listed, one_of, text, texts
from terraphim_runner.workflow.findings import Findings, shown
from terraphim_runner.workflow.nodes import Entry, Node, Scalar, Sequence
from terraphim_runner.workflow.patterns import PatternError, compile_pattern
from terraphim_runner.workflow.scalars import as_text
from terraphim_runner.workflow.templates import is_key, template
from terraphim_runner.workflow.tree import Filter, Trigger

_EXPECTED: Final = "'on' as an event's name, a sequence of names or a mapping of events"
_CRON: Final = Shape(what="a schedule", keys=("cron", "timezone"), required=("cron",))
_DISPATCH_INPUT: Final = Shape(
    what="an input", keys=("description", "type", "required", "default", "options", "deprecationMessage")
)
_CALL_INPUT: Final = Shape(
    what="an input",
    keys=("description", "type", "required", "default", "deprecationMessage"),
    required=("type",),
)
_CALL_SECRET: Final = Shape(what="a secret", keys=("description", "required"))
_CALL_OUTPUT: Final = Shape(what="an output", keys=("description", "value"), required=("value",))
_DISPATCH_TYPES: Final = ("string", "boolean", "number", "choice", "environment")
_CALL_TYPES: Final = ("string", "boolean", "number")


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
        else:
            filters[key] = _filter(findings, name, rule, key, part)
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
        findings.error(entry.value, "type", f"found '{key}' without items, expected at least one")
    for name, place in found:
        if key in PATTERN_FILTERS:
            _check_pattern(findings, name, place)
        elif key == "types" and not rule.free_types and name not in (rule.types or ()):
            known = rule.types or ()
            message = f"found the type {shown(name)} of the event '{event}', expected one of {listed(known)}"
            findings.error(place, "unknown-type", message + guess(name, known))
    # Only 'ignore' filters may do without '!': with nothing to let in, nothing triggers.
    if key in PATTERN_FILTERS and found and all(name.startswith("!") for name, _ in found):
        message = f"every pattern of '{key}' excludes, so that nothing triggers '{event}'"
        findings.warning(entry.key, "filter-excludes-all", message, fix="add a pattern without '!' before them")
    return Filter(patterns=tuple(name for name, _ in found), span=findings.source.of(entry.value))


def _check_pattern(findings: Findings, pattern: str, place: Scalar) -> None:
    try:
        compile_pattern(pattern)
    except PatternError as error:
        where = findings.source.inside(place, error.offset, 1)
        findings.error(where, "filter-pattern", f"the pattern {shown(pattern)} means nothing: {error.reason}")


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
            problem = cron_problem(value) if key == "cron" else None
            if problem:
                findings.error(entry.value, "cron", f"the schedule {shown(value)} means nothing: {problem}")
            schedule[key] = value
        schedules.append(schedule)
    return schedules


def _named(findings: Findings, node: Node, what: str, shape: Shape) -> dict[str, dict[str, Entry]]:
    """Return a mapping of ids to the entries of each definition; one without any may be left empty."""
    if isinstance(node, Scalar) and node.value is None:
        return {}
    if not isinstance(node, nodes.Mapping):
        expected(findings, node, f"{what} as a mapping")
        return {}
    found: dict[str, dict[str, Entry]] = {}
    for name, entry in node.entries.items():
        if not is_key(findings, name, entry, what, None):
            continue
        is_bare = isinstance(entry.value, Scalar) and entry.value.value is None and not shape.required
        found[name] = {} if is_bare else (shape.read(findings, entry.value, place=entry.key) or {})
    return found


def _dispatch_inputs(findings: Findings, node: Node) -> dict[str, Any]:
    inputs: dict[str, Any] = {}
    for name, entries in _named(findings, node, "'inputs'", _DISPATCH_INPUT).items():
        inputs[name] = _input(findings, entries, _DISPATCH_TYPES)
        options = entries.get("options")
        if inputs[name].get("type") == "choice":
            if options is None:
                findings.error(entries["type"].value, "missing-key", "found a 'choice' input without 'options'")
        elif options is not None and inputs[name].get("type") is not None:
            findings.warning(options.key, "unused-options", "found 'options' of an input that is no 'choice'")
    return inputs


def _call_inputs(findings: Findings, node: Node) -> dict[str, Any]:
    inputs: dict[str, Any] = {}
    for name, entries in _named(findings, node, "'inputs'", _CALL_INPUT).items():
        inputs[name] = _input(findings, entries, _CALL_TYPES)
        default = entries.get("default")
        if default is not None:
            template(findings, default.value, "'default'", CALL_INPUT_DEFAULT)
    return inputs


def _input(findings: Findings, entries: Mapping[str, Entry], types: tuple[str, ...]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, entry in entries.items():
        node = entry.value
        match key:
            case "type":
                found[key] = one_of(findings, node, "an input's type", types)
            case "required":
                found[key] = _flag(findings, node)
            case "options":
                if not isinstance(node, Sequence) or not node.items:
                    expected(findings, node, "'options' as a sequence with at least one string")
                    continue
                found[key] = [value for value, _ in texts(findings, node, "an option")]
            case _:
                if not isinstance(node, Scalar):
                    expected(findings, node, f"'{key}' as a string, a number or a boolean")
                    continue
                found[key] = node.value if key == "default" else as_text(node)
    return found


def _flag(findings: Findings, node: Node) -> bool | None:
    if isinstance(node, Scalar) and isinstance(node.value, bool):
        return node.value
    expected(findings, node, "true or false as 'required'")
    return None


def _call_secrets(findings: Findings, node: Node) -> dict[str, Any]:
    return {
        name: {"required": _flag(findings, entries["required"].value)} if "required" in entries else {}
        for name, entries in _named(findings, node, "'secrets'", _CALL_SECRET).items()
    }


def _call_outputs(findings: Findings, node: Node) -> dict[str, Any]:
    outputs: dict[str, Any] = {}
    for name, entries in _named(findings, node, "'outputs'", _CALL_OUTPUT).items():
        if "value" in entries:
            value = template(findings, entries["value"].value, "'value'", CALL_OUTPUT)
            outputs[name] = {"value": value.source} if value else {}
    return outputs


_SETTINGS: Final = {
    ("workflow_dispatch", "inputs"): _dispatch_inputs,
    ("workflow_call", "inputs"): _call_inputs,
    ("workflow_call", "secrets"): _call_secrets,
    ("workflow_call", "outputs"): _call_outputs,
}
