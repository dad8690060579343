"""``permissions``: which rights of the token a workflow or a job asks for. Data only; nothing is granted here."""

from typing import Final

from terraphim_runner.workflow import nodes
from terraphim_runner.workflow.fields import Shape, expected, one_of
from terraphim_runner.workflow.findings import Findings
from terraphim_runner.workflow.nodes import Node, Scalar

_ANY: Final = ("read", "write", "none")
_LEVELS: Final[dict[str, tuple[str, ...]]] = {
    **dict.fromkeys(
        (
            *("actions", "artifact-metadata", "attestations", "checks", "code-quality", "contents", "deployments"),
            *("discussions", "drives", "issues", "packages", "pages", "pull-requests", "repository-projects"),
            *("security-events", "statuses"),
        ),
        _ANY,
    ),
    "copilot-requests": ("write", "none"),
    "id-token": ("write", "none"),
    "models": ("read", "none"),
    "vulnerability-alerts": ("read", "none"),
}
_SHORTHANDS: Final = {
    "read-all": {name: "read" for name, levels in _LEVELS.items() if "read" in levels},
    "write-all": {name: "write" if "write" in levels else "read" for name, levels in _LEVELS.items()},
}
_SHAPE: Final = Shape(what="'permissions'", keys=tuple(_LEVELS))


def parse_permissions(findings: Findings, node: Node) -> dict[str, str] | None:
    """Return each right that is asked for with its level; ``read-all`` and ``write-all`` are written out."""
    if isinstance(node, Scalar):
        if isinstance(node.value, str) and node.value in _SHORTHANDS:
            return _SHORTHANDS[node.value]
        expected(findings, node, "a mapping of permissions, 'read-all' or 'write-all'")
        return None
    if not isinstance(node, nodes.Mapping):
        expected(findings, node, "a mapping of permissions, 'read-all' or 'write-all'")
        return None
    granted: dict[str, str] = {}
    for name, entry in (_SHAPE.read(findings, node) or {}).items():
        level = one_of(findings, entry.value, f"the level of '{name}'", _LEVELS[name])
        if level is not None:
            granted[name] = level
    return granted
