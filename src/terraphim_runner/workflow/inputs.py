"""What a workflow takes and gives: ``inputs`` of ``workflow_dispatch``; ``inputs``, ``secrets`` and ``outputs`` of
``workflow_call``.

GitHub's parser is strict with calls, whose values have kinds, and lenient with dispatches, whose values are texts:
what cannot be right is an error of a call's definition, and a warning where GitHub only lets the run fail.
"""

from collections.abc import Mapping
from math import isfinite
from typing import Any, Final

from terraphim_runner.expressions.coercion import to_number
from terraphim_runner.workflow import nodes
from terraphim_runner.workflow.availability import CALL_INPUT_DEFAULT, CALL_OUTPUT
from terraphim_runner.workflow.fields import Shape, expected, listed, one_of, texts
from terraphim_runner.workflow.findings import Findings, shown
from terraphim_runner.workflow.nodes import Entry, Node, Scalar, Sequence
from terraphim_runner.workflow.scalars import as_text
from terraphim_runner.workflow.templates import is_expression, is_key, template

MAX_DISPATCH_INPUTS: Final = 25
"""GitHub refuses a workflow that asks for more."""

_DISPATCH_INPUT: Final = Shape(
    what="an input", keys=("description", "type", "required", "default", "options", "deprecationMessage")
)
_CALL_INPUT: Final = Shape(what="an input", keys=("description", "type", "required", "default"), required=("type",))
_CALL_SECRET: Final = Shape(what="a secret", keys=("description", "required"))
_CALL_OUTPUT: Final = Shape(what="an output", keys=("description", "value"), required=("value",))
_DISPATCH_TYPES: Final = ("string", "boolean", "number", "choice", "environment")
_CALL_TYPES: Final = ("string", "boolean", "number")
_RESERVED: Final = "github_token"


def dispatch_inputs(findings: Findings, node: Node) -> dict[str, Any]:
    """Return the definitions as plain values, by name; what is wrong is noted."""
    inputs: dict[str, Any] = {}
    for name, entries in _named(findings, node, "'inputs'", _DISPATCH_INPUT).items():
        inputs[name] = _input(findings, entries, _DISPATCH_TYPES)
        _check_options(findings, entries, inputs[name].get("type"))
        if "default" in entries:
            _check_dispatch_default(findings, name, entries["default"].value, inputs[name])
    if len(inputs) > MAX_DISPATCH_INPUTS:
        message = f"found {len(inputs)} inputs of 'workflow_dispatch', expected at most {MAX_DISPATCH_INPUTS}"
        findings.error(node, "too-many-inputs", message)
    return inputs


def call_inputs(findings: Findings, node: Node) -> dict[str, Any]:
    """Return the definitions as plain values, by name; what is wrong is noted."""
    inputs: dict[str, Any] = {}
    for name, entries in _named(findings, node, "'inputs'", _CALL_INPUT).items():
        inputs[name] = _input(findings, entries, _CALL_TYPES)
        default = entries.get("default")
        if default is not None:
            _check_call_default(findings, name, default, inputs[name])
    return inputs


def call_secrets(findings: Findings, node: Node) -> dict[str, Any]:
    """Return the definitions as plain values, by name; what is wrong is noted."""
    secrets: dict[str, Any] = {}
    for name, entries in _named(findings, node, "'secrets'", _CALL_SECRET).items():
        if name.lower() == _RESERVED:
            message = f"found the secret {shown(name)} of 'workflow_call', but GitHub gives every workflow its own"
            findings.error(_key_of(node, name), "reserved-name", message, fix="leave it out: it is always there")
        secrets[name] = {"required": _flag(findings, entries["required"].value)} if "required" in entries else {}
        if "description" in entries:
            _scalar(findings, "description", entries["description"].value)
    return secrets


def call_outputs(findings: Findings, node: Node) -> dict[str, Any]:
    """Return the definitions by name, each with the source of its ``value``; what is wrong is noted."""
    outputs: dict[str, Any] = {}
    for name, entries in _named(findings, node, "'outputs'", _CALL_OUTPUT).items():
        if "description" in entries:
            _scalar(findings, "description", entries["description"].value)
        if "value" in entries:
            value = template(findings, entries["value"].value, "'value'", CALL_OUTPUT)
            outputs[name] = {"value": value.source} if value else {}
    return outputs


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


def _key_of(node: Node, name: str) -> Node:
    return node.entries[name].key if isinstance(node, nodes.Mapping) else node


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
                if _scalar(findings, key, node) and isinstance(node, Scalar):
                    found[key] = node.value if key == "default" else as_text(node)
    return found


def _scalar(findings: Findings, key: str, node: Node) -> bool:
    if isinstance(node, Scalar):
        return True
    expected(findings, node, f"'{key}' as a string, a number or a boolean")
    return False


def _flag(findings: Findings, node: Node) -> bool | None:
    if isinstance(node, Scalar) and isinstance(node.value, bool):
        return node.value
    expected(findings, node, "true or false as 'required'")
    return None


def _check_options(findings: Findings, entries: Mapping[str, Entry], kind: str | None) -> None:
    options = entries.get("options")
    if kind == "choice":
        if options is None:
            findings.error(entries["type"].value, "missing-key", "found a 'choice' input without 'options'")
    elif options is not None and "type" in entries:
        findings.warning(options.key, "unused-options", "found 'options' of an input that is no 'choice'")


def _check_dispatch_default(findings: Findings, name: str, node: Node, definition: Mapping[str, Any]) -> None:
    if not isinstance(node, Scalar) or not as_text(node):
        return
    wanted = _unlike(as_text(node), definition)
    if wanted is not None:
        message = f"found the default {shown(node)} of the input {shown(name)}, expected {wanted}"
        findings.warning(node, "input-default", f"{message}: the run fails when nothing else is given")


def _unlike(text: str, definition: Mapping[str, Any]) -> str | None:
    """Return what a text would have to be for the input, None when it is that."""
    match definition.get("type"):
        case "boolean":
            return None if text.lower() in {"true", "false"} else "true or false"
        case "number":
            return None if isfinite(to_number(text)) else "a number"
        case "choice":
            options: list[str] = definition.get("options") or []
            return f"one of {listed(options)}" if options and text not in options else None
        case _:
            return None


def _check_call_default(findings: Findings, name: str, entry: Entry, definition: Mapping[str, Any]) -> None:
    node = entry.value
    template(findings, node, "'default'", CALL_INPUT_DEFAULT)
    if definition.get("required") is True:
        message = f"found a default of the input {shown(name)}, which every caller has to give"
        findings.warning(entry.key, "unused-default", message, fix="leave out 'default' or 'required: true'")
    kind = definition.get("type")
    wanted = _KINDS.get(kind or "")
    if wanted is None or not isinstance(node, Scalar) or is_expression(node):
        return
    if not isinstance(node.value, wanted) or isinstance(node.value, bool) is not (kind == "boolean"):
        found = f"found {nodes.kind(node)} {shown(node)} as the default of the input {shown(name)}"
        findings.error(node, "input-default", f"{found}, expected a {kind}, for that is its type")


_KINDS: Final[Mapping[str, tuple[type, ...]]] = {"boolean": (bool,), "number": (int, float)}
