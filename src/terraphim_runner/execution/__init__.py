"""A job inside a session: its steps, under GitHub's rules.

Speaks to ports only. The one entry is ``run_job``; what it needs is a ``JobRequest``.
"""

from terraphim_runner.execution.cancellation import Cancellation
from terraphim_runner.execution.job import run_job
from terraphim_runner.execution.request import JobLimits, JobRequest

__all__ = ["Cancellation", "JobLimits", "JobRequest", "run_job"]
