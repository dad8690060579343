"""``inputs``: what an action can be handed by ``with``."""

from typing import Any

from terraphim_runner.workflow import nodes
from terraphim_runner.workflow.fields import expected
from terraphim_runner.workflow.findings import Findings, shown
from terraphim_runner.workflow.metadata.availability import INPUT_DEFAULT
from terraphim_runner.workflow.metadata.prose import prose, refuse_expressions
from terraphim_runner.workflow.metadata.tree import ActionInput
from terraphim_runner.workflow.nodes import Entry, Node, Scalar
from terraphim_runner.workflow.templates import is_key, template


def parse_inputs(findings: Findings, node: Node) -> dict[str, ActionInput]:
    """Return the inputs by their names; those with mistakes are noted and left out."""
    if not isinstance(node, nodes.Mapping):
        expected(findings, node, "'inputs' as a mapping of names to inputs")
        return {}
    found: dict[str, ActionInput] = {}
    for name, entry in node.entries.items():
        if not is_key(findings, name, entry, "'inputs'", None):
            continue
        if not isinstance(entry.value, nodes.Mapping):
            expected(findings, entry.value, f"the input {shown(name)} as a mapping")
            continue
        found[name] = _input(findings, name, entry, entry.value)
    return found


def _input(findings: Findings, name: str, entry: Entry, body: nodes.Mapping) -> ActionInput:
    fields: dict[str, Any] = {}
    for key, part in body.entries.items():
        what = f"'{key}' of the input {shown(name)}"
        # GitHub's runner finds these keys without their case; others, such as 'type', it leaves alone.
        match key.lower():
            case "default":
                fields["default"] = template(findings, part.value, what, INPUT_DEFAULT)
            case "description":
                fields["description"] = prose(findings, part.value, what, is_ignored=True)
            case "deprecationmessage":
                fields["deprecation_message"] = prose(findings, part.value, what)
            case "required":
                fields["required"] = _required(findings, part.value, what)
            case _:
                if is_key(findings, key, part, f"the input {shown(name)}", None):
                    refuse_expressions(findings, part.value, what)
    return ActionInput(name=name, span=findings.source.of(entry.key), **fields)


def _required(findings: Findings, node: Node, what: str) -> bool:
    if isinstance(node, Scalar) and isinstance(node.value, bool):
        return node.value
    if refuse_expressions(findings, node, what):
        found = nodes.kind(node) + (f" {shown(node)}" if isinstance(node, Scalar) and node.text else "")
        findings.warning(node, "type", f"found {found}, expected true or false as {what}")
    return isinstance(node, Scalar) and node.text.lower() == "true"
