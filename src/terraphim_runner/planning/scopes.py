"""The workflows that a run carries out: its own, and the called ones, each with its own jobs, inputs and needs.

A run's jobs are kept flat, under keys that say where they stand. A scope shows those of one workflow under the keys
that are written in its file, so that all other rules of planning need not know of calls.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

from terraphim_runner.model.ids import JobKey, LegKey
from terraphim_runner.planning.evaluation import Contexts
from terraphim_runner.planning.graph import JobSnapshot, LegSnapshot, PlannedCall, RunSnapshot
from terraphim_runner.workflow.tree import Job, Workflow

_BELOW: Final = "/"
_Jobs = Mapping[JobKey, JobSnapshot]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """``run`` holds the jobs of ``workflow`` only, by the keys of its file; ``call`` is None for the run's own."""

    workflow: Workflow
    run: RunSnapshot
    contexts: Contexts
    call: PlannedCall | None = None
    why_cancelled: str = "the run was cancelled"
    """For people, once ``run.cancelled``: a call may be cancelled though the run is not."""
    all_jobs: Mapping[str, _Jobs]

    @property
    def title(self) -> str:
        """What stands before the names of its jobs."""
        return f"{self.call.name} / " if self.call is not None else ""

    def key(self, job: JobKey) -> JobKey:
        """Return the key that the run knows a job of this workflow by."""
        return JobKey(f"{self.call.key}{_BELOW}{job}") if self.call is not None else job

    def below(self, leg: LegSnapshot) -> "Scope | None":
        """Return the workflow that a leg calls; None when it calls none, or one that is not linked."""
        call = leg.leg
        if not isinstance(call, PlannedCall):
            return None
        workflow = self.workflow.calls.get(local_key(call.job))
        if workflow is None:
            return None
        run = replace(
            self.run,
            contexts={**self.run.contexts, "inputs": call.inputs},
            jobs=self.all_jobs.get(call.key, {}),
            cancelled=self.run.cancelled or leg.cancelling,
        )
        contexts = self.contexts.with_(inputs=call.inputs)
        why = self.why_cancelled if self.run.cancelled else f"the call {call.name!r} was cancelled"
        return Scope(
            workflow=workflow, run=run, contexts=contexts, call=call, why_cancelled=why, all_jobs=self.all_jobs
        )


def scope_of_run(workflow: Workflow, run: RunSnapshot) -> Scope:
    """Return the scope of the run's own workflow."""
    grouped: dict[str, dict[JobKey, JobSnapshot]] = {}
    for key, job in run.jobs.items():
        above, _, name = key.rpartition(_BELOW)
        grouped.setdefault(above, {})[JobKey(name)] = job
    own = replace(run, jobs=grouped.get("", {}))
    return Scope(workflow=workflow, run=own, contexts=Contexts(run.contexts), all_jobs=grouped)


def local_key(key: JobKey) -> JobKey:
    """Return the key of a job as it is written in its file."""
    return JobKey(key.rpartition(_BELOW)[2])


def path_to(root: Scope, key: JobKey) -> Iterator[tuple[Scope, LegSnapshot]]:
    """Yield each call on the way to a job, outermost first: the scope it is made in, and its leg.

    Raises ``KeyError`` when the run has no such call.
    """
    above, _, _ = key.rpartition(_BELOW)
    scope = root
    while scope.call is None or scope.call.key != above:
        if not above:
            return
        leg = next((leg for leg in _calls(scope) if f"{above}{_BELOW}".startswith(f"{leg.leg.key}{_BELOW}")), None)
        inner = scope.below(leg) if leg is not None else None
        if leg is None or inner is None:
            raise KeyError(key)
        yield scope, leg
        scope = inner


def _calls(scope: Scope) -> Iterator[LegSnapshot]:
    for job in scope.run.jobs.values():
        yield from (leg for leg in job.legs if isinstance(leg.leg, PlannedCall))


def leg_key(job: JobKey, index: int | None) -> LegKey:
    """Return the key of a job's leg; ``index`` is None without a matrix."""
    return LegKey(job if index is None else f"{job}{_BELOW}{index}")


def locate(workflow: Workflow, key: JobKey) -> tuple[Workflow, Job]:
    """Return a job of the run and the workflow that it is written in. Raises ``KeyError`` when there is none."""
    parts = [part for part in key.split(_BELOW) if not part.isdecimal()]
    for part in parts[:-1]:
        workflow = workflow.calls[JobKey(part)]
    return workflow, workflow.jobs[JobKey(parts[-1])]
