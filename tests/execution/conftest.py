"""A job from YAML text to its result, on a real agent and real processes; only the machine's walls are missing."""

import io
import tarfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import anyio
import pytest

from terraphim_runner.execution import Cancellation, JobLimits, JobRequest, run_job
from terraphim_runner.model.ids import JobKey, LegKey
from terraphim_runner.model.job import LogKind
from terraphim_runner.model.secret import Secret
from terraphim_runner.planning.graph import PlannedLeg
from terraphim_runner.ports import Checkout, CheckoutError, MachineSpec
from terraphim_runner.providers.process.provider import ProcessProvider
from terraphim_runner.workflow import parse

SHA = "1" * 40


@pytest.fixture
def anyio_backend():
    return "asyncio"


@dataclass
class Recorder:
    """A reporter that keeps everything."""

    lines: list = field(default_factory=list)
    annotations: list = field(default_factory=list)
    started: list = field(default_factory=list)
    completed: list = field(default_factory=list)
    more: anyio.Event = field(default_factory=anyio.Event)

    async def step_started(self, number, name, at):
        self.started.append((number, name))

    async def log(self, lines):
        self.lines += lines
        self.more.set()

    async def wait_for(self, text):
        while text not in self.text:
            self.more = anyio.Event()
            await self.more.wait()

    async def annotation(self, annotation):
        self.annotations.append(annotation)

    async def step_completed(self, result):
        self.completed.append(result)

    @property
    def text(self):
        """What the steps printed, without what the runner itself wrote."""
        return "\n".join(line.text for line in self.lines if line.kind is LogKind.OUTPUT and line.step > 0)

    @property
    def everything(self):
        return repr((self.lines, self.annotations, self.started, self.completed))


@pytest.fixture
async def recorder():
    return Recorder()


@dataclass
class Tree:
    """A source tree that holds the given files."""

    files: dict

    @asynccontextmanager
    async def checkout(self, request):
        if request.ref == "missing":
            raise CheckoutError("commit 'missing' does not exist in 'octo/hello'")
        yield Checkout(sha=SHA, ref="refs/heads/main", archive=self._archive())

    async def _archive(self) -> AsyncIterator[bytes]:
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as archive:
            for name, content in self.files.items():
                entry = tarfile.TarInfo(name)
                entry.size = len(content)
                archive.addfile(entry, io.BytesIO(content))
        yield buffer.getvalue()


@dataclass
class Ran:
    result: object
    recorder: Recorder

    def step(self, name):
        return next(step for step in self.result.steps if step.id == name)

    @property
    def text(self):
        return self.recorder.text


@pytest.fixture
def run(tmp_path):
    """Return a function that runs the job ``job`` of a workflow's text."""

    async def run(
        steps="",
        *,
        job="",
        top="",
        secrets=None,
        files=None,
        cancellation=None,
        recorder=None,
        limits=None,
        timeout_minutes=5.0,
        matrix=None,
        needs=None,
        variables=None,
        environment=None,
    ):
        head = f"on: push\n{top}\njobs:\n  job:\n    runs-on: ubuntu-latest\n"
        text = f"{head}{_indent(job, 4)}\n    steps:\n{_indent(steps, 6)}"
        found = parse("ci.yml", text)
        assert found.workflow is not None, "\n".join(item.render(text) for item in found.diagnostics)
        recorder = recorder or Recorder()
        request = JobRequest(
            workflow=found.workflow,
            job=found.workflow.jobs[JobKey("job")],
            leg=PlannedLeg(
                key=LegKey("job"),
                job=JobKey("job"),
                name="job",
                labels=("ubuntu-latest",),
                matrix=matrix or {},
                strategy={},
                timeout_minutes=timeout_minutes,
                continue_on_error=False,
            ),
            contexts={
                "github": {
                    "repository": "octo/hello",
                    "repository_owner": "octo",
                    "sha": SHA,
                    "ref": "refs/heads/main",
                    "ref_name": "main",
                    "event_name": "push",
                    "actor": "octocat",
                    "workflow_ref": "octo/hello/ci.yml@refs/heads/main",
                    "workflow_sha": SHA,
                    "event": {"head_commit": {"message": "änderung"}},
                },
                "vars": variables or {},
                "inputs": {},
            },
            needs=needs or {},
            environment=environment or {},
            secrets={name: Secret(value) for name, value in (secrets or {}).items()},
            source=Tree(files or {"README.md": b"hello\n"}),
            cancellation=cancellation or Cancellation(),
            limits=limits or JobLimits(interrupt_grace_s=0.3, terminate_grace_s=0.3, cancel_deadline_s=10),
        )
        provider = ProcessProvider(tmp_path / "vms")
        async with provider, provider.acquire(MachineSpec(image="default")) as session:
            result = await run_job(request, session, recorder)
        return Ran(result=result, recorder=recorder)

    return run


def _indent(text, width):
    return "\n".join(" " * width + line for line in text.strip("\n").splitlines())
