"""``runs.steps``: the steps of a composite action. Fewer keys than a job's steps have, and always a shell."""

from typing import Any, Final

from terraphim_runner.model.source import Related
from terraphim_runner.workflow import nodes
from terraphim_runner.workflow.actions import parse_uses
from terraphim_runner.workflow.fields import Shape, expected
from terraphim_runner.workflow.findings import Findings
from terraphim_runner.workflow.metadata.availability import STEP_IF, step
from terraphim_runner.workflow.nodes import Entry, Node, Sequence
from terraphim_runner.workflow.step_ids import StepIds
from terraphim_runner.workflow.templates import boolean, condition, environment, template
from terraphim_runner.workflow.tree import EnvTemplate, RunStep, UsesStep

_SHARED: Final = ("id", "name", "if", "env", "continue-on-error")
_RUN: Final = Shape(
    what="a step with 'run'", keys=(*_SHARED, "run", "shell", "working-directory"), required=("run", "shell")
)
_USES: Final = Shape(what="a step with 'uses'", keys=(*_SHARED, "uses", "with"), required=("uses",))
_WAITING: Final = frozenset({"wait", "wait-all", "cancel", "parallel"})


def parse_composite_steps(findings: Findings, node: Node) -> tuple[RunStep | UsesStep, ...]:
    """Return a composite action's steps; those with mistakes are noted and left out."""
    if not isinstance(node, Sequence):
        expected(findings, node, "'steps' as a sequence")
        return ()
    ids = StepIds(findings, scope="action")
    steps = [_step(findings, item, ids) for item in node.items]
    return tuple(found for found in steps if found is not None)


def _step(findings: Findings, node: Node, ids: StepIds) -> RunStep | UsesStep | None:
    if not isinstance(node, nodes.Mapping):
        expected(findings, node, "a step as a mapping with 'run' or 'uses'")
        return None
    given = node.entries
    if "run" not in given and "uses" not in given:
        waiting = next((entry.key for key, entry in given.items() if key in _WAITING), None)
        found = "a step without a task" if waiting is None else f"'{waiting.text}' in a composite action"
        findings.error(waiting or node, "step-kind", f"found {found}, expected 'run' or 'uses'")
        return None
    if "run" in given and "uses" in given:
        first, second = sorted((given["run"].key, given["uses"].key), key=lambda key: key.start)
        message = f"found both '{second.text}' and '{first.text}' in one step, expected one of them"
        related = Related(message="the other one", span=findings.source.of(first))
        findings.error(second, "step-kind", message, related=(related,))
        return None
    shape, read = (_RUN, _run) if "run" in given else (_USES, _uses)
    entries = shape.read(findings, node) or {}
    return read(findings, entries, _shared(findings, node, entries, ids))


def _shared(findings: Findings, node: Node, entries: dict[str, Entry], ids: StepIds) -> dict[str, Any]:
    shared: dict[str, Any] = {"span": findings.source.of(node)}
    for key, entry in entries.items():
        value = entry.value
        match key:
            case "id":
                shared["id"] = ids.define(entry, in_background=False)
            case "name":
                shared["name"] = template(findings, value, "'name'", step("name"))
            case "if":
                shared["condition"] = condition(findings, value, STEP_IF)
            case "env":
                shared["env"] = environment(findings, value, "'env'", step("env"))
            case "continue-on-error":
                shared["continue_on_error"] = boolean(findings, value, f"'{key}'", step(key))
            case _:
                pass
    return shared


def _run(findings: Findings, entries: dict[str, Entry], own: dict[str, Any]) -> RunStep | None:
    parts: dict[str, Any] = {
        key.replace("-", "_"): template(findings, entries[key].value, f"'{key}'", step(key))
        for key in ("run", "shell", "working-directory")
        if key in entries
    }
    script = parts.pop("run")
    return None if script is None else RunStep(**own, **parts, run=script)


def _uses(findings: Findings, entries: dict[str, Entry], own: dict[str, Any]) -> UsesStep | None:
    uses = entries["uses"].value
    found = parse_uses(findings, uses)
    values: EnvTemplate = {}
    if "with" in entries:
        values = environment(findings, entries["with"].value, "'with'", step("with"))
    if found is None:
        return None
    return UsesStep(**own, uses=found[0], uses_span=findings.source.of(uses), action=found[1], with_=values)
