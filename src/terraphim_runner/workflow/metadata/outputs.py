"""``outputs``: what an action hands back, and, in a composite action, where each value comes from."""

from typing import Any, Final

from terraphim_runner.workflow import nodes
from terraphim_runner.workflow.fields import Shape, expected
from terraphim_runner.workflow.findings import Findings, shown
from terraphim_runner.workflow.metadata.availability import OUTPUT_VALUE
from terraphim_runner.workflow.metadata.prose import prose
from terraphim_runner.workflow.metadata.tree import ActionOutput
from terraphim_runner.workflow.nodes import Entry, Node
from terraphim_runner.workflow.templates import is_key, template

_KEYS: Final = ("description", "value")


def parse_outputs(findings: Findings, node: Node, *, is_composite: bool | None) -> dict[str, ActionOutput]:
    """Return the outputs by their names; those with mistakes are noted and left out.

    ``is_composite`` is None when it is not known what the action runs.
    """
    if not isinstance(node, nodes.Mapping):
        expected(findings, node, "'outputs' as a mapping of names to outputs")
        return {}
    found: dict[str, ActionOutput] = {}
    for name, entry in node.entries.items():
        if not is_key(findings, name, entry, "'outputs'", None):
            continue
        entries = Shape(what=f"the output {shown(name)}", keys=_KEYS).read(findings, entry.value)
        if entries is not None:
            found[name] = _output(findings, name, entry, entries, is_composite=is_composite)
    return found


def _output(
    findings: Findings, name: str, entry: Entry, entries: dict[str, Entry], *, is_composite: bool | None
) -> ActionOutput:
    fields: dict[str, Any] = {}
    for key, part in entries.items():
        what = f"'{key}' of the output {shown(name)}"
        if key == "value":
            fields[key] = template(findings, part.value, what, OUTPUT_VALUE)
        else:
            fields[key] = prose(findings, part.value, what)
    if is_composite and "value" not in entries:
        message = f"the output {shown(name)} of a composite action has no 'value', so it is always empty"
        findings.warning(entry.key, "output-value", message)
    if is_composite is False and "value" in entries:
        message = f"found 'value' of the output {shown(name)}, which only a composite action has"
        findings.warning(entries["value"].key, "output-value", message, fix="the action sets its outputs itself")
    return ActionOutput(name=name, span=findings.source.of(entry.key), **fields)
