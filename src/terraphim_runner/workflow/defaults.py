"""``defaults``: the shell and the working directory of ``run`` steps that name none."""

from typing import Final

from terraphim_runner.expressions import Availability
from terraphim_runner.workflow.fields import Shape, text
from terraphim_runner.workflow.findings import Findings
from terraphim_runner.workflow.nodes import Node
from terraphim_runner.workflow.templates import Template, expression, is_expression, template
from terraphim_runner.workflow.tree import RunDefaults

_DEFAULTS: Final = Shape(what="'defaults'", keys=("run",))
_RUN: Final = Shape(what="'defaults.run'", keys=("shell", "working-directory"))


def parse_defaults(findings: Findings, node: Node, allowed: Availability | None) -> RunDefaults:
    """Return the defaults; ``allowed`` None means that no expression may stand there, as at the workflow's level."""
    entries = _DEFAULTS.read(findings, node) or {}
    if "run" not in entries:
        return RunDefaults()
    run = entries["run"].value
    if allowed is not None and is_expression(run):
        return RunDefaults(whole=expression(findings, run, "'defaults.run' as a mapping", allowed))
    values: dict[str, Template | None] = {}
    for name, entry in (_RUN.read(findings, run) or {}).items():
        if allowed is not None:
            values[name] = template(findings, entry.value, f"'{name}'", allowed, may_be_empty=False)
        else:
            plain = text(findings, entry.value, f"'{name}'")
            span = findings.source.of(entry.value)
            values[name] = None if plain is None else Template.literal(plain, span)
    return RunDefaults(shell=values.get("shell"), working_directory=values.get("working-directory"))
