"""``environment`` and ``snapshot``: what a job deploys to, and the image that is made of its machine."""

import re
from typing import Final

from terraphim_runner.workflow import nodes
from terraphim_runner.workflow.availability import JOB_ENVIRONMENT, JOB_ENVIRONMENT_URL, JOB_SNAPSHOT_IF
from terraphim_runner.workflow.fields import Shape, expected, text
from terraphim_runner.workflow.findings import Findings, shown
from terraphim_runner.workflow.nodes import Entry, Node, Scalar
from terraphim_runner.workflow.scalars import as_text
from terraphim_runner.workflow.templates import boolean, condition, template
from terraphim_runner.workflow.tree import Environment, Snapshot

_ENVIRONMENT: Final = Shape(what="'environment'", keys=("name", "url", "deployment"), required=("name",))
_VERSION: Final = re.compile(r"[0-9]{1,9}\.\*")
_SNAPSHOT: Final = Shape(what="'snapshot'", keys=("image-name", "version", "if"), required=("image-name",))


def parse_environment(findings: Findings, entry: Entry) -> Environment | None:
    """Return the environment; None for an empty name, which means that there is none, and, noted, for a broken one."""
    node, span = entry.value, findings.source.of(entry.key)
    if not isinstance(node, nodes.Mapping):
        if not isinstance(node, Scalar):
            expected(findings, node, "'environment' as a string or a mapping")
            return None
        if not as_text(node):
            return None
        name = template(findings, node, "'environment'", JOB_ENVIRONMENT)
        return None if name is None else Environment(name=name, span=span)
    entries = _ENVIRONMENT.read(findings, node, place=entry.key) or {}
    url, deployment = entries.get("url"), entries.get("deployment")
    address = template(findings, url.value, "'url'", JOB_ENVIRONMENT_URL) if url else None
    recorded = boolean(findings, deployment.value, "'deployment'", JOB_ENVIRONMENT) if deployment else None
    name = template(findings, entries["name"].value, "'name'", JOB_ENVIRONMENT) if "name" in entries else None
    if name is None:
        return None
    return Environment(name=name, span=span, url=address, deployment=recorded)


def parse_snapshot(findings: Findings, entry: Entry) -> Snapshot | None:
    """Return the snapshot; None, noted, when its image has no name."""
    node, span = entry.value, findings.source.of(entry.key)
    if not isinstance(node, nodes.Mapping):
        if not isinstance(node, Scalar):
            expected(findings, node, "'snapshot' as a string or a mapping")
            return None
        name = text(findings, node, "'snapshot'")
        return None if name is None else Snapshot(image_name=name, span=span)
    entries = _SNAPSHOT.read(findings, node, place=entry.key) or {}
    version = _version(findings, entries["version"].value) if "version" in entries else None
    when = condition(findings, entries["if"].value, JOB_SNAPSHOT_IF) if "if" in entries else None
    name = text(findings, entries["image-name"].value, "'image-name'") if "image-name" in entries else None
    return None if name is None else Snapshot(image_name=name, span=span, version=version, condition=when)


def _version(findings: Findings, node: Node) -> str | None:
    """Return the version: GitHub counts the minor ones itself, so only the major one can be asked for."""
    version = text(findings, node, "'version'")
    if version is not None and not _VERSION.fullmatch(version):
        message = f"found {shown(version)} as a snapshot's 'version', expected a major version and '.*'"
        findings.error(node, "snapshot-version", message, fix="write it as in '2.*'")
        return None
    return version
