"""The two ways to a running machine: booting it from nothing, and copying one that was booted."""

import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import anyio

from terraphim_runner.guest.bundle import agent_bytes
from terraphim_runner.model.errors import InfrastructureError
from terraphim_runner.model.ids import SessionId
from terraphim_runner.ports import Command, MachineSpec, Stream
from terraphim_runner.providers.channel_session import ChannelSession
from terraphim_runner.providers.image.initrd import agent_archive
from terraphim_runner.providers.qemu import arguments, disk, memory
from terraphim_runner.providers.qemu.machine import Descriptors, Host, Machine, launch
from terraphim_runner.providers.qemu.template import Recipe, Template

_CLOCKSOURCE: Final = "/sys/devices/system/clocksource/clocksource0/current_clocksource"
_GOOD_CLOCKS: Final = {"tcg": (b"tsc",), "kvm": (b"tsc", b"kvm-clock")}
_CLOCK_TIMEOUT_S: Final = 6.0
_CLOCK_POLL_S: Final = 0.1
_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_MIGRATION_CAPABILITIES: Final = ("x-ignore-shared", "events")


class BootError(InfrastructureError):
    """A machine did not come up; another try may."""

    def __init__(self, session_id: SessionId, reason: str) -> None:
        super().__init__(doing=f"boot the machine {session_id}", reason=reason, retryable=True)


@asynccontextmanager
async def boot(
    host: Host, session_id: SessionId, recipe: Recipe, ram: int, overlay: Path | None = None
) -> AsyncGenerator[Machine]:
    """Boot a machine from nothing until its agent answers; ``ram`` becomes its memory.

    ``overlay`` is where its disk goes; by default it goes with the machine. Raises ``BootError``.
    """

    def prepare(directory: Path, fds: Descriptors, agent: int, monitor: int) -> arguments.Machine:
        top = disk.create_overlay(overlay or directory / "disk.qcow2", recipe.image.rootfs.stat().st_size)
        console = os.open(directory / "console.log", os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        initrd = recipe.image.initrd.read_bytes() + agent_archive(agent_bytes())
        return arguments.Machine(
            binary=recipe.binary,
            accelerator=recipe.accelerator,
            spec=recipe.spec,
            agent=agent,
            monitor=monitor,
            disks=(fds.own(os.open(recipe.image.rootfs, os.O_RDONLY | os.O_CLOEXEC)), fds.own(top)),
            memory=fds.borrow(ram),
            is_memory_shared=True,
            console=fds.own(console),
            boot=arguments.Boot(
                kernel=fds.own(os.open(recipe.image.kernel, os.O_RDONLY | os.O_CLOEXEC)),
                initrd=fds.own(memory.holding("terraphim-initrd", initrd)),
                tsc_khz=recipe.tsc_khz,
            ),
        )

    async with launch(host, session_id, recipe.spec, prepare, expects_hello=True) as machine:
        try:
            await machine.channel.greet(host.settings.boot_timeout_s)
        except InfrastructureError as error:
            raise BootError(session_id, f"{error}; {machine.diagnose()}".rstrip("; ")) from error
        yield machine


@asynccontextmanager
async def clone(host: Host, session_id: SessionId, template: Template, spec: MachineSpec) -> AsyncGenerator[Machine]:
    """Start a copy of a template, with its resume duties done; ``spec`` may limit it otherwise than the template.

    Raises ``InfrastructureError``.
    """
    recipe = template.recipe
    state = -1

    def prepare(directory: Path, fds: Descriptors, agent: int, monitor: int) -> arguments.Machine:
        nonlocal state
        state = fds.reopen(template.state)
        top = disk.create_overlay(directory / "disk.qcow2", template.disk_bytes)
        return arguments.Machine(
            binary=recipe.binary,
            accelerator=recipe.accelerator,
            spec=spec,
            agent=agent,
            monitor=monitor,
            disks=(*(fds.reopen(fd) for fd in template.disks), fds.own(top)),
            memory=fds.borrow(template.ram),
            is_memory_shared=False,
        )

    async with launch(host, session_id, spec, prepare, expects_hello=False) as machine:
        with anyio.move_on_after(host.settings.clone_timeout_s) as scope:
            timeout_s = host.settings.clone_timeout_s
            await machine.qmp.negotiate(*_MIGRATION_CAPABILITIES, timeout_s=timeout_s)
            await machine.qmp.execute("migrate-incoming", {"uri": f"fd:{state}"}, timeout_s=timeout_s)
            await machine.qmp.migration_completed(timeout_s)
            await machine.qmp.execute("cont", timeout_s=timeout_s)
            await machine.resume()
        if scope.cancelled_caught:
            reason = f"it did not resume within {host.settings.clone_timeout_s:g} s; {machine.diagnose()}"
            raise BootError(session_id, reason.rstrip("; "))
        yield machine


async def settle_clock(session: ChannelSession, accelerator: arguments.Accelerator) -> None:
    """Return when the kernel chose the processor's own clock, a second after its start. Raises ``BootError``.

    On a busy host it may settle for a slow one, which every copy of the machine would then have.
    """
    clock: bytes | None = None
    with anyio.move_on_after(_CLOCK_TIMEOUT_S):
        while True:
            clock = (await session.read_file(_CLOCKSOURCE, max_bytes=64) or b"").strip()
            if clock in _GOOD_CLOCKS[accelerator]:
                return
            await anyio.sleep(_CLOCK_POLL_S)
    raise BootError(session.id, f"found the clock source {clock!r}, expected 'tsc': the host is too busy")


async def save(machine: Machine, state: int) -> None:
    """Stop a machine, write its device state to a descriptor, and let QEMU end. Its memory stays in its memfd."""
    timeout_s = 30.0
    await machine.qmp.negotiate(*_MIGRATION_CAPABILITIES, timeout_s=timeout_s)
    await machine.qmp.execute("stop", timeout_s=timeout_s)
    await machine.qmp.hand_over("state", state)
    await machine.qmp.execute("migrate", {"uri": "fd:state"}, timeout_s=timeout_s)
    await machine.qmp.migration_completed(timeout_s)
    machine.channel.fail("the machine was snapshotted")
    await machine.qmp.execute("quit", timeout_s=timeout_s)
    with anyio.move_on_after(timeout_s) as scope:
        await machine.child.wait()
    if scope.cancelled_caught:
        raise BootError(machine.id, f"it did not end within {timeout_s:g} s after its snapshot")


async def exercise(session: ChannelSession, *, user: str = "runner") -> None:
    """Run a shell once, so that what every first command needs is in memory already. Raises ``BootError``."""
    output = bytearray()

    async def collect(stream: Stream, data: bytes) -> None:
        output.extend(stream.encode() + b": " + data)

    command = Command(argv=("sh", "-c", "true"), env={"PATH": _PATH}, cwd="/", user=user)
    async with session.exec(command, collect) as process:
        ended = await process.wait()
    if not ended.ok:
        raise BootError(session.id, f"'sh -c true' ended with {ended.status}: {bytes(output[:200])!r}")
