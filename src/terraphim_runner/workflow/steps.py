"""``steps``: what a job does, one step after the other."""

from typing import Any, Final

from terraphim_runner.expressions import Template
from terraphim_runner.model.source import Related
from terraphim_runner.workflow import nodes
from terraphim_runner.workflow.actions import check_inputs, parse_uses
from terraphim_runner.workflow.availability import STEP_IF, step
from terraphim_runner.workflow.fields import Shape, expected, identifier, text
from terraphim_runner.workflow.findings import Findings, shown
from terraphim_runner.workflow.nodes import Entry, Node, Scalar, Sequence
from terraphim_runner.workflow.scalars import as_text
from terraphim_runner.workflow.templates import boolean, condition, environment, number, template
from terraphim_runner.workflow.tree import EnvTemplate, RunStep, Step, UsesStep

_SHARED: Final = ("id", "if", "name", "env", "continue-on-error", "timeout-minutes")
_RUN_ONLY: Final = ("run", "shell", "working-directory")
_USES_ONLY: Final = ("uses", "with")
_BACKGROUND: Final = "steps run one after the other, none in the background"

_SHAPE: Final = Shape(
    what="a step",
    keys=(*_SHARED, *_RUN_ONLY, *_USES_ONLY),
    later=dict.fromkeys(("background", "wait", "wait-all", "cancel", "parallel"), _BACKGROUND),
)


def parse_steps(findings: Findings, node: Node) -> tuple[Step, ...]:
    """Return a job's steps; those with mistakes are noted and left out."""
    if not isinstance(node, Sequence):
        expected(findings, node, "'steps' as a sequence")
        return ()
    steps: list[Step] = []
    ids: dict[str, Scalar] = {}
    for item in node.items:
        entries = _SHAPE.read(findings, item)
        if entries is None:
            continue
        found = _step(findings, item, entries, _id(findings, entries.get("id"), ids))
        if found is not None:
            steps.append(found)
    return tuple(steps)


def _step(findings: Findings, node: Node, entries: dict[str, Entry], id_: str | None) -> Step | None:
    shared = _shared(findings, node, entries, id_)
    run, uses = entries.get("run"), entries.get("uses")
    if run and uses:
        related = Related(message="the other one", span=findings.source.of(run.key))
        message = "found both 'uses' and 'run' in one step, expected one of them"
        findings.error(uses.key, "step-kind", message, related=(related,))
        return None
    if run:
        return _run_step(findings, entries, run, shared)
    if uses:
        return _uses_step(findings, entries, uses, shared)
    if not (isinstance(node, nodes.Mapping) and any(key in node.entries for key in _SHAPE.later)):
        findings.error(node, "step-kind", "found a step with neither 'run' nor 'uses', expected one of them")
    return None


def _shared(findings: Findings, node: Node, entries: dict[str, Entry], id_: str | None) -> dict[str, Any]:
    shared: dict[str, Any] = {"span": findings.source.of(node), "id": id_}
    for key, entry in entries.items():
        value = entry.value
        match key:
            case "name":
                shared["name"] = template(findings, value, "'name'", step("name"))
            case "if":
                shared["condition"] = condition(findings, value, STEP_IF)
            case "env":
                shared["env"] = environment(findings, value, "'env'", step("env"))
            case "continue-on-error":
                shared["continue_on_error"] = boolean(findings, value, f"'{key}'", step(key))
            case "timeout-minutes":
                shared["timeout_minutes"] = number(findings, value, f"'{key}'", step(key))
            case _:
                pass
    return shared


def _run_step(findings: Findings, entries: dict[str, Entry], run: Entry, shared: dict[str, Any]) -> Step | None:
    _refuse(findings, entries, ("with",), "'run'")
    shell, directory = entries.get("shell"), entries.get("working-directory")
    script = template(findings, run.value, "'run'", step("run"))
    if script is None:
        return None
    return RunStep(
        **shared,
        run=script,
        shell=_shell(findings, shell.value) if shell else None,
        working_directory=(
            template(findings, directory.value, "'working-directory'", step("working-directory")) if directory else None
        ),
    )


def _shell(findings: Findings, node: Node) -> Template | None:
    """Return a step's own shell. GitHub evaluates no expression there, unlike in a job's ``defaults``."""
    value = text(findings, node, "'shell'")
    return None if value is None else Template.literal(value, findings.source.of(node))


def _uses_step(findings: Findings, entries: dict[str, Entry], uses: Entry, shared: dict[str, Any]) -> Step | None:
    _refuse(findings, entries, ("shell", "working-directory"), "'uses'")
    action = parse_uses(findings, uses.value)
    inputs = entries.get("with")
    values: EnvTemplate = environment(findings, inputs.value, "'with'", step("with")) if inputs else {}
    if action is None:
        return None
    if inputs:
        check_inputs(findings, inputs.value)
    return UsesStep(**shared, uses=action, uses_span=findings.source.of(uses.value), with_=values)


def _refuse(findings: Findings, entries: dict[str, Entry], keys: tuple[str, ...], kind: str) -> None:
    for key in keys:
        if key in entries:
            findings.error(entries[key].key, "unknown-key", f"found '{key}' in a step with {kind}, where it has no use")


def _id(findings: Findings, entry: Entry | None, ids: dict[str, Scalar]) -> str | None:
    """Return a step's id when it is legal and new; ``ids`` holds those before it."""
    if entry is None or not isinstance(entry.value, Scalar):
        if entry is not None:
            expected(findings, entry.value, "a step's id as a string")
        return None
    name = text(findings, entry.value, "a step's id")
    if name is None or not identifier(findings, entry.value, name, "a step's id"):
        return None
    first = ids.setdefault(name.upper(), entry.value)
    if first is not entry.value:
        related = Related(message="first used here", span=findings.source.of(first))
        message = f"the step id {shown(name)} is used already in this job"
        if as_text(first) != name:
            message += f", as {shown(first)}: ids are compared without case"
        findings.error(entry.value, "duplicate-id", message, related=(related,))
    return name
