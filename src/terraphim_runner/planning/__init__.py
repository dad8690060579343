"""From a workflow and how its run stands to what happens next. Pure: no I/O, no clock, no async."""

from terraphim_runner.planning.codec import StoredLegError, leg_from_json, leg_to_json
from terraphim_runner.planning.contexts import default_variables, github_context
from terraphim_runner.planning.inputs import DispatchInputs, dispatch_inputs
from terraphim_runner.planning.plan import JobOutline, Outlook, PlanOutline, outline
from terraphim_runner.planning.progress import advance
from terraphim_runner.planning.run_name import run_name
from terraphim_runner.planning.selection import select_job, selectable

__all__ = [
    "DispatchInputs",
    "JobOutline",
    "Outlook",
    "PlanOutline",
    "StoredLegError",
    "advance",
    "default_variables",
    "dispatch_inputs",
    "github_context",
    "leg_from_json",
    "leg_to_json",
    "outline",
    "run_name",
    "select_job",
    "selectable",
]
