"""Golden pairs: a workflow and what happens to its jobs, and the trace of every decision that planning takes.

A case holds ``workflow`` (the file's text), and may hold ``called`` (texts by file name, linked by hand), ``contexts``
(run-wide ones as JSON), ``outcomes`` (leg or job key → how it ends, success being what is not told; a mapping is the
outputs of a success) and ``script``: events that come before the outcomes, in order. An event is ``cancel`` (the run),
``{begin: leg}`` or ``{complete: leg, as: conclusion, outputs: {…}}``. Lines that begin with ``>`` are events. With
``secrets`` (name → value), the trace ends with what each job sees of them.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from terraphim_runner.model.ids import JobKey
from terraphim_runner.model.secret import Secret
from terraphim_runner.model.states import Conclusion, Status
from terraphim_runner.planning import advance
from terraphim_runner.planning.calls import visible_secrets
from terraphim_runner.planning.graph import (
    CancelLeg,
    Conclude,
    Decision,
    Expand,
    Finish,
    JobSnapshot,
    LegSnapshot,
    Planned,
    PlannedCall,
    PlannedLeg,
    Reject,
    RunSnapshot,
    Skip,
    Start,
)
from terraphim_runner.workflow import parse
from terraphim_runner.workflow.tree import CallJob, Workflow

GOLDEN: Final = Path(__file__).parent / "planning"
CASES: Final = sorted(GOLDEN.glob("*.yml"))
MAX_ROUNDS: Final = 500


@dataclass
class Run:
    """A run on paper: decisions are carried out at once, and everything is written down."""

    workflow: Workflow
    contexts: Mapping[str, Any]
    lines: list[str] = field(default_factory=list)
    jobs: dict[JobKey, JobSnapshot] = field(default_factory=dict)
    cancelled: bool = False
    completions: int = 0
    finished: bool = False

    @property
    def snapshot(self) -> RunSnapshot:
        return RunSnapshot(contexts=self.contexts, jobs=dict(self.jobs), cancelled=self.cancelled)

    def settle(self) -> None:
        for _ in range(MAX_ROUNDS):
            decisions = advance(self.workflow, self.snapshot)
            assert decisions == advance(self.workflow, self.snapshot), "the same snapshot gives the same decisions"
            for decision in decisions:
                self._carry_out(decision)
            if self.finished or not decisions:
                return
        raise AssertionError("planning decides without end")

    def _carry_out(self, decision: Decision) -> None:
        match decision:
            case Expand(job=job, legs=legs):
                self.lines += [f"expand {job}" if legs else f"expand {job}: no leg", *map(_leg, legs)]
                waiting = tuple(LegSnapshot(leg=leg, status=Status.WAITING) for leg in legs)
                self.jobs[job] = JobSnapshot(legs=waiting)
            case Skip(job=job, reason=reason):
                self.lines.append(f"skip {job}: {reason}")
                self.jobs[job] = JobSnapshot(skipped=True)
            case Reject(job=job, diagnostics=diagnostics):
                self.lines += [f"reject {job}: {found.span.start.line}: {found.message}" for found in diagnostics]
                self.jobs[job] = JobSnapshot(failed=True)
            case Start(leg=key, needs=needs):
                self.lines.append(f"start {key}" + (f" with needs {_json(needs)}" if needs else ""))
                is_call = isinstance(self.leg(key).leg, PlannedCall)
                self._put(replace(self.leg(key), status=Status.IN_PROGRESS if is_call else Status.QUEUED))
            case CancelLeg(leg=key, reason=reason):
                self.lines.append(f"cancel {key}: {reason}")
                leg = self.leg(key)
                if leg.status is Status.IN_PROGRESS:
                    self._put(replace(leg, cancelling=True))
                else:
                    self._complete(key, Conclusion.CANCELLED, {})
            case Conclude(leg=key, conclusion=conclusion, outputs=outputs, diagnostics=diagnostics):
                self.lines += [f"conclude {key}: {found.message}" for found in diagnostics]
                self.lines.append(f"conclude {key}: {conclusion}" + (f" {_json(outputs)}" if outputs else ""))
                self._complete(key, conclusion, outputs)
            case Finish(conclusion=conclusion):
                self.lines.append(f"finish: {conclusion}")
                self.finished = True

    def leg(self, key: str) -> LegSnapshot:
        return next(leg for job in self.jobs.values() for leg in job.legs if leg.leg.key == key)

    def _put(self, changed: LegSnapshot) -> None:
        job = self.jobs[changed.leg.job]
        legs = tuple(changed if leg.leg.key == changed.leg.key else leg for leg in job.legs)
        self.jobs[changed.leg.job] = replace(job, legs=legs)

    def _complete(self, key: str, conclusion: Conclusion, outputs: Mapping[str, str]) -> None:
        self.completions += 1
        leg = self.leg(key)
        assert leg.status is not Status.COMPLETED
        done = replace(leg, status=Status.COMPLETED, conclusion=conclusion, finished_order=self.completions)
        self._put(replace(done, outputs=outputs))

    def happen(self, event: str | Mapping[str, Any]) -> None:
        """Let one event of a script happen."""
        match event:
            case "cancel":
                self.lines.append("> cancel the run")
                self.cancelled = True
            case {"begin": key}:
                self.lines.append(f"> begin {key}")
                self._put(replace(self.leg(key), status=Status.IN_PROGRESS))
            case {"complete": key, **more}:
                self.end(key, more.get("as", "success"), more.get("outputs", {}))
            case _:
                raise AssertionError(f"no event: {event!r}")
        self.settle()

    def end(self, key: str, conclusion: str, outputs: Mapping[str, str]) -> None:
        self.lines.append(f"> {key} ends: {conclusion}" + (f" {_json(outputs)}" if outputs else ""))
        self._complete(key, Conclusion(conclusion), outputs)

    @property
    def running(self) -> Iterator[LegSnapshot]:
        for job in self.jobs.values():
            for leg in job.legs:
                if leg.status in {Status.QUEUED, Status.IN_PROGRESS} and not isinstance(leg.leg, PlannedCall):
                    yield leg

    def finish(self, outcomes: Mapping[str, str | dict[str, str]]) -> None:
        """Let what runs end, oldest first, until nothing is left. What was told to leave is cancelled."""
        while not self.finished:
            leg = next(self.running, None)
            assert leg is not None, "nothing runs and nothing is decided: the run hangs"
            key = leg.leg.key
            default = "cancelled" if leg.cancelling else "success"
            told = outcomes.get(key, outcomes.get(leg.leg.job, default))
            if isinstance(told, dict):
                self.end(key, "success", told)
            else:
                self.end(key, told, {})
            self.settle()

    def tell_secrets(self, secrets: Mapping[str, str]) -> None:
        """Write down what each job that has a machine sees of the secrets."""
        known = {name: Secret(value) for name, value in secrets.items()}
        for key, job in self.jobs.items():
            if any(isinstance(leg.leg, PlannedLeg) for leg in job.legs):
                seen = visible_secrets(self.workflow, self.snapshot, key, known)
                told = {name: secret.reveal() for name, secret in sorted(seen.items())}
                self.lines.append(f"secrets of {key}: {_json(told)}")


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _leg(leg: Planned) -> str:
    parts = [f"  {leg.key}: {_json(leg.name)}"]
    if isinstance(leg, PlannedLeg):
        parts.append(f"on {', '.join(leg.labels)}")
    else:
        parts.append(f"calls with {_json(leg.inputs)}")
    if leg.matrix:
        strategy = leg.strategy
        count = f"{strategy['job-index']} of {strategy['job-total']}, at most {strategy['max-parallel']}"
        fails = "" if strategy["fail-fast"] else ", no fail-fast"
        parts.append(f"matrix {_json(leg.matrix)} ({count}{fails})")
    if isinstance(leg, PlannedLeg):
        parts += [f"timeout {leg.timeout_minutes:g}"] if leg.timeout_minutes != 360 else []
        parts += ["continue-on-error"] if leg.continue_on_error else []
        parts += [f"environment {leg.environment}"] if leg.environment else []
        limit = leg.cancel_timeout_minutes
        parts += [f"cancel-timeout {limit:g}"] if limit is not None else []
    for group in leg.groups:
        cancels = " cancel-in-progress" if group.cancel_in_progress else ""
        parts.append(f"group {group.name}{cancels}{' queue max' if group.queue == 'max' else ''}")
    return "; ".join(parts)


def read(name: str, text: str) -> Workflow:
    """Return the workflow of a file that has to be valid."""
    result = parse(name, text, check_support=False)
    assert result.workflow is not None, [item.headline() for item in result.diagnostics]
    return result.workflow


def linked(text: str, called: Mapping[str, str]) -> Workflow:
    """Return the workflow with its calls linked by the names of the files that they name."""
    known: dict[str, Workflow] = {}

    def whole(workflow: Workflow) -> Workflow:
        calls: dict[JobKey, Workflow] = {}
        for key, job in workflow.jobs.items():
            name = job.uses.rsplit("/", 1)[-1].removesuffix(".yml") if isinstance(job, CallJob) else ""
            if name in called:
                known[name] = known.get(name) or whole(read(f"{name}.yml", called[name]))
                calls[key] = known[name]
        return replace(workflow, calls=calls)

    return whole(read("ci.yml", text))


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.stem)
def test_golden_run_takes_exactly_the_expected_decisions(case: Path) -> None:
    told = yaml.safe_load(case.read_text())
    assert set(told) <= {"workflow", "called", "contexts", "outcomes", "script", "secrets"}
    run = Run(workflow=linked(told["workflow"], told.get("called", {})), contexts=told.get("contexts", {}))
    run.settle()
    for event in told.get("script", ()):
        run.happen(event)
    run.finish(told.get("outcomes", {}))
    if "secrets" in told:
        run.tell_secrets(told["secrets"])
    assert "\n".join(run.lines) + "\n" == case.with_suffix(".expected").read_text()


def test_golden_planning_has_a_pair_for_every_case() -> None:
    assert len(CASES) > 50
    assert {path.stem for path in CASES} == {path.stem for path in GOLDEN.glob("*.expected")}
