"""Places in a user's file, and what is wrong there."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from terraphim_runner.model.text import printable


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Pos:
    """A place in a text: line and column both count from 1, columns in characters."""

    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.line}:{self.column}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """From ``start`` up to, not including, ``end``."""

    start: Pos
    end: Pos

    @classmethod
    def at(cls, line: int, column: int, length: int = 1) -> "Span":
        return cls(start=Pos(line=line, column=column), end=Pos(line=line, column=column + length))


class Severity(StrEnum):
    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True, kw_only=True)
class Related:
    """Another place that the reader needs to see, such as the first definition of a duplicate.

    ``path`` is None for a place in the diagnostic's own file.
    """

    message: str
    span: Span
    path: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnostic:
    """One mistake of the user's: where, which rule, what was found, what was expected, what to do.

    ``message`` is one lower-case sentence that already says what was found and expected;
    ``fix`` is an optional further sentence. Diagnostics are collected, never raised one at a time.
    """

    path: str
    span: Span
    rule: str
    message: str
    fix: str | None = None
    related: tuple[Related, ...] = ()
    severity: Severity = Severity.ERROR

    def headline(self) -> str:
        """Return ``path:line:column: message [rule]``, the form that editors understand."""
        warning = "warning: " if self.severity is Severity.WARNING else ""
        return f"{self.path}:{self.span.start}: {warning}{self.message} [{self.rule}]"

    def render(self, source: str | None = None) -> str:
        """Return the headline, with the source line and a caret below it when the text is given."""
        lines = [self.headline()]
        if source is not None:
            lines += _excerpt(source, self.span)
        lines += [f"  see {item.path or self.path}:{item.span.start}: {item.message}" for item in self.related]
        if self.fix:
            lines.append(f"  fix: {self.fix}")
        return "\n".join(lines)


def has_errors(diagnostics: Iterable[Diagnostic]) -> bool:
    """Tell whether any of the diagnostics is more than a warning."""
    return any(item.severity is Severity.ERROR for item in diagnostics)


def _excerpt(source: str, span: Span) -> list[str]:
    lines = source.splitlines()
    if not 1 <= span.start.line <= len(lines):
        return []
    text = lines[span.start.line - 1].expandtabs(1)
    width = span.end.column - span.start.column if span.end.line == span.start.line else 1
    number = str(span.start.line)
    # Terminal control characters in a hostile file must not reach the reader's terminal.
    shown = printable(text[:400])
    caret = " " * (span.start.column - 1) + "^" * max(1, min(width, 400))
    return [f" {number} | {shown}", f" {' ' * len(number)} | {caret}"]
