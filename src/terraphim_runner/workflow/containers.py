"""``container`` and ``services``: the containers that a job's steps run in and beside."""

from typing import Any, Final

from terraphim_runner.expressions import Availability, Template
from terraphim_runner.workflow import nodes
from terraphim_runner.workflow.availability import CONTAINER, CONTAINER_CREDENTIALS, CONTAINER_ENV, SERVICES
from terraphim_runner.workflow.fields import Shape, expected
from terraphim_runner.workflow.findings import Findings, shown
from terraphim_runner.workflow.nodes import Entry, Node, Scalar, Sequence
from terraphim_runner.workflow.scalars import as_text
from terraphim_runner.workflow.templates import expression, is_expression, is_key, sequence, template, templates
from terraphim_runner.workflow.tree import Container, Credentials, EnvTemplate, Service

_KEYS: Final = ("image", "credentials", "env", "ports", "volumes", "options")
_CONTAINER: Final = Shape(what="'container'", keys=_KEYS, required=("image",))
_SERVICE: Final = Shape(what="a service", keys=(*_KEYS, "entrypoint", "command"), required=("image",))
_URI: Final = "docker://"
_CREDENTIALS: Final = Shape(what="'credentials'", keys=("username", "password"))


def parse_container(findings: Findings, entry: Entry) -> Container | None:
    """Return the job's container; None for an empty image, which means that there is none, and, noted, for no image."""
    if isinstance(entry.value, Scalar) and not as_text(entry.value):
        return None
    fields = _fields(findings, entry, _CONTAINER, CONTAINER)
    return None if fields is None else Container(**fields)


def parse_services(findings: Findings, node: Node) -> dict[str, Service] | Template:
    """Return the services by their names, or the one expression that yields them; what is wrong is noted."""
    if is_expression(node):
        whole = expression(findings, node, "'services' as a mapping", SERVICES)
        return {} if whole is None else whole
    if not isinstance(node, nodes.Mapping):
        expected(findings, node, "'services' as a mapping of names to containers")
        return {}
    services: dict[str, Service] = {}
    for name, entry in node.entries.items():
        if is_key(findings, name, entry, "'services'", SERVICES):
            fields = _fields(findings, entry, _SERVICE, SERVICES)
            if fields is not None:
                services[name] = Service(**fields)
    return services


def _fields(findings: Findings, entry: Entry, shape: Shape, allowed: Availability) -> dict[str, Any] | None:
    """Return what the short or the long form says; None, noted, without an image."""
    node = entry.value
    fields: dict[str, Any] = {"span": findings.source.of(entry.key)}
    if isinstance(node, Sequence):
        expected(findings, node, f"{shape.what} as an image or a mapping")
        return None
    if not isinstance(node, nodes.Mapping):
        fields["image"] = _image(findings, node, f"an image for {shown(entry.key)}", allowed)
        return fields if fields["image"] is not None else None
    for name, part in (shape.read(findings, node, place=entry.key) or {}).items():
        match name:
            case "image":
                fields["image"] = _image(findings, part.value, "'image'", allowed)
            case "credentials":
                fields["credentials"] = _credentials(findings, part.value)
            case "env":
                fields["env"] = _environment(findings, part.value, allowed)
            case "ports" | "volumes":
                fields[name] = sequence(findings, part.value, f"'{name}'", allowed)
            case _:
                fields[name] = template(findings, part.value, f"'{name}'", allowed)
    return fields if fields.get("image") is not None else None


def _image(findings: Findings, node: Node, what: str, allowed: Availability) -> Template | None:
    if isinstance(node, Scalar) and as_text(node) == _URI:
        expected(findings, node, f"{what} after '{_URI}'")
        return None
    return template(findings, node, what, allowed, may_be_empty=False)


def _environment(findings: Findings, node: Node, allowed: Availability) -> EnvTemplate:
    """Return the variables. Only their values may name more than the rest of the container may: secrets above all."""
    if isinstance(node, nodes.Mapping):
        return templates(findings, node, "'env'", CONTAINER_ENV, keys=allowed)
    whole = expression(findings, node, "'env' as a mapping", allowed)
    return {} if whole is None else whole


def _credentials(findings: Findings, node: Node) -> Credentials | Template | None:
    if is_expression(node):
        return expression(findings, node, "'credentials' as a mapping", CONTAINER_CREDENTIALS)
    read = _CREDENTIALS.read(findings, node)
    if read is None:
        return None
    values = {
        name: template(findings, part.value, f"'{name}'", CONTAINER_CREDENTIALS, may_be_empty=False)
        for name, part in read.items()
    }
    return Credentials(username=values.get("username"), password=values.get("password"))
