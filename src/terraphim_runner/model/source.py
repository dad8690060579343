"""Places in a user's file, and what is wrong there."""

import re
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Final

from terraphim_runner.model.text import printable

_BREAKS: Final = "\r\n\x85\u2028\u2029"
_BREAK: Final = re.compile(f"\r\n|[{_BREAKS}]")
_MAX_EXCERPT: Final = 400
_MAX_BEFORE: Final = 100
"""Characters of a long line that are shown, and how many of them before the place itself."""


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
    starts = _line_starts(source)
    line = span.start.line
    if not 1 <= line <= len(starts):
        return []
    end = starts[line] if line < len(starts) else len(source)
    # Of a long line only what is around the place is worth its characters.
    left = max(0, span.start.column - 1 - _MAX_BEFORE) if end - starts[line - 1] > _MAX_EXCERPT else 0
    text = source[starts[line - 1] + left : min(end, starts[line - 1] + left + _MAX_EXCERPT)]
    text = text.rstrip(_BREAKS).expandtabs(1)
    if left > 0:
        text = "…" + text[1:]
    width = span.end.column - span.start.column if span.end.line == line else 1
    number = str(line)
    # Terminal control characters in a hostile file must not reach the reader's terminal.
    caret = " " * (span.start.column - 1 - left) + "^" * max(1, min(width, _MAX_EXCERPT))
    return [f" {number} | {printable(text)}", f" {' ' * len(number)} | {caret}"]


@lru_cache(maxsize=1)
def _line_starts(source: str) -> Sequence[int]:
    """Return where each line begins. A file's diagnostics come one after the other: the last file's are kept."""
    starts = array("L", (0,))
    starts.extend(found.end() for found in _BREAK.finditer(source))
    if starts[-1] == len(source):
        starts.pop()
    return starts
