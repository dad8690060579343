"""Machines that are none: the agent as a child process, its commands as the current user, in a temporary directory.

There is no isolation here at all, and every session says so. For tests, and for whoever asks for it by name.
"""

import os
import signal
import socket
import sys
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Self
from uuid import uuid4

import anyio
import anyio.abc
import anyio.to_thread

from terraphim_runner.guest.bundle import agent_bytes
from terraphim_runner.model.errors import InfrastructureError
from terraphim_runner.model.ids import SessionId
from terraphim_runner.ports import MachineSpec, Session
from terraphim_runner.providers import claims
from terraphim_runner.providers.channel import Channel
from terraphim_runner.providers.channel_session import ChannelSession
from terraphim_runner.providers.child import Child

DESCRIPTION: Final = "process: no isolation, commands run as the current user on this machine"
_MAIN: Final = "import sys; sys.path.insert(0, sys.argv.pop(1)); from terraphim_runner.guest.local import main; main()"
_HELLO_TIMEOUT_S: Final = 15.0
_LEAVE_TIMEOUT_S: Final = 10.0
_PING_INTERVAL_S: Final = 10.0
_PING_TIMEOUT_S: Final = 30.0


class ProcessProvider:
    """Implements ``ports.Provider``. ``directory`` holds one directory per session, and is made when needed."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._tasks: anyio.abc.TaskGroup | None = None

    @property
    def name(self) -> str:
        return "process"

    async def __aenter__(self) -> Self:
        self._tasks = await anyio.create_task_group().__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._tasks is not None:
            self._tasks.cancel_scope.cancel()
            # The tasks never raise, and what the body raised must not be wrapped in a group with nothing else in it.
            await self._tasks.__aexit__(None, None, None)
            self._tasks = None

    async def prepare(self, spec: MachineSpec) -> None:
        """There is nothing to prepare."""

    @asynccontextmanager
    async def acquire(self, spec: MachineSpec) -> AsyncGenerator[Session]:
        if self._tasks is None:
            raise InfrastructureError(doing="start a session", reason="the provider was not entered")
        session_id = SessionId(f"process-{uuid4().hex[:12]}")
        async with AsyncExitStack() as stack:
            claim = claims.claim(self._directory / session_id)
            stack.push_async_callback(_remove, claim)
            home = claim.path / "home"
            home.mkdir()
            (claim.path / "agent.pyz").write_bytes(agent_bytes())
            channel, child = await self._start(claim.path, session_id)
            stack.push_async_callback(_end, channel, child, claim.path)
            await self._tasks.start(channel.run)
            await channel.greet(_HELLO_TIMEOUT_S)
            channel.start(lambda: channel.watch(_PING_INTERVAL_S, _PING_TIMEOUT_S))
            yield ChannelSession(channel, session_id=session_id, description=DESCRIPTION, home=str(home))

    async def sweep(self) -> int:
        return await anyio.to_thread.run_sync(claims.sweep, self._directory, _kill_stragglers)

    async def _start(self, directory: Path, session_id: SessionId) -> tuple[Channel, Child]:
        ours, theirs = socket.socketpair()
        log = os.open(directory / "agent.log", os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            argv = [sys.executable, "-I", "-S", "-c", _MAIN, str(directory / "agent.pyz"), str(theirs.fileno())]
            child = Child.spawn(argv, name="the agent", env={}, pass_fds=[theirs.fileno()], log=log)
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
            os.close(log)
        return await Channel.over(ours, f"the agent of {session_id}", expects_hello=True), child


async def _end(channel: Channel, child: Child, directory: Path) -> None:
    channel.fail("the session was released")
    with anyio.move_on_after(_LEAVE_TIMEOUT_S, shield=True):
        await channel.close()
        # The agent kills its descendants before it leaves.
        await child.wait()
    await child.kill()
    with anyio.CancelScope(shield=True):
        await anyio.to_thread.run_sync(_kill_stragglers, directory)


async def _remove(claim: claims.Claim) -> None:
    with anyio.CancelScope(shield=True):
        await anyio.to_thread.run_sync(claim.release)


def _kill_stragglers(directory: Path) -> None:
    """Kill what outlived the agent and still shows the session's directory in its environment or working directory."""
    marker = os.fsencode(directory)
    for name in os.listdir("/proc"):
        if not name.isdigit() or int(name) == os.getpid():
            continue
        with suppress(OSError):
            place = os.fsencode(Path(f"/proc/{name}/cwd").readlink())
            if place.startswith(marker) or marker in Path(f"/proc/{name}/environ").read_bytes():
                os.kill(int(name), signal.SIGKILL)
