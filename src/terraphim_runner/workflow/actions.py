"""``uses`` of a step: the action that it names, and the inputs of the one that is built in."""

from typing import Final

from terraphim_runner.workflow import nodes
from terraphim_runner.workflow.fields import guess_for, listed, text
from terraphim_runner.workflow.findings import Findings, shown
from terraphim_runner.workflow.nodes import Node
from terraphim_runner.workflow.references import ActionReference, ReferenceProblemError, RemoteAction, action_reference

CHECKOUT: Final = "actions/checkout"

CHECKOUT_INPUTS: Final = (
    *("allow-unsafe-pr-checkout", "clean", "fetch-depth", "fetch-tags", "filter", "github-server-url", "lfs", "path"),
    "persist-credentials",
    *("ref", "repository", "set-safe-directory", "show-progress", "sparse-checkout", "sparse-checkout-cone-mode"),
    *("ssh-key", "ssh-known-hosts", "ssh-strict", "ssh-user", "submodules", "token"),
)


def parse_uses(findings: Findings, node: Node) -> tuple[str, ActionReference] | None:
    """Return the action's reference, verbatim and taken apart; None, noted, when it is none."""
    uses = text(findings, node, "'uses'")
    if uses is None:
        return None
    try:
        return uses, action_reference(uses)
    except ReferenceProblemError as problem:
        findings.error(node, "uses", f"found {shown(uses)} as 'uses', {problem.message}", fix=problem.fix)
        return None


def is_checkout(action: ActionReference) -> bool:
    """Tell whether the action is ``actions/checkout``, which is built in."""
    return isinstance(action, RemoteAction) and not action.path and action.full_name.lower() == CHECKOUT


def check_inputs(findings: Findings, node: Node) -> None:
    """Warn of inputs that ``actions/checkout`` does not know."""
    if not isinstance(node, nodes.Mapping):
        return
    for name, entry in node.entries.items():
        if name.lower() not in CHECKOUT_INPUTS and "${{" not in name:
            message = f"found the input {shown(name)} of '{CHECKOUT}', expected one of {listed(CHECKOUT_INPUTS)}"
            findings.warning(entry.key, "unknown-input", message + guess_for(findings, name, CHECKOUT_INPUTS))
