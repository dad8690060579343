"""Golden pairs: a workflow that is really run on this machine, and what came of its jobs and steps.

A case holds ``workflow``, and may hold ``called`` (texts by file name, linked by hand), ``secrets``, ``vars``,
``inputs`` and ``github`` (into the contexts), ``files`` (of the commit), ``debug``, ``cancel_at`` (the run is cancelled
when a line of the log is this text) and ``show``: the kinds of log lines that are told besides what the steps print.
Lines of one step stand together, whatever runs beside it. The machine's home directory is shown as ``~``.
"""

import io
import tarfile
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import anyio
import pytest
import yaml

from terraphim_runner.model.ids import JobKey
from terraphim_runner.model.job import Annotation, JobResult, LogKind, LogLine, StepResult
from terraphim_runner.model.secret import Secret
from terraphim_runner.model.source import Diagnostic
from terraphim_runner.model.states import Conclusion
from terraphim_runner.planning.graph import Planned, PlannedCall, PlannedLeg
from terraphim_runner.ports import Checkout, CheckoutRequest, MachineSpec, Session
from terraphim_runner.providers.process.provider import ProcessProvider
from terraphim_runner.services.local import LocalPlan, LocalRun
from terraphim_runner.workflow import parse
from terraphim_runner.workflow.tree import CallJob, Workflow

GOLDEN: Final = Path(__file__).parent / "execution"
CASES: Final = sorted(GOLDEN.glob("*.yml"))
KEYS: Final = {"workflow", "called", "secrets", "vars", "inputs", "github", "files", "debug", "cancel_at", "show"}
ALWAYS_SHOWN: Final = frozenset({LogKind.OUTPUT, LogKind.NOTICE, LogKind.WARNING, LogKind.ERROR, LogKind.DEBUG})
SHA: Final = "1" * 40
REF: Final = "refs/heads/main"


@dataclass
class Tree:
    """A commit with these files."""

    files: dict[str, str]

    @asynccontextmanager
    async def checkout(self, request: CheckoutRequest) -> AsyncIterator[Checkout]:
        del request
        yield Checkout(sha=SHA, ref=REF, archive=self._archive())

    async def _archive(self) -> AsyncIterator[bytes]:
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as archive:
            for name, content in self.files.items():
                entry = tarfile.TarInfo(name)
                entry.size = len(content.encode())
                archive.addfile(entry, io.BytesIO(content.encode()))
        yield buffer.getvalue()


@dataclass
class Reporter:
    """Keeps what one leg reports."""

    on_line: Callable[[str], None]
    lines: list[LogLine] = field(default_factory=list)
    annotations: list[Annotation] = field(default_factory=list)

    async def step_started(self, number: int, name: str, at: datetime) -> None:
        del number, name, at

    async def log(self, lines: Sequence[LogLine]) -> None:
        self.lines += lines
        for line in lines:
            if line.kind is LogKind.OUTPUT:
                self.on_line(line.text)

    async def annotation(self, annotation: Annotation) -> None:
        self.annotations.append(annotation)

    async def step_completed(self, result: StepResult) -> None:
        del result


@dataclass
class Observer:
    """Keeps what a run tells, leg by leg."""

    on_line: Callable[[str], None]
    show: frozenset[LogKind]
    reporters: dict[str, Reporter] = field(default_factory=dict)
    told: dict[str, list[str]] = field(default_factory=dict)

    def reporter(self, leg: PlannedLeg) -> Reporter:
        return self.reporters.setdefault(leg.key, Reporter(on_line=self.on_line))

    async def leg_started(self, leg: PlannedLeg) -> None:
        del leg

    async def leg_pending(self, leg: Planned, groups: tuple[str, ...]) -> None:
        self.told[f"{leg.key} waits"] = [f"job {leg.name}: waits for its turn in {', '.join(groups)}"]

    async def leg_completed(self, leg: Planned, result: JobResult) -> None:
        self.told[leg.key] = list(self._leg(leg, result))

    async def call_started(self, call: PlannedCall) -> None:
        self.told[f"{call.key} began"] = [f"call {call.name}: inputs {dict(call.inputs)}"]

    async def call_completed(
        self, call: PlannedCall, conclusion: Conclusion, outputs: Mapping[str, str], diagnostics: tuple[Diagnostic, ...]
    ) -> None:
        found = [f"  {found.headline()}" for found in diagnostics]
        told = [f"  output {name}: {value!r}" for name, value in outputs.items()]
        self.told[call.key] = [f"call {call.name}: {conclusion}", *found, *told]

    async def job_skipped(self, job: JobKey, name: str, reason: str) -> None:
        self.told[job] = [f"job {name}: skipped: {reason}"]

    async def job_rejected(self, job: JobKey, name: str, diagnostics: tuple[Diagnostic, ...]) -> None:
        self.told[job] = [f"job {name}: rejected", *(f"  {found.headline()}" for found in diagnostics)]

    def _leg(self, leg: Planned, result: JobResult) -> Iterable[str]:
        yield f"job {leg.name}: {result.conclusion}" + (f" ({result.error})" if result.error else "")
        if not isinstance(leg, PlannedLeg):
            return
        reporter = self.reporter(leg)
        yield from self._lines(reporter, 0)
        for step in result.steps:
            yield "  " + _step(step)
            yield from self._lines(reporter, step.number)
            yield from (_annotation(item) for item in reporter.annotations if item.step == step.number)
            yield from (f"    summary: {line}" for line in step.summary.splitlines())
        yield from (f"  output {name}: {value!r}" for name, value in result.outputs.items())

    def _lines(self, reporter: Reporter, step: int) -> Iterable[str]:
        for line in reporter.lines:
            if line.step != step or (line.kind not in ALWAYS_SHOWN and line.kind not in self.show):
                continue
            if step == 0 and line.text.startswith(("machine ", "job ")) and line.kind is LogKind.OUTPUT:
                continue
            kind = "" if line.kind is LogKind.OUTPUT else f"[{line.kind}] "
            yield f"    | {kind}{line.text}".rstrip()


def _step(step: StepResult) -> str:
    result = str(step.outcome) if step.outcome == step.conclusion else f"{step.outcome}, so {step.conclusion}"
    code = f" (exit code {step.exit_code})" if step.exit_code else ""
    outputs = f" {dict(step.outputs)}" if step.outputs else ""
    identity = f" #{step.id}" if step.id else ""
    return f"{step.number}{identity} {step.name}: {result}{code}{outputs}"


def _annotation(annotation: Annotation) -> str:
    place = {name: value for name, value in asdict(annotation).items() if value is not None}
    level, message = place.pop("level"), place.pop("message")
    del place["step"]
    told = ", ".join(f"{name} {value}" for name, value in place.items())
    return f"    annotation {level}: {message!r}" + (f" ({told})" if told else "")


async def _run(told: dict[str, Any], workflow: Workflow, directory: Path) -> tuple[str, list[str]]:
    """Return the run's conclusion and everything that was told, leg by leg."""
    homes: list[str] = []

    def watch(text: str) -> None:
        if text == told.get("cancel_at"):
            run.cancel()

    observer = Observer(on_line=watch, show=frozenset(map(LogKind, told.get("show", ()))))
    provider = ProcessProvider(directory / "vms")

    def lease(leg: PlannedLeg) -> AbstractAsyncContextManager[Session]:
        del leg
        return _leased(provider, homes)

    plan = LocalPlan(
        workflow=workflow,
        contexts={
            "github": {"repository": "octo/hello", "sha": SHA, "ref": REF, "ref_name": "main", "event_name": "push"}
            | told.get("github", {}),
            "vars": told.get("vars", {}),
            "inputs": told.get("inputs", {}),
        },
        source=Tree(told.get("files", {})),
        lease=lease,
        secrets={name: Secret(value) for name, value in told.get("secrets", {}).items()},
        debug=told.get("debug", False),
        parallel=1,
    )
    run = LocalRun(plan, observer)
    async with provider:
        conclusion = await run.execute()
    # As they finished, which with one machine at a time is as they started.
    lines = [line for lines in observer.told.values() for line in lines]
    for home in homes:
        lines = [line.replace(home, "~") for line in lines]
    return conclusion, lines


@asynccontextmanager
async def _leased(provider: ProcessProvider, homes: list[str]) -> AsyncIterator[Session]:
    async with provider.acquire(MachineSpec(image="default")) as session:
        homes.append(session.home)
        yield session


def read(name: str, text: str) -> Workflow:
    """Return the workflow of a file that has to be valid."""
    found = parse(name, text, check_support=False)
    assert found.workflow is not None, "\n".join(item.render(text) for item in found.diagnostics)
    return found.workflow


def linked(workflow: Workflow, called: Mapping[str, str]) -> Workflow:
    """Return the workflow with its calls linked by the names of the files that they name."""
    calls: dict[JobKey, Workflow] = {}
    for key, job in workflow.jobs.items():
        if isinstance(job, CallJob):
            name = job.uses.rsplit("/", 1)[-1].removesuffix(".yml")
            calls[key] = linked(read(f"{name}.yml", called[name]), called)
    return replace(workflow, calls=calls)


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.stem)
def test_golden_run_ends_exactly_as_expected(case: Path, tmp_path: Path) -> None:
    told = yaml.safe_load(case.read_text())
    assert set(told) <= KEYS
    workflow = linked(read("ci.yml", told["workflow"]), told.get("called", {}))
    conclusion, lines = anyio.run(_run, told, workflow, tmp_path)
    assert "\n".join([f"run: {conclusion}", *lines]) + "\n" == case.with_suffix(".expected").read_text()


def test_golden_execution_has_a_pair_for_every_case() -> None:
    assert len(CASES) > 40
    assert {path.stem for path in CASES} == {path.stem for path in GOLDEN.glob("*.expected")}
