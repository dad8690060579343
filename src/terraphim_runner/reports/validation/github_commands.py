"""For a step of a workflow: commands that make GitHub show each diagnostic beside the line of the change.

Source: GitHub's documentation, "Workflow commands for GitHub Actions", setting an error or warning message. What would
end a value early is escaped as the toolkit does: ``%``, line breaks, and in properties also ``:`` and ``,``.
"""

from collections.abc import Iterator

from terraphim_runner.model.source import Diagnostic, Severity
from terraphim_runner.reports.validation.checked import Validation


def render_commands(validation: Validation) -> str:
    """Return one command a line: ``::error file=…,line=…,col=…,endLine=…,endColumn=…,title=rule::message``."""
    return "\n".join(_command(item) for item in validation.diagnostics())


def _command(item: Diagnostic) -> str:
    name = "error" if item.severity is Severity.ERROR else "warning"
    shown = ",".join(f"{key}={_property(value)}" for key, value in _properties(item))
    message = item.message if item.fix is None else f"{item.message}\nfix: {item.fix}"
    return f"::{name} {shown}::{_data(message)}"


def _properties(item: Diagnostic) -> Iterator[tuple[str, str]]:
    start, end = item.span.start, item.span.end
    yield "file", item.path
    yield "line", str(start.line)
    yield "col", str(start.column)
    if end.line == start.line:
        # GitHub takes columns only within one line, and counts the last one in.
        yield "endColumn", str(max(start.column, end.column - 1))
    else:
        yield "endLine", str(end.line)
    yield "title", item.rule


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
