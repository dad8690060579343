"""A tiny pure driver of ``advance``: it carries decisions out on a snapshot, with outcomes that the test gives."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from terraphim_runner.model.ids import JobKey, LegKey
from terraphim_runner.model.states import Conclusion, Status
from terraphim_runner.planning import advance, leg_from_json, leg_to_json
from terraphim_runner.planning.graph import (
    CancelLeg,
    Conclude,
    Decision,
    Expand,
    Finish,
    JobSnapshot,
    LegSnapshot,
    PlannedCall,
    Reject,
    RunSnapshot,
    Skip,
    Start,
)
from terraphim_runner.workflow import parse
from terraphim_runner.workflow.tree import CallJob, Workflow


def read(text: str) -> Workflow:
    """Return the workflow of a file that has to be valid."""
    result = parse(".github/workflows/ci.yml", text, check_support=False)
    assert result.workflow is not None, [item.headline() for item in result.diagnostics]
    return result.workflow


@dataclass
class Drive:
    """A run under way. ``started`` and ``history`` keep the order in which things were decided."""

    workflow: Workflow
    contexts: Mapping[str, Any] = field(default_factory=dict)
    jobs: dict[JobKey, JobSnapshot] = field(default_factory=dict)
    cancelled: bool = False
    started: list[LegKey] = field(default_factory=list)
    needs_seen: dict[LegKey, Mapping[str, Any]] = field(default_factory=dict)
    skipped: dict[JobKey, str] = field(default_factory=dict)
    rejected: dict[JobKey, tuple[str, ...]] = field(default_factory=dict)
    cancel_reasons: dict[LegKey, str] = field(default_factory=dict)
    conclusion: Conclusion | None = None
    completions: int = 0

    @property
    def snapshot(self) -> RunSnapshot:
        return RunSnapshot(contexts=self.contexts, jobs=dict(self.jobs), cancelled=self.cancelled)

    def settle(self) -> None:
        """Carry out decisions until there are none."""
        while self.conclusion is None:
            decisions = advance(self.workflow, self.snapshot)
            assert decisions == advance(self.workflow, self.snapshot), "the same snapshot gives the same decisions"
            if not decisions:
                return
            for decision in decisions:
                assert not isinstance(decision, Finish) or len(decisions) == 1
                self._carry_out(decision)

    def _carry_out(self, decision: Decision) -> None:
        match decision:
            case Expand():
                assert decision.job not in self.jobs
                legs = tuple(leg_from_json(leg_to_json(leg)) for leg in decision.legs)
                assert legs == decision.legs
                self.jobs[decision.job] = JobSnapshot(
                    legs=tuple(LegSnapshot(leg=leg, status=Status.WAITING) for leg in legs)
                )
            case Skip():
                assert decision.job not in self.jobs
                self.skipped[decision.job] = decision.reason
                self.jobs[decision.job] = JobSnapshot(skipped=True)
            case Reject():
                assert decision.job not in self.jobs
                self.rejected[decision.job] = tuple(item.message for item in decision.diagnostics)
                assert all(item.span.start.line >= 1 for item in decision.diagnostics)
                self.jobs[decision.job] = JobSnapshot(failed=True)
            case Start():
                assert self.leg(decision.leg).status is Status.WAITING
                assert decision.leg not in self.started, "a leg starts once"
                self.started.append(decision.leg)
                self.needs_seen[decision.leg] = decision.needs
                leg = self.leg(decision.leg)
                is_call = isinstance(leg.leg, PlannedCall)
                self._put(replace(leg, status=Status.IN_PROGRESS if is_call else Status.QUEUED))
            case CancelLeg():
                leg = self.leg(decision.leg)
                assert leg.status is not Status.COMPLETED
                assert not leg.cancelling, "a cancellation is asked for once"
                self.cancel_reasons[decision.leg] = decision.reason
                if leg.status is Status.IN_PROGRESS:
                    self._put(replace(leg, cancelling=True))
                else:
                    self.complete(decision.leg, Conclusion.CANCELLED)
            case Conclude():
                leg = self.leg(decision.leg)
                assert isinstance(leg.leg, PlannedCall)
                below = f"{decision.leg}/"
                inner = [leg for key, job in self.jobs.items() if key.startswith(below) for leg in job.legs]
                assert all(leg.status is Status.COMPLETED for leg in inner), "a call ends after its jobs"
                self.rejected |= (
                    {leg.leg.job: tuple(item.message for item in decision.diagnostics)} if decision.diagnostics else {}
                )
                self.complete(decision.leg, decision.conclusion, decision.outputs)
            case Finish():
                self.conclusion = decision.conclusion

    def leg(self, key: str) -> LegSnapshot:
        return next(leg for job in self.jobs.values() for leg in job.legs if leg.leg.key == key)

    def _put(self, changed: LegSnapshot) -> None:
        job = self.jobs[changed.leg.job]
        legs = tuple(changed if leg.leg.key == changed.leg.key else leg for leg in job.legs)
        self.jobs[changed.leg.job] = replace(job, legs=legs)

    def begin(self, key: str) -> None:
        self._put(replace(self.leg(key), status=Status.IN_PROGRESS))

    def complete(self, key: str, conclusion: Conclusion, outputs: Mapping[str, str] | None = None) -> None:
        self.completions += 1
        leg = self.leg(key)
        assert leg.status is not Status.COMPLETED
        self._put(
            replace(
                leg,
                status=Status.COMPLETED,
                conclusion=conclusion,
                outputs=outputs or {},
                finished_order=self.completions,
            )
        )

    @property
    def running(self) -> list[LegKey]:
        return [
            leg.leg.key
            for job in self.jobs.values()
            for leg in job.legs
            if leg.status in {Status.QUEUED, Status.IN_PROGRESS} and not isinstance(leg.leg, PlannedCall)
        ]

    def names(self, job: str) -> list[str]:
        return [leg.leg.name for leg in self.jobs[JobKey(job)].legs]

    def run(self, outcomes: Mapping[str, Conclusion | dict[str, str]] | None = None) -> "Drive":
        """Run to the end: each leg ends as told, by leg or job key; success is what is not told."""
        outcomes = outcomes or {}
        self.settle()
        while self.conclusion is None:
            assert self.running, "nothing runs and nothing is decided: the run hangs"
            key = self.running[0]
            told = outcomes.get(key, outcomes.get(self.leg(key).leg.job, Conclusion.SUCCESS))
            if isinstance(told, dict):
                self.complete(key, Conclusion.SUCCESS, told)
            else:
                self.complete(key, told)
            self.settle()
        return self


@pytest.fixture
def workflow() -> Callable[[str], Workflow]:
    return read


@pytest.fixture
def drive() -> Callable[..., Drive]:
    def make(text: str, **contexts: Any) -> Drive:
        return Drive(workflow=read(text), contexts=contexts)

    return make


@pytest.fixture
def linked() -> Callable[..., Workflow]:
    """A workflow whose calls are linked by hand: ``files`` are texts by the names that ``uses`` has."""

    def link(text: str, **files: str) -> Workflow:
        known: dict[str, Workflow] = {}

        def called(name: str) -> Workflow:
            if name not in known:
                known[name] = whole(read(files[name]))
            return known[name]

        def whole(workflow: Workflow) -> Workflow:
            calls = {
                key: called(job.workflow.path.split("/")[-1].removesuffix(".yml"))
                for key, job in workflow.jobs.items()
                if isinstance(job, CallJob)
            }
            return replace(workflow, calls=calls)

        return whole(read(text))

    return link


@pytest.fixture
def drive_of() -> Callable[[Workflow], Drive]:
    return lambda workflow: Drive(workflow=workflow)
