"""What is wrong with workflow files, in the formats of ``validate``: pure functions, one module per format."""

from terraphim_runner.reports.validation.checked import CheckedFile, RuleText, Validation
from terraphim_runner.reports.validation.github_commands import render_commands
from terraphim_runner.reports.validation.json_document import render_json
from terraphim_runner.reports.validation.sarif import render_sarif
from terraphim_runner.reports.validation.text import render_diagnostics, render_summary

__all__ = [
    "CheckedFile",
    "RuleText",
    "Validation",
    "render_commands",
    "render_diagnostics",
    "render_json",
    "render_sarif",
    "render_summary",
]
