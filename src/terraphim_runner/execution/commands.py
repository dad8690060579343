"""Workflow commands: ``::name key=value,key=value::data`` on a line of a step's output.

Documentation: "Workflow commands for GitHub Actions". Parsing only; what a command does is ``output``'s business.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

KNOWN = frozenset(
    {
        "add-mask",
        "add-matcher",
        "add-path",
        "debug",
        "echo",
        "endgroup",
        "error",
        "group",
        "notice",
        "remove-matcher",
        "save-state",
        "set-env",
        "set-output",
        "stop-commands",
        "warning",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkflowCommand:
    """``name`` is in lower case; properties and data are unescaped."""

    name: str
    data: str
    properties: Mapping[str, str] = field(default_factory=dict[str, str])

    def property(self, name: str) -> str | None:
        """Return a property by its lower-case name; None when it is missing or empty."""
        return self.properties.get(name) or None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Syntax:
    prefix: str
    end: str
    separator: str
    property_escapes: tuple[tuple[str, str], ...]
    data_escapes: tuple[tuple[str, str], ...]


# "%25" stands last: decoding it earlier would turn an escaped "%250A" into a line break.
_DATA = (("%0D", "\r"), ("%0A", "\n"), ("%25", "%"))
_MODERN = _Syntax(
    prefix="::",
    end="::",
    separator=",",
    property_escapes=(("%0D", "\r"), ("%0A", "\n"), ("%3A", ":"), ("%2C", ","), ("%25", "%")),
    data_escapes=_DATA,
)
_LEGACY = _Syntax(
    prefix="##[",
    end="]",
    separator=";",
    property_escapes=(("%0D", "\r"), ("%0A", "\n"), ("%3B", ";"), ("%5D", "]"), ("%25", "%")),
    data_escapes=(("%0D", "\r"), ("%0A", "\n"), ("%3B", ";"), ("%5D", "]"), ("%25", "%")),
)


def parse_command(line: str) -> WorkflowCommand | None:
    """Return the command on this line, or None when the line is ordinary output.

    A name that is not a command's makes the line ordinary output, as GitHub does. The token that ends
    ``stop-commands`` is not a command: look for it before.
    """
    text = line.lstrip()
    for syntax in (_MODERN, _LEGACY):
        if text.startswith(syntax.prefix):
            return _parse(text[len(syntax.prefix) :], syntax)
    return None


def is_resume(line: str, token: str) -> bool:
    """Tell whether the line is a command whose name is the token, which ends ``stop-commands``: ``::<token>::``."""
    text = line.lstrip()
    for syntax in (_MODERN, _LEGACY):
        if text.startswith(syntax.prefix):
            head, found, _ = text[len(syntax.prefix) :].partition(syntax.end)
            return bool(found) and head.partition(" ")[0].lower() == token.lower()
    return False


def _parse(text: str, syntax: _Syntax) -> WorkflowCommand | None:
    head, found, data = text.partition(syntax.end)
    if not found:
        return None
    name, _, rest = head.partition(" ")
    if name.lower() not in KNOWN:
        return None
    properties: dict[str, str] = {}
    for item in rest.strip().split(syntax.separator):
        key, equals, value = item.partition("=")
        if equals and key.strip():
            properties[key.strip().lower()] = _unescape(value, syntax.property_escapes)
    return WorkflowCommand(name=name.lower(), data=_unescape(data, syntax.data_escapes), properties=properties)


def _unescape(text: str, escapes: tuple[tuple[str, str], ...]) -> str:
    if "%" not in text:
        return text
    for escaped, plain in escapes:
        text = text.replace(escaped, plain)
    return text
