"""What ``validate`` found, before it is written in one of the formats."""

from collections.abc import Iterator
from dataclasses import dataclass

from terraphim_runner.model.source import Diagnostic, Severity, has_errors


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedFile:
    """One file; ``text`` is None when it could not be read."""

    path: str
    kind: str = "workflow"
    """What the file is taken for: a ``workflow``, or an ``action``'s metadata."""
    text: str | None = None
    diagnostics: tuple[Diagnostic, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleText:
    """A rule and what it is about, in one line."""

    id: str
    summary: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Validation:
    """All files, and the rules that have a description."""

    files: tuple[CheckedFile, ...]
    rules: tuple[RuleText, ...] = ()

    @property
    def is_valid(self) -> bool:
        return not has_errors(self.diagnostics())

    def diagnostics(self) -> Iterator[Diagnostic]:
        """Yield what is wrong, file after file."""
        for file in self.files:
            yield from file.diagnostics

    def count(self, severity: Severity) -> int:
        return sum(item.severity is severity for item in self.diagnostics())
