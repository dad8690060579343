"""What steps wrote to ``GITHUB_STEP_SUMMARY``, as one Markdown document."""

from typing import Final

from terraphim_runner.reports.escaping import many_lines, markdown_text
from terraphim_runner.reports.report import RunReport

MAX_SUMMARY_CHARS: Final = 1024 * 1024
"""Of one step; GitHub's own limit is 1 MiB."""


def render_summaries(report: RunReport) -> str:
    """Return the step summaries under one heading per job, in order; empty when no step wrote one.

    The summaries are the user's own Markdown and stay so, without control characters: whoever turns this into HTML
    has to sanitize it. Names of jobs are shown literally.
    """
    parts: list[str] = []
    for job in report.jobs:
        steps = job.result.steps if job.result else ()
        texts = [many_lines(step.summary, max_chars=MAX_SUMMARY_CHARS).strip("\n") for step in steps]
        written = [text for text in texts if text.strip()]
        if written:
            parts += [f"## {markdown_text(job.name)}", *written]
    return "\n\n".join(parts) + "\n" if parts else ""
