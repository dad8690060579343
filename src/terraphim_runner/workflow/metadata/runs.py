"""``runs``: what an action is made of, and how it is started."""

from collections.abc import Callable
from typing import Any, Final

from terraphim_runner.expressions import Availability, ExpressionError, parse
from terraphim_runner.workflow import nodes
from terraphim_runner.workflow.fields import Shape, expected, guess, listed, text
from terraphim_runner.workflow.findings import Findings, shown
from terraphim_runner.workflow.metadata.availability import DOCKER_ARGS, DOCKER_ENV, POST_IF, PRE_IF
from terraphim_runner.workflow.metadata.composite import parse_composite_steps
from terraphim_runner.workflow.metadata.tree import (
    NODE_RUNTIMES,
    ActionRuns,
    CompositeRuns,
    DockerRuns,
    NodeRuns,
    PluginRuns,
)
from terraphim_runner.workflow.nodes import Entry, Node, Sequence
from terraphim_runner.workflow.templates import is_expression, template, templates
from terraphim_runner.workflow.tree import Condition

_DOCKER_KEYS: Final = ("entrypoint", "args", "env", "pre-entrypoint", "pre-if", "post-entrypoint", "post-if")
_NODE_KEYS: Final = ("pre", "pre-if", "post", "post-if")

_SHAPES: Final = {
    "composite": Shape(what="'runs' of a composite action", keys=("using", "steps"), required=("steps",)),
    "docker": Shape(what="'runs' of a container action", keys=("using", "image", *_DOCKER_KEYS), required=("image",)),
    "node": Shape(what="'runs' of a JavaScript action", keys=("using", "main", *_NODE_KEYS), required=("main",)),
}
_PLUGIN: Final = Shape(what="'runs' of a plugin", keys=("plugin",))
_TELLTALE: Final = {"main": "node", "image": "docker", "steps": "composite"}
"""The key that says what an action is when ``using`` does not; the first that is there."""

USING: Final = ("composite", "docker", *NODE_RUNTIMES)


def parse_runs(findings: Findings, entry: Entry) -> ActionRuns | None:
    """Return what the action runs; None, noted, when that cannot be."""
    node = entry.value
    if not isinstance(node, nodes.Mapping):
        expected(findings, node, "'runs' as a mapping")
        return None
    span = findings.source.of(entry.key)
    if "using" not in node.entries and "plugin" in node.entries:
        entries = _PLUGIN.read(findings, node) or {}
        plugin = text(findings, entries["plugin"].value, "'plugin'")
        return None if plugin is None else PluginRuns(span=span, plugin=plugin)
    using = _using(findings, entry, node)
    kind = _kind(using, node)
    if kind is None:
        return None
    entries = _SHAPES[kind].read(findings, node, place=entry.key)
    if entries is None:
        return None
    fields = {key.replace("-", "_"): _READ[key](findings, part.value) for key, part in entries.items() if key in _READ}
    return _made(kind, using, {"span": span, **fields})


def _made(kind: str, using: str | None, fields: dict[str, Any]) -> ActionRuns | None:
    if using is None:
        return None
    match kind:
        case "composite":
            return CompositeRuns(**fields) if "steps" in fields else None
        case "docker":
            return DockerRuns(**fields) if fields.get("image") is not None else None
        case _:
            return NodeRuns(using=using, **fields) if fields.get("main") is not None else None


def _using(findings: Findings, entry: Entry, node: nodes.Mapping) -> str | None:
    """Return the runtime, in lower case: GitHub's runner compares without case. None, noted, when there is none."""
    if "using" not in node.entries:
        findings.error(entry.key, "missing-key", f"'runs' has no 'using', expected one of {listed(USING)}")
        return None
    place = node.entries["using"].value
    using = text(findings, place, "'using'")
    if using is None or using.lower() in USING:
        return using and using.lower()
    message = f"found {shown(using)} as 'using', expected one of {listed(USING)}"
    findings.error(place, "unknown-value", message + guess(using, USING))
    return None


def _kind(using: str | None, node: nodes.Mapping) -> str | None:
    if using is not None:
        return "node" if using in NODE_RUNTIMES else using
    return next((kind for key, kind in _TELLTALE.items() if key in node.entries), None)


# One reader per key.


def _text(key: str) -> Callable[[Findings, Node], str | None]:
    return lambda findings, node: text(findings, node, f"'{key}'")


def _condition(key: str, allowed: Availability) -> Callable[[Findings, Node], Condition | None]:
    """Return a reader of a condition without an implied ``success()``, and without ``${{ }}``: GitHub takes none."""

    def read(findings: Findings, node: Node) -> Condition | None:
        if is_expression(node):
            message = f"found '${{{{ }}}}' in '{key}', expected a condition without it: GitHub takes none here"
            findings.error(node, "expression-place", message, fix="write the condition alone")
            return None
        source = text(findings, node, f"'{key}'")
        if source is None or not isinstance(node, nodes.Scalar):
            return None
        try:
            expression = parse(source, allowed=allowed)
        except ExpressionError as error:
            findings.error(findings.source.inside(node, error.offset, error.length), "expression", error.message)
            return None
        return Condition(expression=expression, source=source, span=findings.source.of(node))

    return read


def _args(findings: Findings, node: Node) -> tuple[Any, ...]:
    if not isinstance(node, Sequence):
        expected(findings, node, "'args' as a sequence of strings")
        return ()
    items = [template(findings, item, "an item of 'args'", DOCKER_ARGS) for item in node.items]
    return tuple(item for item in items if item is not None)


def _env(findings: Findings, node: Node) -> dict[str, Any]:
    return templates(findings, node, "'env'", DOCKER_ENV, keys=DOCKER_ENV)


_READ: Final[dict[str, Callable[[Findings, Node], Any]]] = {
    **{key: _text(key) for key in ("image", "entrypoint", "pre-entrypoint", "post-entrypoint", "main", "pre", "post")},
    "args": _args,
    "env": _env,
    "pre-if": _condition("pre-if", PRE_IF),
    "post-if": _condition("post-if", POST_IF),
    "steps": parse_composite_steps,
}
