"""Workflow files: text to a syntax tree with places, every mistake at once, and whether an event triggers one."""

from terraphim_runner.workflow.document import ParseResult, parse
from terraphim_runner.workflow.support import unsupported
from terraphim_runner.workflow.triggers import TriggerMatch, match

__all__ = ["ParseResult", "TriggerMatch", "match", "parse", "unsupported"]
