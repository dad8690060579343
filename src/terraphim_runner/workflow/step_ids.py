"""The ids of the steps of a job or of a composite action: each legal and new, and known to the steps after it."""

from terraphim_runner.model.source import Related
from terraphim_runner.workflow.fields import MAX_DEFINED, expected, guess_for, identifier, text
from terraphim_runner.workflow.findings import Findings, shown
from terraphim_runner.workflow.nodes import Entry, Node, Scalar
from terraphim_runner.workflow.scalars import as_text
from terraphim_runner.workflow.tree import Target


class StepIds:
    """What was read so far of one job; ids of steps within ``parallel`` are among them."""

    def __init__(self, findings: Findings, *, scope: str = "job") -> None:
        self._findings = findings
        self._scope = scope
        self._places: dict[str, Scalar] = {}
        self._in_background: dict[str, bool] = {}

    def define(self, entry: Entry, *, in_background: bool) -> str | None:
        """Return a step's id when it is legal; noted when it is not, or not new."""
        findings, node = self._findings, entry.value
        if not isinstance(node, Scalar):
            expected(findings, node, "a step's id as a string")
            return None
        name = text(findings, node, "a step's id")
        if name is None or not identifier(findings, node, name, "a step's id"):
            return None
        first = self._places.get(name.upper())
        if first is None:
            self._places[name.upper()] = node
        else:
            self._repeated(name, node, first)
        self._in_background.setdefault(name, in_background)
        return name

    def _repeated(self, name: str, node: Scalar, first: Scalar) -> None:
        message = f"the step id {shown(name)} is used already in this {self._scope}"
        if first is node:
            message += ", for an alias repeats the step"
            self._findings.error(node, "duplicate-id", message, fix="give the repeated step no id")
            return
        if as_text(first) != name:
            message += f", as {shown(first)}: ids are compared without case"
        related = Related(message="first used here", span=self._findings.source.of(first))
        self._findings.error(node, "duplicate-id", message, related=(related,))

    def target(self, node: Node, key: str, own: str | None) -> Target | None:
        """Return the step that ``wait`` or ``cancel`` (the ``key``) names; None, noted, when it cannot be.

        GitHub takes any step before this one, spelled as there. One that does not run in the background has ended
        already: a warning says so.
        """
        findings = self._findings
        name = text(findings, node, f"a step's id in '{key}'")
        if name is None:
            return None
        if own is not None and name.lower() == own.lower():
            findings.error(node, "step-target", f"found {shown(name)} in '{key}', which is this step's own id")
            return None
        if name not in self._in_background:
            known = guess_for(findings, name, self._in_background, most=MAX_DEFINED)
            message = f"found {shown(name)} in '{key}', expected the id of a step before this one"
            findings.error(node, "step-target", message + known)
            return None
        if not self._in_background[name]:
            message = f"the step {shown(name)} in '{key}' does not run in the background, so it has ended already"
            findings.warning(node, "step-target", message, fix="set 'background: true' on that step")
        return Target(step=name, span=findings.source.of(node))
