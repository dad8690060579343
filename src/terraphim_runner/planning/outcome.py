"""How jobs of a run stand, seen from other jobs: results, the ``needs`` context, ancestors, the run's conclusion."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from terraphim_runner.model.ids import JobKey
from terraphim_runner.model.states import Conclusion, Status
from terraphim_runner.planning.graph import JobSnapshot, LegSnapshot, RunSnapshot
from terraphim_runner.workflow.tree import Job, Workflow

FAILURES: Final = frozenset({Conclusion.FAILURE, Conclusion.TIMED_OUT, Conclusion.STARTUP_FAILURE})
"""Conclusions that ``needs.*.result`` and ``failure()`` see as ``failure``."""

MAX_OUTPUT_BYTES: Final = 1024 * 1024
"""Of the outputs of one job, or one call, as JSON. This and the next are GitHub's limits."""

MAX_RUN_OUTPUT_BYTES: Final = 50 * 1024 * 1024
"""Of the outputs of all jobs and calls of one run."""


def job_result(job: JobSnapshot) -> Conclusion | None:
    """Return one of ``needs.*.result``'s four values, or None while a leg is not completed.

    A leg that failed under its own ``continue-on-error`` counts as a success, for dependents and for the run
    (https://github.com/actions/runner/issues/1161). Failure beats cancelled beats success; a job of which nothing
    ran, because of its ``if`` or because the matrix excludes everything, is skipped.
    """
    if job.failed:
        return Conclusion.FAILURE
    if job.skipped or not job.legs:
        return Conclusion.SKIPPED
    if any(leg.status is not Status.COMPLETED for leg in job.legs):
        return None
    return worst(leg_result(leg) for leg in job.legs)


def leg_result(leg: LegSnapshot) -> Conclusion:
    """Return what a completed leg counts as, ``continue-on-error`` applied.

    A leg that is recorded as completed without a conclusion counts as failed: a verdict is never guessed upwards.
    """
    conclusion = leg.conclusion or Conclusion.FAILURE
    if conclusion in FAILURES:
        return Conclusion.SUCCESS if leg.leg.continue_on_error else Conclusion.FAILURE
    return conclusion


def worst(results: Iterable[Conclusion]) -> Conclusion:
    """Return failure, else cancelled, else success if there is one, else skipped."""
    seen = set(results)
    for conclusion in (Conclusion.FAILURE, Conclusion.CANCELLED, Conclusion.SUCCESS):
        if conclusion in seen:
            return conclusion
    return Conclusion.SKIPPED


def job_outputs(job: JobSnapshot) -> dict[str, str]:
    """Return a job's outputs; of several legs that set one, the last finished with a value that is not empty wins."""
    outputs: dict[str, str] = {}
    for leg in sorted(job.legs, key=lambda leg: leg.finished_order):
        for name, value in leg.outputs.items():
            if value or name not in outputs:
                outputs[name] = value
    return outputs


def needs_context(job: Job, run: RunSnapshot) -> dict[str, Any]:
    """Return the ``needs`` context of a job whose direct needs are all complete: JSON values."""
    context: dict[str, Any] = {}
    for need in job.needs:
        snapshot = run.jobs[need.job]
        result = job_result(snapshot)
        context[need.job] = {"result": str(result or Conclusion.FAILURE), "outputs": job_outputs(snapshot)}
    return context


def needs_are_complete(job: Job, run: RunSnapshot) -> bool:
    """Tell whether every direct need is done: all its legs completed, or it was skipped or rejected."""
    return all(need.job in run.jobs and job_result(run.jobs[need.job]) is not None for need in job.needs)


def ancestors(workflow: Workflow, job: Job) -> tuple[JobKey, ...]:
    """Return every direct and indirect need of the job, nearest first, each once."""
    found: dict[JobKey, None] = {}
    level: list[JobKey] = [need.job for need in job.needs]
    while level:
        new = [key for key in dict.fromkeys(level) if key not in found and key in workflow.jobs]
        found.update(dict.fromkeys(new))
        level = [need.job for key in new for need in workflow.jobs[key].needs]
    return tuple(found)


def ancestor_results(workflow: Workflow, job: Job, run: RunSnapshot) -> dict[JobKey, Conclusion]:
    """Return the result of every ancestor that is complete: of all of them once the direct needs are."""
    results: dict[JobKey, Conclusion] = {}
    for key in ancestors(workflow, job):
        result = job_result(run.jobs[key]) if key in run.jobs else None
        if result is not None:
            results[key] = result
    return results


def run_conclusion(jobs: Mapping[JobKey, JobSnapshot], *, cancelled: bool) -> Conclusion:
    """Return the conclusion of a run whose jobs are all complete.

    Failure beats cancelled beats success; a run of which every job was skipped is skipped. A run that was cancelled
    in time is never a success, even when what still ran succeeded.
    """
    conclusion = worst(_results(jobs.values()))
    return Conclusion.CANCELLED if cancelled and conclusion is not Conclusion.FAILURE else conclusion


def _results(jobs: Iterable[JobSnapshot]) -> Iterator[Conclusion]:
    for job in jobs:
        result = job_result(job)
        if result is not None:
            yield result
