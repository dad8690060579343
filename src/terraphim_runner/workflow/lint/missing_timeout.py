"""``missing-timeout``: a job without ``timeout-minutes`` that hangs keeps its machine for six hours.

Six hours is GitHub's default; a job that calls a workflow has none of its own. A limit of about three times the usual
duration frees the machine and tells sooner.
"""

from collections.abc import Iterator
from typing import Final

from terraphim_runner.workflow.lint.subject import Finding, Subject
from terraphim_runner.workflow.tree import CallJob

ID: Final = "missing-timeout"
SUMMARY: Final = "a job without 'timeout-minutes' that hangs does so for six hours"


def check(subject: Subject) -> Iterator[Finding]:
    """Look at each job but those that call a workflow, which cannot have one."""
    for job in subject.workflow.jobs.values():
        if job.timeout_minutes is None and not isinstance(job, CallJob):
            message = f"job {str(job.key)!r} has no 'timeout-minutes': if it hangs, it does so for 360 minutes"
            yield Finding(span=job.span, message=message, fix="set 'timeout-minutes' to what the job may take at most")
