"""For people: each diagnostic with its line of the source, and a summary."""

from collections import Counter
from dataclasses import replace
from typing import Final

from terraphim_runner.model.source import Diagnostic, Severity
from terraphim_runner.reports.escaping import one_line
from terraphim_runner.reports.validation.checked import Validation

_MAX_PATH: Final = 4096


def render_diagnostics(validation: Validation) -> str:
    """Return every diagnostic with its excerpt; empty when there is none. A file's name cannot begin a line."""
    return "\n".join(_shown(item).render(file.text) for file in validation.files for item in file.diagnostics)


def render_summary(validation: Validation) -> str:
    """Return one line that counts."""
    kinds = Counter(file.kind for file in validation.files)
    files = ", ".join(_counted(number, kind) for kind, number in sorted(kinds.items(), reverse=True))
    errors, warnings = validation.count(Severity.ERROR), validation.count(Severity.WARNING)
    found = [_counted(errors, "problem")] if errors else []
    if warnings:
        found.append(_counted(warnings, "warning"))
    return f"{files}, {', '.join(found) or 'no problems'}"


def _shown(item: Diagnostic) -> Diagnostic:
    return item if item.path.isprintable() else replace(item, path=one_line(item.path, max_chars=_MAX_PATH))


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"
