"""Making a template: boot, exercise, snapshot, and prove with one copy that it is good."""

import fcntl
import logging
import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final
from uuid import uuid4

import anyio
import anyio.to_thread

from terraphim_runner.model.errors import InfrastructureError
from terraphim_runner.model.ids import SessionId
from terraphim_runner.providers import claims
from terraphim_runner.providers.qemu import memory, template
from terraphim_runner.providers.qemu.lifecycle import boot, clone, exercise, save, settle_clock
from terraphim_runner.providers.qemu.machine import Host, Machine
from terraphim_runner.providers.qemu.template import Recipe, Template

BUILDING: Final = "building"
_LOCK_POLL_S: Final = 0.05
_LOCK_TIMEOUT_S: Final = 300.0

log = logging.getLogger(__name__)


class SnapshotError(InfrastructureError):
    """A machine boots here, but no snapshot of it works."""


async def open_or_build(host: Host, recipe: Recipe) -> Template:
    """Return the template for a recipe; one process builds it, the others wait for that one.

    Raises ``InfrastructureError``: ``SnapshotError`` when it was the snapshot that failed, even after some tries.
    """
    opened = await anyio.to_thread.run_sync(template.load, host.directory, recipe)
    if opened is not None:
        return opened
    async with _lock(host.directory, recipe):
        opened = await anyio.to_thread.run_sync(template.load, host.directory, recipe)
        if opened is not None:
            return opened
        for attempt in range(1, host.settings.boot_attempts + 1):
            try:
                return await _build(host, recipe)
            except InfrastructureError as error:
                if not error.retryable or attempt == host.settings.boot_attempts:
                    raise
                log.warning("the template %r could not be made, attempt %d: %s", recipe.name, attempt, error)
    raise AssertionError("boot_attempts is at least 1")


async def discard(host: Host, damaged: Template) -> None:
    """Remove the files of a template whose copies do not work, unless another process has replaced them already."""
    async with _lock(host.directory, damaged.recipe):
        await anyio.to_thread.run_sync(_remove_if_same, host.directory / template.TEMPLATES / damaged.key, damaged)


def _remove_if_same(path: Path, damaged: Template) -> None:
    try:
        is_same = os.path.samestat(os.stat(path / template.STATE), os.fstat(damaged.state))
    except FileNotFoundError:
        is_same = True
    if is_same:
        claims.remove_tree(path)


async def _build(host: Host, recipe: Recipe) -> Template:
    name = SessionId(f"template-{uuid4().hex[:12]}")
    claim = claims.claim(host.directory / BUILDING / name)
    try:
        path = claim.path
        ram = memory.create("terraphim-ram", recipe.spec.memory_mib << 20)
        try:
            state = os.open(path / template.STATE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                async with boot(host, name, recipe, ram, path / template.DISK) as machine:
                    session = machine.session("")
                    await settle_clock(session, recipe.accelerator)
                    await exercise(session, user="root")
                    await exercise(session)
                    await session.sync()
                    await _snapshot(machine, state)
            finally:
                os.close(state)
            await anyio.to_thread.run_sync(_store_memory, ram, path / template.RAM)
        finally:
            os.close(ram)
        await anyio.to_thread.run_sync(template.complete, path, recipe)
        opened = await anyio.to_thread.run_sync(template.load_from, path, recipe)
        try:
            await _prove(host, opened)
            _adopt(host, recipe, path)
        except BaseException:
            opened.close()
            raise
        return opened
    finally:
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(claim.release)


async def _snapshot(machine: Machine, state: int) -> None:
    try:
        await save(machine, state)
    except InfrastructureError as error:
        raise SnapshotError(doing="snapshot a machine", reason=str(error), retryable=True) from error


async def _prove(host: Host, opened: Template) -> None:
    """Run a command in one copy. Raises ``SnapshotError`` when it does not work."""
    name = SessionId(f"proof-{uuid4().hex[:12]}")
    reason = "its first copy hangs"
    with anyio.move_on_after(2 * host.settings.clone_timeout_s):
        try:
            async with clone(host, name, opened, opened.recipe.spec) as machine:
                await exercise(machine.session(""))
        except InfrastructureError as error:
            reason = str(error)
        else:
            return
    raise SnapshotError(doing="copy a snapshotted machine", reason=reason, retryable=True)


def _adopt(host: Host, recipe: Recipe, built: Path) -> None:
    target = host.directory / template.TEMPLATES / recipe.key
    target.parent.mkdir(parents=True, exist_ok=True)
    # What stands there is no template that can be opened, or this one would not have been made.
    claims.remove_tree(target)
    built.rename(target)
    for path in template.predecessors(host.directory, recipe):
        claims.remove_tree(path)


def _store_memory(ram: int, path: Path) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        memory.copy_sparse(ram, fd, os.fstat(ram).st_size)
    except OSError as error:
        raise InfrastructureError(doing=f"write {str(path)!r}", reason=error.strerror or "") from error
    finally:
        os.close(fd)


@asynccontextmanager
async def _lock(directory: Path, recipe: Recipe) -> AsyncGenerator[None]:
    path = directory / BUILDING / f".{recipe.key}"
    try:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise InfrastructureError(doing=f"lock {str(path)!r}", reason=error.strerror or "") from error
    try:
        with anyio.move_on_after(_LOCK_TIMEOUT_S) as scope:
            while True:
                try:
                    fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    # Polled, for a thread that waits in flock could not be cancelled.
                    await anyio.sleep(_LOCK_POLL_S)
                else:
                    break
        if scope.cancelled_caught:
            raise InfrastructureError(
                doing=f"wait for the template {recipe.name!r}",
                reason=f"another process has been building it for {_LOCK_TIMEOUT_S:g} s",
                retryable=True,
            )
        yield
    finally:
        os.close(fd)
