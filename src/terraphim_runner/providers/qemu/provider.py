"""QEMU machines: a template per kind of machine, copies of it, and some that are kept warm."""

import logging
import shutil
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import Final, Self
from uuid import uuid4

import anyio
import anyio.to_thread

from terraphim_runner.model.errors import InfrastructureError
from terraphim_runner.model.ids import SessionId
from terraphim_runner.ports import MachineSpec, Session
from terraphim_runner.providers import claims
from terraphim_runner.providers.image.store import Image, ImageStore
from terraphim_runner.providers.pool import Made, Pool
from terraphim_runner.providers.qemu import arguments, builder, memory
from terraphim_runner.providers.qemu.builder import SnapshotError
from terraphim_runner.providers.qemu.host import host_tsc_khz
from terraphim_runner.providers.qemu.kvm_probe import probe_kvm, qemu_version
from terraphim_runner.providers.qemu.lifecycle import BootError, boot, clone, exercise
from terraphim_runner.providers.qemu.machine import VMS, Host, Machine, destroy_left_over
from terraphim_runner.providers.qemu.settings import QemuSettings
from terraphim_runner.providers.qemu.template import Recipe, Template
from terraphim_runner.providers.qemu.walls import Walls, find_walls

_PAUSE_TIMEOUT_S: Final = 10.0

log = logging.getLogger(__name__)


class QemuProvider:
    """Implements ``ports.Provider``.

    ``directory`` holds ``templates``, which outlive the provider, and ``vms`` and ``building``, with one directory per
    machine. Several providers, in several processes, may share it.
    """

    def __init__(self, settings: QemuSettings, images: ImageStore, directory: Path) -> None:
        self._settings = settings
        self._images = images
        self._directory = directory
        self._slots = anyio.Semaphore(settings.max_machines)
        self._templates: dict[str, Template] = {}
        self._retired: list[Template] = []
        self._proven: set[str] = set()
        self._unsnapshotable: dict[str, SnapshotError] = {}
        self._opening = anyio.Lock()
        self._accelerators: dict[str, arguments.Accelerator] = {}
        self._version = ""
        self._host: Host | None = None
        self._pool: Pool[Machine] | None = None

    @property
    def name(self) -> str:
        return "qemu"

    @property
    def walls(self) -> Walls:
        """What stands around each machine, and what is missing and why."""
        return self._entered().walls

    async def __aenter__(self) -> Self:
        self._version = await anyio.to_thread.run_sync(qemu_version) or ""
        binary = shutil.which(self._settings.binary)
        if not self._version or binary is None:
            raise InfrastructureError(
                doing="use QEMU",
                reason=f"{self._settings.binary} is not installed",
                fix="as root: apt-get install --no-install-recommends qemu-system-x86",
            )
        try:
            (self._directory / builder.BUILDING).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InfrastructureError(
                doing=f"use the machines' directory {str(self._directory)!r}",
                reason=error.strerror or "",
                fix="make it writable for this user, or set TERRAPHIM_DATA_DIR (or VM_DIRECTORY) to one that is",
            ) from error
        walls = await anyio.to_thread.run_sync(find_walls)
        tasks = await anyio.create_task_group().__aenter__()
        self._host = Host(settings=self._settings, walls=walls, directory=self._directory, tasks=tasks)
        self._pool = Pool(
            tasks,
            size=self._settings.warm_machines,
            refill_after_s=self._settings.refill_after_s,
            is_good=lambda machine: machine.is_alive,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        host, pool = self._entered(), self._pool
        self._host = self._pool = None
        host.tasks.cancel_scope.cancel()
        # The tasks never raise, and what the body raised must not be wrapped in a group with nothing else in it.
        await host.tasks.__aexit__(None, None, None)
        with anyio.CancelScope(shield=True):
            if pool is not None:
                await pool.close()
        for opened in (*self._templates.values(), *self._retired):
            opened.close()
        self._templates.clear()
        self._retired.clear()

    async def prepare(self, spec: MachineSpec) -> None:
        opened = await self._template(await self._recipe(spec))
        if self._pool is not None:
            self._pool.refill(_kind(opened, spec), lambda: self._warm(opened, spec), at_once=True)
            await self._pool.settled(_kind(opened, spec))

    @asynccontextmanager
    async def acquire(self, spec: MachineSpec) -> AsyncGenerator[Session]:
        """Lease a warm machine, or else a new copy, or else build the template first.

        Where a machine boots but cannot be snapshotted, every lease boots from nothing: slow is better than not at all.
        """
        async with AsyncExitStack() as stack:
            recipe = await self._recipe(spec)
            try:
                opened = await self._template(recipe)
            except SnapshotError as error:
                log.warning("machines of %r are booted from nothing: %s", recipe.name, error)
                machine = await self._boot(recipe, stack)
            else:
                machine = await self._from_pool(opened, spec, stack) or await self._copy(opened, spec, stack)
                if self._pool is not None:
                    self._pool.refill(_kind(opened, spec), lambda: self._warm(opened, spec))
            yield self._lease(machine, recipe)

    @asynccontextmanager
    async def cold_boot(self, spec: MachineSpec) -> AsyncGenerator[Session]:
        """Lease a machine that is booted from nothing, whatever templates there are. A boot that fails is retried."""
        async with AsyncExitStack() as stack:
            recipe = await self._recipe(spec)
            yield self._lease(await self._boot(recipe, stack), recipe)

    async def sweep(self) -> int:
        """Needs no entering: it is what a starting server does first."""
        count = await anyio.to_thread.run_sync(claims.sweep, self._directory / VMS, destroy_left_over)
        await anyio.to_thread.run_sync(claims.sweep, self._directory / builder.BUILDING, _nothing)
        return count

    def _lease(self, machine: Machine, recipe: Recipe) -> Session:
        settings = self._settings
        machine.channel.start(lambda: machine.channel.watch(settings.ping_interval_s, settings.ping_timeout_s))
        how = "KVM" if recipe.accelerator == "kvm" else "emulation"
        missing = self._entered().walls.missing
        lacks = f"; missing walls: {', '.join(missing)}" if missing else ""
        return machine.session(f"qemu: a VM under {how}, image {recipe.image.name}{lacks}")

    async def _take_slot(self, stack: AsyncExitStack) -> None:
        """Wait for room for one more machine; a warm one that nobody asked for makes room first."""
        try:
            self._slots.acquire_nowait()
        except anyio.WouldBlock:
            if self._pool is not None:
                await self._pool.evict()
            await self._slots.acquire()
        stack.callback(self._slots.release)

    async def _copy(self, opened: Template, spec: MachineSpec, stack: AsyncExitStack) -> Machine:
        await self._take_slot(stack)
        return await self._clone(opened, spec, stack)

    async def _clone(self, opened: Template, spec: MachineSpec, stack: AsyncExitStack) -> Machine:
        """Copy a template; one from the disk whose first copy fails is taken for damaged, and made anew."""
        opened = self._templates.get(opened.key, opened)
        try:
            machine = await stack.enter_async_context(clone(self._entered(), _new_id(), opened, spec))
        except InfrastructureError as error:
            if opened.key in self._proven:
                raise
            log.warning("a template is made anew: its first copy failed: %s", error)
            opened = await self._replaced(opened)
            machine = await stack.enter_async_context(clone(self._entered(), _new_id(), opened, spec))
        self._proven.add(opened.key)
        return machine

    async def _replaced(self, damaged: Template) -> Template:
        async with self._opening:
            if self._templates.get(damaged.key) is damaged:
                del self._templates[damaged.key]
                # Others may be at copying it; its descriptors are closed in the end.
                self._retired.append(damaged)
                await builder.discard(self._entered(), damaged)
        return await self._template(damaged.recipe)

    async def _boot(self, recipe: Recipe, stack: AsyncExitStack) -> Machine:
        await self._take_slot(stack)
        attempt = 1
        while True:
            async with AsyncExitStack() as trial:
                ram = memory.create("terraphim-ram", recipe.spec.memory_mib << 20)
                trial.callback(memory.close, ram)
                try:
                    machine = await trial.enter_async_context(boot(self._entered(), _new_id(), recipe, ram))
                    await machine.resume()
                except BootError:
                    if attempt == self._settings.boot_attempts:
                        raise
                    attempt += 1
                    continue
                await stack.enter_async_context(trial.pop_all())
                return machine

    async def _from_pool(self, opened: Template, spec: MachineSpec, stack: AsyncExitStack) -> Machine | None:
        """Hand a warm machine out: running again, with the time set."""
        while self._pool is not None:
            made = await self._pool.take(_kind(opened, spec))
            if made is None:
                return None
            machine, ending = made
            try:
                await machine.qmp.execute("cont", timeout_s=_PAUSE_TIMEOUT_S)
                await machine.resume()
            except InfrastructureError:
                # It died while it waited; the next one, or a new one, will do.
                await ending.aclose()
                continue
            except BaseException:
                await ending.aclose()
                raise
            await stack.enter_async_context(ending)
            return machine
        return None

    async def _warm(self, opened: Template, spec: MachineSpec) -> Made[Machine] | None:
        """Make a machine that has run a command and is paused; None when there is no room for one."""
        try:
            self._slots.acquire_nowait()
        except anyio.WouldBlock:
            return None
        async with AsyncExitStack() as stack:
            stack.callback(self._slots.release)
            machine = await self._clone(opened, spec, stack)
            await exercise(machine.session(""))
            await machine.qmp.execute("stop", timeout_s=_PAUSE_TIMEOUT_S)
            return machine, stack.pop_all()

    async def _template(self, recipe: Recipe) -> Template:
        opened = self._templates.get(recipe.key)
        if opened is not None:
            return opened
        async with self._opening:
            if recipe.key in self._unsnapshotable:
                raise self._unsnapshotable[recipe.key]
            if recipe.key not in self._templates:
                try:
                    self._templates[recipe.key] = await builder.open_or_build(self._entered(), recipe)
                except SnapshotError as error:
                    self._unsnapshotable[recipe.key] = error
                    raise
            return self._templates[recipe.key]

    async def _recipe(self, spec: MachineSpec) -> Recipe:
        self._entered()
        image = await anyio.to_thread.run_sync(self._images.find, spec.image)
        accelerator = await self._choose_accelerator(image)
        return Recipe(
            image=image,
            spec=spec,
            binary=shutil.which(self._settings.binary) or self._settings.binary,
            version=self._version,
            accelerator=accelerator,
            tsc_khz=host_tsc_khz() if accelerator == "tcg" else None,
        )

    async def _choose_accelerator(self, image: Image) -> arguments.Accelerator:
        if self._settings.accelerator != "auto":
            return self._settings.accelerator
        if image.digest not in self._accelerators:
            probe = await probe_kvm(image, cache=self._directory / "kvm.json")
            self._accelerators[image.digest] = "kvm" if probe.usable else "tcg"
        return self._accelerators[image.digest]

    def _entered(self) -> Host:
        if self._host is None:
            raise InfrastructureError(doing="use QEMU", reason="the provider was not entered, or was left")
        return self._host


def _kind(opened: Template, spec: MachineSpec) -> str:
    return f"{opened.key} {spec.disk_mib} {spec.cpu_percent}"


def _nothing(path: Path) -> None:
    """Besides its files, a build that ended early leaves nothing: its machine is swept on its own."""


def _new_id() -> SessionId:
    return SessionId(f"vm-{uuid4().hex[:12]}")
