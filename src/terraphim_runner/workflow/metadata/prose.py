"""Text for people, and what GitHub's runner does not read: no expression may stand in either.

GitHub's reader looks for ``${{`` in every string of the file, whether or not anybody uses that string: an example of
how to call the action, put into a description, keeps it from running.
"""

from terraphim_runner.workflow import nodes
from terraphim_runner.workflow.fields import text
from terraphim_runner.workflow.findings import Findings
from terraphim_runner.workflow.nodes import Node, Scalar, Sequence
from terraphim_runner.workflow.scalars import as_text

_OPENING = "${{"


def prose(findings: Findings, node: Node, what: str, *, is_ignored: bool = False) -> str | None:
    """Return a text that may be empty; None, noted, for what is none or holds an expression.

    ``is_ignored`` says that GitHub's runner takes anything there, so that no text is only worth a warning.
    """
    if not refuse_expressions(findings, node, what):
        return None
    if not is_ignored:
        return text(findings, node, what, may_be_empty=True)
    if not isinstance(node, Scalar):
        findings.warning(node, "type", f"found {nodes.kind(node)}, expected {what} as a string")
        return None
    return as_text(node)


def refuse_expressions(findings: Findings, node: Node, what: str) -> bool:
    """Tell whether no expression stands in a value that nobody reads, at any depth; each is noted."""
    if isinstance(node, Scalar):
        if not isinstance(node.value, str) or _OPENING not in node.value:
            return True
        place = findings.source.inside(node, node.value.index(_OPENING), len(_OPENING))
        message = f"found an expression in {what}, where none may stand"
        findings.error(place, "expression-place", message, fix="leave '${{' out: GitHub reads it in every text")
        return False
    if isinstance(node, Sequence):
        items = list(node.items)
    else:
        items = [part for entry in node.entries.values() for part in (entry.key, entry.value)]
    found = [item for item in items if not refuse_expressions(findings, item, what)]
    return not found
