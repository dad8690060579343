"""One running QEMU: started behind its walls, talked to, and ended without a trace."""

import os
import select
import signal
import socket
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import anyio
import anyio.abc
import anyio.to_thread

from terraphim_runner.model.errors import InfrastructureError
from terraphim_runner.model.ids import SessionId
from terraphim_runner.model.text import printable
from terraphim_runner.ports import MachineSpec, RefusedError
from terraphim_runner.providers import claims
from terraphim_runner.providers.channel import Channel
from terraphim_runner.providers.channel_session import ChannelSession
from terraphim_runner.providers.child import Child
from terraphim_runner.providers.qemu import arguments, walls
from terraphim_runner.providers.qemu.cgroups import PREFIX, Group
from terraphim_runner.providers.qemu.qmp import Qmp
from terraphim_runner.providers.qemu.settings import QemuSettings

HOME: Final = "/home/runner"
VMS: Final = "vms"
PID_FILE: Final = "pid"
GROUPS_FILE: Final = "groups"
_KILL_TIMEOUT_S: Final = 5.0
_MAX_LOG_BYTES: Final = 2000
_ENVIRONMENT: Final = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """What all machines of one provider share. ``uids`` are those in use."""

    settings: QemuSettings
    walls: walls.Walls
    directory: Path
    tasks: anyio.abc.TaskGroup
    uids: set[int] = field(default_factory=set[int])


class Machine:
    """A QEMU process with its two sockets. Made by ``launch``."""

    def __init__(self, *, session_id: SessionId, claim: claims.Claim, child: Child, channel: Channel, qmp: Qmp) -> None:
        self.id = session_id
        self.directory = claim.path
        self.child = child
        self.channel = channel
        self.qmp = qmp

    def session(self, description: str) -> ChannelSession:
        """Return the machine as a session."""
        return ChannelSession(self.channel, session_id=self.id, description=description, home=HOME)

    @property
    def is_alive(self) -> bool:
        """Whether nothing is known of its end."""
        return self.channel.error is None and self.child.returncode is None

    async def resume(self) -> None:
        """Do what a machine that stood still owes before its next command. Raises ``InfrastructureError``."""
        try:
            await self.session("").resume(str(self.id)[:63])
        except RefusedError as error:
            raise InfrastructureError(
                doing=f"resume the machine {self.id}", reason=str(error), retryable=True
            ) from error

    def diagnose(self) -> str:
        """Tell what is known of QEMU's end: its exit status and its last words."""
        code = self.child.returncode
        words = _tail(self.directory / "qemu.log") or _tail(self.directory / "console.log")
        ending = "" if code is None else f"QEMU was killed by signal {-code}" if code < 0 else f"QEMU ended with {code}"
        return "; ".join(part for part in (ending, words) if part)


class Descriptors:
    """The descriptors that a QEMU inherits. Those that are owned are closed here once it has them."""

    def __init__(self) -> None:
        self._owned: list[int] = []
        self._borrowed: list[int] = []

    def own(self, fd: int) -> int:
        self._owned.append(fd)
        return fd

    def borrow(self, fd: int) -> int:
        self._borrowed.append(fd)
        return fd

    def reopen(self, fd: int) -> int:
        """Open the same file once more for reading: a shared descriptor would share its position and its locks."""
        return self.own(os.open(f"/proc/self/fd/{fd}", os.O_RDONLY | os.O_CLOEXEC))

    def passed(self) -> tuple[int, ...]:
        return (*self._owned, *self._borrowed)

    def close(self) -> None:
        while self._owned:
            os.close(self._owned.pop())


Prepare = Callable[[Path, Descriptors, int, int], arguments.Machine]
"""Given the machine's directory, where to put descriptors, and those of the agent's and the monitor's sockets."""


@asynccontextmanager
async def launch(
    host: Host, session_id: SessionId, spec: MachineSpec, prepare: Prepare, *, expects_hello: bool
) -> AsyncGenerator[Machine]:
    """Start a QEMU, and end it on leaving: its process, sockets, control groups and directory.

    Raises ``InfrastructureError``.
    """
    async with AsyncExitStack() as stack:
        claim = claims.claim(host.directory / VMS / session_id)
        stack.push_async_callback(_in_thread, claim.release)
        # Noted before they are made, so that a crash in between leaves nothing that is not known.
        planned = host.walls.cgroups.named(session_id)
        _note(claim.path / GROUPS_FILE, "".join(f"{path}\n" for path in planned.paths))
        group = host.walls.cgroups.create(session_id, spec)
        stack.push_async_callback(_in_thread, group.remove)
        uid = None
        if host.walls.own_user:
            uid = walls.choose_uid(host.settings.uid_base, host.uids)
            host.uids.add(uid)
            stack.callback(host.uids.discard, uid)
        agent, agent_theirs = socket.socketpair()
        monitor, monitor_theirs = socket.socketpair()
        channel = await Channel.over(agent, f"the agent of {session_id}", expects_hello=expects_hello)
        stack.push_async_callback(channel.close)
        qmp = await Qmp.over(monitor, f"the machine {session_id}")
        stack.push_async_callback(qmp.close)
        descriptors = Descriptors()
        try:
            passed = (descriptors.own(agent_theirs.detach()), descriptors.own(monitor_theirs.detach()))
            command = prepare(claim.path, descriptors, *passed)
            argv = host.walls.wrap(
                arguments.command_line(command),
                spec,
                uid=uid,
                group=_kvm_group() if command.accelerator == "kvm" else None,
                niceness=host.settings.niceness,
            )
            child = _spawn(argv, descriptors, claim.path, session_id)
        except OSError as error:
            # Such as an image that was removed, or no descriptors left.
            raise InfrastructureError(
                doing=f"start the machine {session_id}", reason=error.strerror or str(error), retryable=True
            ) from error
        finally:
            descriptors.close()
        stack.push_async_callback(child.kill)
        _note(claim.path / PID_FILE, f"{child.pid} {start_time(child.pid)}")
        group.add(child.pid)
        machine = Machine(session_id=session_id, claim=claim, child=child, channel=channel, qmp=qmp)
        channel.explain_with(machine.diagnose)
        await host.tasks.start(channel.run)
        stack.callback(channel.fail, "the session was released")
        yield machine


def _note(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InfrastructureError(doing=f"write {str(path)!r}", reason=error.strerror or "") from error


def start_time(pid: int) -> str:
    """Return when a process started, in the kernel's ticks, or "" if there is none. With it, a number is unique."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[19]
    except (FileNotFoundError, ProcessLookupError, IndexError):
        return ""


def destroy_left_over(directory: Path) -> None:
    """Kill the machine that a crashed server left in a directory, and remove its control groups."""
    try:
        pid, started = (directory / PID_FILE).read_text(encoding="ascii").split()
    except (FileNotFoundError, ValueError):
        pid, started = "0", ""
    if started and start_time(int(pid)) == started:
        pidfd = os.pidfd_open(int(pid))
        try:
            # Once more, now that the number cannot be another process's any more.
            if start_time(int(pid)) == started:
                signal.pidfd_send_signal(pidfd, signal.SIGKILL)
                select.select([pidfd], [], [], _KILL_TIMEOUT_S)
        finally:
            os.close(pidfd)
    _left_group(directory).remove()


def _left_group(directory: Path) -> Group:
    """Return the groups that were made: the next server may run, and make its own, below others."""
    try:
        lines = (directory / GROUPS_FILE).read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        lines = []
    return Group(paths=tuple(Path(line) for line in lines if Path(line).name == f"{PREFIX}{directory.name}"))


def _kvm_group() -> int:
    return Path("/dev/kvm").stat().st_gid


def _spawn(argv: list[str], descriptors: Descriptors, directory: Path, session_id: SessionId) -> Child:
    log = os.open(directory / "qemu.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        return Child.spawn(
            argv, name=f"the machine {session_id}", env=_ENVIRONMENT, pass_fds=descriptors.passed(), log=log
        )
    finally:
        os.close(log)


async def _in_thread(call: Callable[[], None]) -> None:
    with anyio.CancelScope(shield=True):
        await anyio.to_thread.run_sync(call)


def _tail(path: Path) -> str:
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - _MAX_LOG_BYTES))
            text = file.read(_MAX_LOG_BYTES).decode("utf-8", "replace")
    except OSError:
        return ""
    return printable(text, instead=" ").strip()[-400:]
