"""``uses``: which actions a step may name, and the inputs of the ones that are built in."""

import re
from typing import Final

from terraphim_runner.workflow import nodes
from terraphim_runner.workflow.fields import guess, listed, not_supported, text
from terraphim_runner.workflow.findings import Findings, shown
from terraphim_runner.workflow.nodes import Node, Scalar

CHECKOUT: Final = "actions/checkout"
_REFERENCE: Final = re.compile(r"(?P<action>[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+(?:/[^@\s]+)?)(?:@(?P<ref>\S+))?")

_CHECKOUT_INPUTS: Final = (
    *("clean", "fetch-depth", "fetch-tags", "lfs", "path", "persist-credentials", "ref", "repository"),
    *("set-safe-directory", "show-progress", "submodules", "token"),
)
_CHECKOUT_LATER: Final = {
    "filter": "objects are never fetched partially",
    "github-server-url": "only the server that the workflow comes from is asked",
    "sparse-checkout": "the whole tree is checked out",
    "sparse-checkout-cone-mode": "the whole tree is checked out",
    "ssh-key": "no key is ever put into the machine",
    "ssh-known-hosts": "no SSH is used",
    "ssh-strict": "no SSH is used",
    "ssh-user": "no SSH is used",
}
_CHECKOUT_OFF: Final = ("lfs", "submodules")


def parse_uses(findings: Findings, node: Node) -> str | None:
    """Return the action's reference, verbatim; None, noted, when it is none or one that cannot be run yet."""
    uses = text(findings, node, "'uses'")
    if uses is None:
        return None
    if uses.startswith("docker://"):
        not_supported(findings, node, f"the container action {shown(uses)}", "no container is started for a step")
        return None
    if uses.startswith(("./", ".\\", "../")):
        not_supported(findings, node, f"the local action {shown(uses)}", "no action file of the repository is read")
        return None
    found = _REFERENCE.fullmatch(uses)
    if not found or not found["ref"]:
        fix = f"name a tag, a branch or a commit, as in '{CHECKOUT}@v4'" if found else None
        message = f"found {shown(uses)} as 'uses', expected 'owner/repository@ref'"
        findings.error(node, "uses", message, fix=fix)
        return None
    if found["action"].lower() != CHECKOUT:
        not_supported(findings, node, f"the action {shown(uses)}", f"only '{CHECKOUT}' is built in")
        return None
    return uses


def check_inputs(findings: Findings, node: Node) -> None:
    """Note what ``actions/checkout`` does not know or cannot do yet."""
    if not isinstance(node, nodes.Mapping):
        return
    for name, entry in node.entries.items():
        key = name.lower()
        if key in _CHECKOUT_LATER:
            not_supported(findings, entry.key, f"the input '{key}' of '{CHECKOUT}'", _CHECKOUT_LATER[key])
        elif key not in _CHECKOUT_INPUTS:
            message = f"found the input {shown(name)} of '{CHECKOUT}', expected one of {listed(_CHECKOUT_INPUTS)}"
            findings.warning(entry.key, "unknown-input", message + guess(name, _CHECKOUT_INPUTS))
        elif key in _CHECKOUT_OFF and isinstance(entry.value, Scalar) and entry.value.text.lower() != "false":
            not_supported(findings, entry.value, f"'{key}: {entry.value.text[:40]}'", f"'{CHECKOUT}' leaves it out")
