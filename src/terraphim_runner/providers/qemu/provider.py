"""QEMU machines: a template per kind of machine, copies of it, and some that are kept warm."""

import fcntl
import os
import shutil
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Final, Self
from uuid import uuid4

import anyio
import anyio.abc
import anyio.to_thread

from terraphim_runner.model.errors import InfrastructureError
from terraphim_runner.model.ids import SessionId
from terraphim_runner.ports import MachineSpec, Session
from terraphim_runner.providers import claims
from terraphim_runner.providers.image.store import ImageStore
from terraphim_runner.providers.pool import Pool
from terraphim_runner.providers.qemu import arguments, memory, template
from terraphim_runner.providers.qemu.host import host_tsc_khz
from terraphim_runner.providers.qemu.kvm_probe import probe_kvm, qemu_version
from terraphim_runner.providers.qemu.lifecycle import BootError, boot, clone, exercise, save
from terraphim_runner.providers.qemu.machine import VMS, Host, Machine, destroy_left_over
from terraphim_runner.providers.qemu.settings import QemuSettings
from terraphim_runner.providers.qemu.walls import Walls, find_walls

_LOCK_POLL_S: Final = 0.05
_LOCK_TIMEOUT_S: Final = 300.0


class QemuProvider:
    """Implements ``ports.Provider``.

    ``directory`` holds ``templates``, which outlive the provider, and ``vms``, one directory per machine. Several
    providers, in several processes, may share it.
    """

    def __init__(self, settings: QemuSettings, images: ImageStore, directory: Path) -> None:
        self._settings = settings
        self._images = images
        self._directory = directory
        self._templates: dict[str, template.Template] = {}
        self._preparing = anyio.Lock()
        self._accelerator: arguments.Accelerator | None = None
        self._version = ""
        self._host: Host | None = None
        self._stack = AsyncExitStack()
        self._slots = anyio.Semaphore(settings.max_machines)
        self._pool: Pool[Machine] | None = None

    @property
    def name(self) -> str:
        return "qemu"

    async def __aenter__(self) -> Self:
        version = await anyio.to_thread.run_sync(qemu_version)
        if version is None:
            raise InfrastructureError(
                doing="use QEMU",
                reason=f"{self._settings.binary} is not installed",
                fix="as root: apt-get install --no-install-recommends qemu-system-x86",
            )
        self._version = version
        walls = await anyio.to_thread.run_sync(find_walls)
        tasks = await anyio.create_task_group().__aenter__()
        self._host = Host(settings=self._settings, walls=walls, directory=self._directory, tasks=tasks)
        self._pool = Pool(tasks, self._settings.warm_machines)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._host is not None:
            self._host.tasks.cancel_scope.cancel()
            # The tasks never raise, and what the body raised must not be wrapped in a group with nothing else in it.
            await self._host.tasks.__aexit__(None, None, None)
            self._host = None
        for opened in self._templates.values():
            opened.close()
        self._templates.clear()
