"""Every port: what execution and services need from the outside, each with several real implementations.

Execution speaks to these and to nothing else; adapters (``providers``, ``store``, ``github``, ``cli``) implement them.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from types import TracebackType
from typing import Protocol, Self

from terraphim_runner.model.ids import SessionId
from terraphim_runner.model.job import Annotation, LogLine, StepResult


class Stream(StrEnum):
    STDOUT = "stdout"
    STDERR = "stderr"


class OutputSink(Protocol):
    """Takes a command's output as it comes. The next chunk is read only after this returned (back-pressure)."""

    async def __call__(self, stream: Stream, data: bytes) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A program to run inside the machine.

    ``argv[0]`` is looked up in ``env["PATH"]``. ``env`` is the whole environment: nothing is inherited.
    ``user`` is a name in the machine's ``/etc/passwd``.
    """

    argv: tuple[str, ...]
    env: Mapping[str, str]
    cwd: str
    user: str = "runner"
    stdin: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exit:
    """How a command ended: an exit code, or the signal that killed it; exactly one is set."""

    code: int | None = None
    signal: int | None = None

    @property
    def ok(self) -> bool:
        return self.code == 0

    @property
    def status(self) -> int:
        """The exit status as a shell shows it: the code, or 128 + the signal."""
        return self.code if self.code is not None else 128 + (self.signal or 0)


class Process(Protocol):
    """A running command. Its children belong to it: signals go to its whole process group."""

    async def wait(self) -> Exit:
        """Return when the command itself ended and its output was delivered.

        A child that outlives the command and holds its output open is waited for a short grace, then left alone.
        May be called more than once. Raises ``InfrastructureError`` when the machine is gone.
        """
        ...

    async def signal(self, number: int) -> None:
        """Send a signal to the whole process group; does nothing when it ended already."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class GuestFile:
    """A file to write; parents are created. ``owner`` is a user name in the machine."""

    path: str
    content: bytes
    mode: int = 0o644
    owner: str = "runner"


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionStats:
    cpu_s: float
    memory_bytes: int


class Session(Protocol):
    """One machine that is leased to one job, ready for commands.

    Calls may overlap. Every call raises ``InfrastructureError`` once the machine is gone, hangs past the
    provider's limits, or breaks the channel's protocol; the session is then useless and must be released.
    """

    @property
    def id(self) -> SessionId: ...

    @property
    def description(self) -> str:
        """One line for reports: provider, image, and the walls that are missing, if any."""
        ...

    @property
    def home(self) -> str:
        """The directory, absolute and owned by the user, below which all of the runner's files live.

        ``/home/runner`` in a VM; a fresh temporary directory when there is no VM. Derive every path from it.
        """
        ...

    def exec(self, command: Command, output: OutputSink) -> AbstractAsyncContextManager[Process]:
        """Start a command. On leaving the context its process group is killed if it still runs.

        Entering raises ``CommandStartError`` when it cannot be started.
        """
        ...

    async def write_files(self, files: Sequence[GuestFile]) -> None: ...

    async def read_file(self, path: str, *, max_bytes: int) -> bytes | None:
        """Return the file's content, or None when there is none.

        More than ``max_bytes`` raises ``FileTooLargeError``.
        """
        ...

    async def unpack(self, destination: str, archive: AsyncIterator[bytes], *, owner: str = "runner") -> None:
        """Unpack a tar stream (uncompressed) below a directory, which is created; all of it belongs to ``owner``."""
        ...

    async def stats(self) -> SessionStats: ...


class CommandStartError(Exception):
    """The command could not be started inside the machine: no such program, directory or user. The text says which.

    The machine itself is fine; it is the step that fails.
    """


class RefusedError(Exception):
    """The machine is well, but a file operation cannot be done there; the text says which and why.

    A missing directory, no permission, a full disk, an archive that reaches outside of its destination. Raised by
    ``write_files``, ``read_file`` and ``unpack``; it is the step that fails.
    """


class FileTooLargeError(Exception):
    """A file in the guest is larger than the caller allows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineSpec:
    """What a job's machine needs to be."""

    image: str
    memory_mib: int = 512
    vcpus: int = 1
    disk_mib: int = 4096
    cpu_percent: int = 100
    """Share of one host CPU per vCPU."""


class Provider(Protocol):
    """Makes machines. Entered once (``async with``) before use; leaving it destroys every machine."""

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    @property
    def name(self) -> str: ...

    async def prepare(self, spec: MachineSpec) -> None:
        """Do ahead what an acquire of this spec would otherwise wait for (template, warm clones). Repeatable."""
        ...

    def acquire(self, spec: MachineSpec) -> AbstractAsyncContextManager[Session]:
        """Lease a fresh machine; leaving the context destroys it, with every process, socket, file and mount.

        Raises ``InfrastructureError`` (no image, no binary, disk full, boot timeout).
        """
        ...

    async def sweep(self) -> int:
        """Destroy what a crashed predecessor left behind; return how many machines that were."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckoutRequest:
    """What ``actions/checkout`` asks for. ``ref`` is None for the commit that the run is for."""

    repository: str
    ref: str | None = None
    fetch_depth: int = 1
    options: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkout:
    """An exact tree, as a tar stream that contains ``.git``; ``sha`` is what ``HEAD`` is."""

    sha: str
    ref: str
    archive: AsyncIterator[bytes]


class SourceTree(Protocol):
    """Hands out repository trees. No credential is ever part of one."""

    def checkout(self, request: CheckoutRequest) -> AbstractAsyncContextManager[Checkout]:
        """Open exactly the asked commit, or raise ``CheckoutError``; never a neighbouring one."""
        ...


class CheckoutError(Exception):
    """The asked commit or repository cannot be had; the text says which and why. A step's failure, not ours."""


class JobReporter(Protocol):
    """Is told of a job's progress, in order. Lines are masked already. Must not block for long.

    Steps may overlap; their numbers tell them apart.
    """

    async def step_started(self, number: int, name: str, at: datetime) -> None: ...

    async def log(self, lines: Sequence[LogLine]) -> None: ...

    async def annotation(self, annotation: Annotation) -> None: ...

    async def step_completed(self, result: StepResult) -> None: ...


class Clock(Protocol):
    """Wall-clock time. Waiting is anyio's business."""

    def now(self) -> datetime:
        """Return the time, aware, in UTC."""
        ...


class SystemClock:
    """The machine's own clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)
