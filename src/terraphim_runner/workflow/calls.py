"""Jobs that call a reusable workflow: which one, and what they hand to it."""

from typing import Any, Final

from terraphim_runner.expressions import Template
from terraphim_runner.workflow import nodes
from terraphim_runner.workflow.availability import JOB_SECRETS, JOB_WITH
from terraphim_runner.workflow.fields import expected, text
from terraphim_runner.workflow.findings import Findings, shown
from terraphim_runner.workflow.nodes import Entry, Node, Scalar
from terraphim_runner.workflow.references import ReferenceProblemError, workflow_reference
from terraphim_runner.workflow.templates import scalars

_INHERIT: Final = "inherit"


def parse_call(findings: Findings, entries: dict[str, Entry]) -> dict[str, Any] | None:
    """Return the fields of the call; None, noted, when no workflow is named. ``entries`` has ``uses``."""
    node = entries["uses"].value
    inputs, secrets = entries.get("with"), entries.get("secrets")
    fields: dict[str, Any] = {"uses_span": findings.source.of(node)}
    if inputs:
        fields["with_"] = scalars(findings, inputs.value, "'with'", JOB_WITH)
    if secrets:
        fields["secrets"], fields["inherits_secrets"] = _secrets(findings, secrets.value)
    uses = text(findings, node, "'uses'")
    if uses is None:
        return None
    try:
        return {**fields, "uses": uses, "workflow": workflow_reference(uses)}
    except ReferenceProblemError as problem:
        findings.error(node, "uses", f"found {shown(uses)} as 'uses' of a job, {problem.message}", fix=problem.fix)
        return None


def _secrets(findings: Findings, node: Node) -> tuple[dict[str, Template], bool]:
    if isinstance(node, Scalar):
        if node.value == _INHERIT:
            return {}, True
        expected(findings, node, "a mapping of secrets, or 'inherit'")
        return {}, False
    if not isinstance(node, nodes.Mapping):
        expected(findings, node, "a mapping of secrets, or 'inherit'")
        return {}, False
    return scalars(findings, node, "'secrets'", JOB_SECRETS), False
