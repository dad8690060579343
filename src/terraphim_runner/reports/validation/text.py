"""For people: each diagnostic with its line of the source, and a summary."""

from terraphim_runner.model.source import Severity
from terraphim_runner.reports.validation.checked import Validation


def render_diagnostics(validation: Validation) -> str:
    """Return every diagnostic with its excerpt; empty when there is none. The user's text is in it as it was found."""
    return "\n".join(item.render(file.text) for file in validation.files for item in file.diagnostics)


def render_summary(validation: Validation) -> str:
    """Return one line that counts."""
    files = _counted(len(validation.files), "workflow")
    errors, warnings = validation.count(Severity.ERROR), validation.count(Severity.WARNING)
    found = [_counted(errors, "problem")] if errors else []
    if warnings:
        found.append(_counted(warnings, "warning"))
    return f"{files}, {', '.join(found) or 'no problems'}"


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"
