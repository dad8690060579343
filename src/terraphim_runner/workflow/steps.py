"""``steps``: what a job does, one step after the other or several at a time."""

from collections.abc import Callable
from typing import Any, Final

from terraphim_runner.expressions import Template
from terraphim_runner.model.source import Related
from terraphim_runner.workflow import nodes
from terraphim_runner.workflow.actions import check_inputs, is_checkout, parse_uses
from terraphim_runner.workflow.availability import STEP_IF, step
from terraphim_runner.workflow.fields import Shape, expected, listed, text
from terraphim_runner.workflow.findings import Findings
from terraphim_runner.workflow.nodes import Entry, Node, Scalar, Sequence
from terraphim_runner.workflow.step_ids import StepIds
from terraphim_runner.workflow.templates import boolean, condition, environment, number, template
from terraphim_runner.workflow.tree import (
    CancelStep,
    EnvTemplate,
    ParallelStep,
    RunStep,
    Step,
    UsesStep,
    WaitAllStep,
    WaitStep,
)

_CONTROL: Final = ("id", "name", "continue-on-error")
_SHARED: Final = (*_CONTROL, "if", "env", "timeout-minutes", "background")
_KEYS: Final[dict[str, tuple[str, ...]]] = {
    "run": (*_SHARED, "shell", "working-directory"),
    "uses": (*_SHARED, "with"),
    "wait": _CONTROL,
    "wait-all": _CONTROL,
    "cancel": _CONTROL,
    "parallel": (),
}
"""What else a step may have, by the key that makes it one."""

_ALWAYS_RUNS: Final = {
    **dict.fromkeys(("wait", "wait-all", "cancel"), "a step that waits or cancels always runs"),
    "parallel": "put the condition on each of its steps",
}
_SHAPE: Final = Shape(what="a step", keys=tuple({**dict.fromkeys(_KEYS), **dict.fromkeys(_KEYS["run"]), "with": None}))


def parse_steps(findings: Findings, node: Node) -> tuple[Step, ...]:
    """Return a job's steps; those with mistakes are noted and left out."""
    if isinstance(node, Sequence) and not node.items:
        findings.error(node, "no-steps", "found a job without steps, expected at least one below 'steps'")
    return _Steps(findings).read(node, "'steps'", is_group=False)


class _Steps:
    """Reads the steps of one job, those within ``parallel`` included."""

    def __init__(self, findings: Findings) -> None:
        self._findings = findings
        self._ids = StepIds(findings)

    def read(self, node: Node, what: str, *, is_group: bool) -> tuple[Step, ...]:
        """Return the steps of a sequence; ``is_group`` says that it is a ``parallel``'s."""
        if not isinstance(node, Sequence):
            expected(self._findings, node, f"{what} as a sequence")
            return ()
        steps: list[Step] = []
        for item in node.items:
            entries = _SHAPE.read(self._findings, item)
            found = None if entries is None else self._step(item, entries, is_group=is_group)
            if found is not None:
                steps.append(found)
        return tuple(steps)

    def _step(self, node: Node, entries: dict[str, Entry], *, is_group: bool) -> Step | None:
        findings = self._findings
        kinds = [key for key in _KEYS if key in entries]
        own = self._shared(node, entries, is_group=is_group)
        if not kinds:
            if isinstance(node, nodes.Mapping):
                findings.error(node, "step-kind", f"found a step without a task, expected one of {listed(_KEYS)}")
            return None
        if len(kinds) > 1:
            first, second = entries[kinds[0]].key, entries[kinds[1]].key
            related = Related(message="the other one", span=findings.source.of(first))
            message = f"found both '{second.text}' and '{first.text}' in one step, expected one of them"
            findings.error(second, "step-kind", message, related=(related,))
            return None
        kind = kinds[0]
        if is_group:
            self._check_member(entries, kind)
        for key, entry in entries.items():
            if key != kind and key not in _KEYS[kind]:
                message = f"found '{key}' in a step with '{kind}', where it has no use"
                fix = _ALWAYS_RUNS.get(kind) if key == "if" else None
                findings.error(entry.key, "unknown-key", message, fix=fix)
        return self._READ[kind](self, entries, own)

    def _shared(self, node: Node, entries: dict[str, Entry], *, is_group: bool) -> dict[str, Any]:
        findings = self._findings
        shared: dict[str, Any] = {"span": findings.source.of(node)}
        for key, entry in entries.items():
            value = entry.value
            match key:
                case "id":
                    background = is_group or _is_true(entries.get("background"))
                    shared["id"] = self._ids.define(entry, in_background=background)
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

    def _check_member(self, entries: dict[str, Entry], kind: str) -> None:
        """Note what may not stand within ``parallel``."""
        if kind not in ("run", "uses"):
            message = f"found '{kind}' within 'parallel', expected steps with 'run' or 'uses' only"
            self._findings.error(entries[kind].key, "step-kind", message)
        elif "background" in entries:
            message = "found 'background' within 'parallel', whose steps all run in the background"
            self._findings.error(entries["background"].key, "unknown-key", message)

    def _run(self, entries: dict[str, Entry], own: dict[str, Any]) -> Step | None:
        findings = self._findings
        shell, directory = entries.get("shell"), entries.get("working-directory")
        script = template(findings, entries["run"].value, "'run'", step("run"))
        found_shell = self._shell(shell.value) if shell else None
        found_directory = None
        if directory:
            what = "working-directory"
            found_directory = template(findings, directory.value, f"'{what}'", step(what))
        background = self._background(entries)
        if script is None:
            return None
        return RunStep(**own, run=script, shell=found_shell, working_directory=found_directory, background=background)

    def _shell(self, node: Node) -> Template | None:
        """Return a step's own shell. GitHub evaluates no expression there, unlike in a job's ``defaults``."""
        value = text(self._findings, node, "'shell'")
        return None if value is None else Template.literal(value, self._findings.source.of(node))

    def _uses(self, entries: dict[str, Entry], own: dict[str, Any]) -> Step | None:
        findings = self._findings
        uses, inputs = entries["uses"], entries.get("with")
        found = parse_uses(findings, uses.value)
        values: EnvTemplate = environment(findings, inputs.value, "'with'", step("with")) if inputs else {}
        background = self._background(entries)
        if found is None:
            return None
        if inputs and is_checkout(found[1]):
            check_inputs(findings, inputs.value)
        span = findings.source.of(uses.value)
        return UsesStep(**own, uses=found[0], uses_span=span, action=found[1], with_=values, background=background)

    def _background(self, entries: dict[str, Entry]) -> bool:
        entry = entries.get("background")
        if entry is None or _is_true(entry):
            return entry is not None
        if not (isinstance(entry.value, Scalar) and entry.value.value is False):
            expected(self._findings, entry.value, "true or false as 'background'")
        return False

    def _wait(self, entries: dict[str, Entry], own: dict[str, Any]) -> Step | None:
        node = entries["wait"].value
        if isinstance(node, Sequence):
            if not node.items:
                self._findings.error(node, "type", "found 'wait' without items, expected at least one step's id")
            items = node.items
        else:
            items = (node,)
        found = [self._ids.target(item, "wait", own.get("id")) for item in items]
        return WaitStep(**own, targets=tuple(target for target in found if target is not None))

    def _wait_all(self, entries: dict[str, Entry], own: dict[str, Any]) -> Step | None:
        node = entries["wait-all"].value
        if not (isinstance(node, Scalar) and (node.value is None or isinstance(node.value, bool))):
            expected(self._findings, node, "true or nothing as 'wait-all'")
        elif node.value is False:
            message = "found false as 'wait-all', which waits all the same: the key alone says so"
            self._findings.warning(node, "wait-all-false", message, fix="drop the step, or the 'false'")
        return WaitAllStep(**own)

    def _cancel(self, entries: dict[str, Entry], own: dict[str, Any]) -> Step | None:
        target = self._ids.target(entries["cancel"].value, "cancel", own.get("id"))
        return None if target is None else CancelStep(**own, target=target)

    def _parallel(self, entries: dict[str, Entry], own: dict[str, Any]) -> Step | None:
        return ParallelStep(span=own["span"], steps=self.read(entries["parallel"].value, "'parallel'", is_group=True))

    _READ: Final[dict[str, Callable[["_Steps", dict[str, Entry], dict[str, Any]], Step | None]]] = {
        "run": _run,
        "uses": _uses,
        "wait": _wait,
        "wait-all": _wait_all,
        "cancel": _cancel,
        "parallel": _parallel,
    }


def _is_true(entry: Entry | None) -> bool:
    return entry is not None and isinstance(entry.value, Scalar) and entry.value.value is True
