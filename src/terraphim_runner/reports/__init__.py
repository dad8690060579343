"""Results turned into text for people: pure functions, no I/O."""

from terraphim_runner.reports.markdown import render_summaries
from terraphim_runner.reports.report import JobReport, RunReport
from terraphim_runner.reports.text import render_text

__all__ = ["JobReport", "RunReport", "render_summaries", "render_text"]
