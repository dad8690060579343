"""Keys and plain values: what may stand where, and the words for what stands there instead.

Every key that GitHub knows is known here, whether this runner carries it out or not.
"""

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import islice
from typing import Final

from terraphim_runner.workflow import nodes
from terraphim_runner.workflow.findings import Findings, shown
from terraphim_runner.workflow.nodes import Entry, Node, Scalar, Sequence
from terraphim_runner.workflow.scalars import as_text

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_MAX_NAME: Final = 99
_MAX_KNOWN: Final = 1000
MAX_DEFINED: Final = 200
"""Names that a file defines itself may be many and all alike: among more of them no near one is looked for."""

_MAX_COMPARED: Final = 40
_EXPRESSION: Final = "${{"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """The keys of one kind of mapping. ``what`` names it with its article."""

    what: str
    keys: tuple[str, ...]
    required: tuple[str, ...] = ()

    def read(self, findings: Findings, node: Node, *, place: Node | None = None) -> dict[str, Entry] | None:
        """Return the known entries of a mapping, None when the node is no mapping.

        Unknown and missing keys are noted; ``place`` is where a missing key is noted, else the node.
        """
        if not isinstance(node, nodes.Mapping):
            expected(findings, node, f"{self.what} as a mapping")
            return None
        found: dict[str, Entry] = {}
        for name, entry in node.entries.items():
            if name in self.keys:
                found[name] = entry
            else:
                self._unknown(findings, entry.key)
        for name in self.required:
            if name not in found:
                findings.error(place or node, "missing-key", f"{self.what} has no '{name}', expected one")
        return found

    def _unknown(self, findings: Findings, key: Scalar) -> None:
        if not self.keys:
            findings.error(key, "unknown-key", f"found the key {shown(key)} in {self.what}, expected none")
            return
        message = f"found the key {shown(key)} in {self.what}, expected one of {listed(sorted(self.keys))}"
        findings.error(key, "unknown-key", message + guess_for(findings, key.text, self.keys))


def guess(name: str, known: Iterable[str], *, most: int = _MAX_KNOWN) -> str:
    """Return "; did you mean …?" when a known name is near, else nothing, also if more than ``most`` are known."""
    names = {item[:_MAX_COMPARED].lower(): item for item in islice(known, most + 1)}
    if len(names) > most:
        return ""
    near = get_close_matches(name[:_MAX_COMPARED].lower(), names, n=1, cutoff=0.6)
    return f"; did you mean '{names[near[0]]}'?" if near else ""


def guess_for(findings: Findings, name: str, known: Iterable[str], *, most: int = _MAX_KNOWN) -> str:
    """Return ``guess``'s answer for the first problems of a file, nothing for those after them."""
    return guess(name, known, most=most) if findings.is_helping else ""


def listed(names: Iterable[str]) -> str:
    """Return names in quotes, separated by commas."""
    return ", ".join(f"'{name}'" for name in names)


def expected(findings: Findings, node: Node, what: str) -> None:
    """Note that something else stands where ``what`` is expected."""
    found = nodes.kind(node)
    if isinstance(node, Scalar) and node.text:
        found += f" {shown(node)}"
    findings.error(node, "type", f"found {found}, expected {what}")


def text(findings: Findings, node: Node, what: str, *, may_be_empty: bool = False) -> str | None:
    """Return a scalar as text; None, noted, when it is none, is empty, or holds an expression."""
    if not isinstance(node, Scalar) or (node.value is None and not may_be_empty):
        expected(findings, node, f"{what} as a string")
        return None
    value = as_text(node)
    if not value and not may_be_empty:
        findings.error(node, "type", f"found an empty string, expected a value for {what}")
        return None
    if _EXPRESSION in value:
        place = findings.source.inside(node, value.index(_EXPRESSION), len(_EXPRESSION))
        findings.error(place, "expression-place", f"found an expression in {what}, where none may stand")
        return None
    return value


def texts(findings: Findings, node: Node, what: str) -> list[tuple[str, Scalar]]:
    """Return one string, or a sequence of strings, each with its node; what is none of them is noted and left out."""
    if not isinstance(node, Scalar | Sequence):
        expected(findings, node, f"{what}, one string or a sequence of strings")
        return []
    found: list[tuple[str, Scalar]] = []
    for item in node.items if isinstance(node, Sequence) else (node,):
        value = text(findings, item, what)
        if value is not None and isinstance(item, Scalar):
            found.append((value, item))
    return found


def one_of(findings: Findings, node: Node, what: str, choices: Collection[str]) -> str | None:
    """Return a string that is one of the choices, with their case; else None, noted."""
    value = text(findings, node, what)
    if value is None or value in choices:
        return value
    message = f"found {shown(value)} as {what}, expected one of {listed(choices)}"
    findings.error(node, "unknown-value", message + guess_for(findings, value, choices))
    return None


def identifier(findings: Findings, key: Scalar, name: str, what: str) -> bool:
    """Tell whether a name may be an id; noted when not."""
    if not _NAME.fullmatch(name):
        message = f"found {shown(name)} as {what}, expected a letter or '_' and then letters, digits, '_' or '-'"
        findings.error(key, "id", message)
        return False
    if name.startswith("__"):
        findings.error(key, "id", f"found {shown(name)} as {what}, but names that begin with '__' are reserved")
        return False
    if len(name) > _MAX_NAME:
        findings.error(key, "id", f"found {shown(name)} as {what}, expected at most {_MAX_NAME} characters")
        return False
    return True
