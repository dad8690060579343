"""An action's metadata from text to tree: the keys of the top level, and the one entry ``parse_action``.

GitHub reads these files twice. Its runner takes what it needs and leaves the rest alone; what it stumbles over is an
error here. Its editor and its marketplace hold the whole file against a stricter definition; what only they refuse is
a warning, but for a missing name or description, which the documentation requires.
"""

from dataclasses import dataclass
from typing import Any, Final

from terraphim_runner.model.source import Diagnostic, Span
from terraphim_runner.workflow import nodes
from terraphim_runner.workflow.fields import expected, guess_for, listed
from terraphim_runner.workflow.findings import Findings, TooManyError, shown
from terraphim_runner.workflow.metadata.branding import parse_branding
from terraphim_runner.workflow.metadata.inputs import parse_inputs
from terraphim_runner.workflow.metadata.outputs import parse_outputs
from terraphim_runner.workflow.metadata.prose import prose, refuse_expressions
from terraphim_runner.workflow.metadata.runs import parse_runs
from terraphim_runner.workflow.metadata.tree import Action, CompositeRuns
from terraphim_runner.workflow.nodes import Entry, Node
from terraphim_runner.workflow.text import SourceText
from terraphim_runner.workflow.yaml import load

_KEYS: Final = ("name", "author", "description", "inputs", "outputs", "runs", "branding")
_TITLES: Final = ("name", "description")


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedAction:
    """``action`` is None exactly when one of the diagnostics is an error; they are in the order of their places."""

    action: Action | None
    diagnostics: tuple[Diagnostic, ...] = ()


def parse_action(path: str, text: str, *, for_running: bool = False) -> ParsedAction:
    """Return the action that a metadata file's text spells, with all that is wrong in it at once.

    A missing name or description is an error, unless the action is only wanted ``for_running``: GitHub runs it all
    the same. Never raises, whatever the text; takes time in proportion to it. ``path`` is only named in diagnostics.
    """
    source = SourceText(text.removeprefix("\ufeff"))
    findings = Findings(path, source, document="an action")
    try:
        root = load(findings)
        action = None if root is None else _action(findings, root, for_running=for_running)
    except TooManyError:
        action = None
    return ParsedAction(action=None if findings.has_errors else action, diagnostics=findings.in_order())


def _action(findings: Findings, root: Node, *, for_running: bool) -> Action | None:
    if not isinstance(root, nodes.Mapping):
        expected(findings, root, "an action as a mapping with 'name', 'description' and 'runs'")
        return None
    entries = _known(findings, root)
    fields: dict[str, Any] = {key: prose(findings, entries[key].value, f"'{key}'") for key in _TITLES if key in entries}
    _check_titles(findings, fields, entries, for_running=for_running)
    if "author" in entries:
        fields["author"] = prose(findings, entries["author"].value, "'author'", is_ignored=True)
    if "branding" in entries:
        fields["branding"] = parse_branding(findings, entries["branding"].value)
    if "inputs" in entries:
        fields["inputs"] = parse_inputs(findings, entries["inputs"].value)
    runs = None
    if "runs" in entries:
        runs = parse_runs(findings, entries["runs"])
    else:
        message = "found an action that nothing runs, expected the key 'runs'"
        findings.error(Span.at(1, 1), "missing-key", message)
    if "outputs" in entries:
        is_composite = None if runs is None else isinstance(runs, CompositeRuns)
        fields["outputs"] = parse_outputs(findings, entries["outputs"].value, is_composite=is_composite)
    return None if runs is None else Action(path=findings.path, source=findings.source.text, runs=runs, **fields)


def _known(findings: Findings, root: nodes.Mapping) -> dict[str, Entry]:
    known: dict[str, Entry] = {}
    for name, entry in root.entries.items():
        if name in _KEYS:
            known[name] = entry
            continue
        if not name or "${{" in name:
            # An empty key, or one that is an expression, stops GitHub's runner, too.
            message = f"found the key {shown(name)} in an action, expected one of {listed(_KEYS)}"
            findings.error(entry.key, "unknown-key", message)
        else:
            message = f"found the key {shown(name)} in an action, where GitHub ignores it; known keys: {listed(_KEYS)}"
            findings.warning(entry.key, "unknown-key", message + guess_for(findings, name, _KEYS))
        refuse_expressions(findings, entry.value, f"the value of {shown(name)}")
    return known


def _check_titles(findings: Findings, fields: dict[str, Any], entries: dict[str, Entry], *, for_running: bool) -> None:
    """Note what GitHub's documentation requires and its runner does not."""
    note = findings.warning if for_running else findings.error
    for key in _TITLES:
        if key not in entries:
            note(Span.at(1, 1), "missing-key", f"found an action without a {key}, expected the key '{key}'")
    if fields.get("name") == "":
        note(entries["name"].value, "type", "found nothing as 'name', expected the action's name")
