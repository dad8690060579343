"""``strategy``: the matrix as it is written. Planning expands it, for expressions may be anywhere in it."""

from typing import Final

from terraphim_runner.expressions import TemplateTree
from terraphim_runner.workflow import nodes
from terraphim_runner.workflow.availability import JOB_STRATEGY
from terraphim_runner.workflow.fields import Shape, expected
from terraphim_runner.workflow.findings import Findings, shown
from terraphim_runner.workflow.nodes import Entry, Node, Sequence
from terraphim_runner.workflow.templates import boolean, expression, is_expression, is_key, number, tree
from terraphim_runner.workflow.tree import Strategy

_SHAPE: Final = Shape(what="'strategy'", keys=("matrix", "fail-fast", "max-parallel"))
_FILTERS: Final = ("include", "exclude")


def parse_strategy(findings: Findings, entry: Entry) -> Strategy | None:
    """Return a job's strategy; None, noted, when it is none."""
    node = entry.value
    if is_expression(node):
        whole = expression(findings, node, "'strategy' as a mapping", JOB_STRATEGY)
        return None if whole is None else Strategy(span=findings.source.of(entry.key), whole=whole)
    entries = _SHAPE.read(findings, node)
    if entries is None:
        return None
    matrix = _matrix(findings, entries["matrix"].value) if "matrix" in entries else None
    fail_fast = entries.get("fail-fast")
    max_parallel = entries.get("max-parallel")
    return Strategy(
        span=findings.source.of(entry.key),
        matrix=matrix,
        fail_fast=boolean(findings, fail_fast.value, "'fail-fast'", JOB_STRATEGY) if fail_fast else None,
        max_parallel=number(findings, max_parallel.value, "'max-parallel'", JOB_STRATEGY) if max_parallel else None,
    )


def _matrix(findings: Findings, node: Node) -> TemplateTree | None:
    if is_expression(node):
        return tree(findings, node, "'matrix'", JOB_STRATEGY)
    if not isinstance(node, nodes.Mapping):
        expected(findings, node, "'matrix' as a mapping or an expression")
        return None
    if not any(name != "exclude" and not _is_empty_include(name, entry.value) for name, entry in node.entries.items()):
        found_what = "an empty matrix" if not node.entries else "a matrix without values"
        findings.error(node, "matrix-empty", f"found {found_what}, expected at least one vector or 'include'")
    found: dict[str, TemplateTree] = {}
    for name, entry in node.entries.items():
        if not is_key(findings, name, entry, "'matrix'", JOB_STRATEGY):
            continue
        _check_vector(findings, name, entry.value)
        value = tree(findings, entry.value, "'matrix'", JOB_STRATEGY)
        if value is not None:
            found[name] = value
    return found


def _is_empty_include(name: str, node: Node) -> bool:
    return name == "include" and isinstance(node, Sequence) and not node.items


def _check_vector(findings: Findings, name: str, node: Node) -> None:
    if is_expression(node):
        return
    what = f"'{name}'" if name in _FILTERS else f"the matrix vector {shown(name)}"
    if not isinstance(node, Sequence):
        expected(findings, node, f"{what} as a sequence or an expression")
    elif name in _FILTERS:
        for item in node.items:
            if not isinstance(item, nodes.Mapping) and not is_expression(item):
                expected(findings, item, f"a mapping as an item of {what}")
    elif not node.items:
        findings.error(node, "matrix-empty", f"{what} is empty, expected at least one value")
