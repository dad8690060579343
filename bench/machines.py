"""How long machines take, and what they cost."""

import json
import os
import statistics
import tarfile
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import psutil

from bench.figures import Figures
from terraphim_runner.data_directory import data_directory
from terraphim_runner.ports import Command, MachineSpec, Session, Stream
from terraphim_runner.providers.image.store import ImageStore
from terraphim_runner.providers.qemu.provider import QemuProvider
from terraphim_runner.providers.qemu.settings import QemuSettings

SPEC = MachineSpec(image="default", memory_mib=512)
ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
_TREE_FILES = 2000
_TURNS = 4
_TREE_BYTES = 50 * 1024 * 1024
_GUEST_EXEC = """
import json, os, time
samples = []
for _ in range(%d):
    began = time.perf_counter()
    out, out_child = os.pipe()
    err, err_child = os.pipe()
    actions = [(os.POSIX_SPAWN_DUP2, out_child, 1), (os.POSIX_SPAWN_DUP2, err_child, 2)]
    pid = os.posix_spawn("/bin/sh", ["sh", "-c", "true"], dict(os.environ), file_actions=actions, setsid=True)
    os.close(out_child)
    os.close(err_child)
    for pipe in (out, err):
        while os.read(pipe, 65536):
            pass
        os.close(pipe)
    os.waitpid(pid, 0)
    samples.append((time.perf_counter() - began) * 1000)
print(json.dumps(samples))
"""
"""The least that a program inside of the machine needs to run the command and learn its output and its end."""


def provider(*, warm: int) -> QemuProvider:
    """Return a provider on the images and templates that this machine has."""
    data = data_directory(os.environ)
    return QemuProvider(QemuSettings(warm_machines=warm), ImageStore(data / "images"), data / "machines")


async def measure(figures: Figures, *, rounds: int) -> None:
    """Measure boots, copies, the pool, commands, memory and the way of a tree into a machine."""
    await _cold_boots(figures, rounds=min(5, rounds))
    async with provider(warm=0) as machines:
        await machines.prepare(SPEC)
        figures.add("clone_first_command_ms", [await _first_command(machines) for _ in range(rounds)])
        async with machines.acquire(SPEC) as session:
            await _exec_overhead(figures, session, rounds=rounds)
            figures.add("workspace_in_mib_s", [await _workspace_in(session, number) for number in range(3)])
        figures.add("clones8_pss_mib", await _clones_pss(machines, 8))
    async with provider(warm=1) as machines:
        samples: list[float] = []
        for _ in range(rounds):
            await machines.prepare(SPEC)
            samples.append(await _first_command(machines))
        figures.add("pool_first_command_ms", samples)


async def _cold_boots(figures: Figures, *, rounds: int) -> None:
    samples: list[float] = []
    async with provider(warm=0) as machines:
        await machines.prepare(SPEC)
        for _ in range(rounds):
            began = time.perf_counter()
            async with machines.cold_boot(SPEC) as session:
                await run(session, "sh", "-c", "true")
                samples.append((time.perf_counter() - began) * 1000)
    figures.add("cold_boot_ms", samples)


async def _first_command(machines: QemuProvider) -> float:
    began = time.perf_counter()
    async with machines.acquire(SPEC) as session:
        await run(session, "sh", "-c", "true")
        return (time.perf_counter() - began) * 1000


async def _exec_overhead(figures: Figures, session: Session, *, rounds: int) -> None:
    """What a command costs from here beyond what it costs a program inside of the machine that does the same.

    Both are measured in turns, after a warm-up: an emulator translates code when it first runs, and drops it again.
    """
    inside: list[float] = []
    whole: list[float] = []
    for turn in range(_TURNS + 1):
        own = json.loads(await run(session, "python3", "-I", "-S", "-c", _GUEST_EXEC % rounds))
        ours: list[float] = []
        for _ in range(rounds):
            began = time.perf_counter()
            await run(session, "sh", "-c", "true")
            ours.append((time.perf_counter() - began) * 1000)
        if turn > 0:
            inside += own
            whole += ours
    own_ms = statistics.median(inside)
    samples = [sample - own_ms for sample in whole]
    figures.add("exec_overhead_ms", samples)


async def _workspace_in(session: Session, number: int) -> float:
    began = time.perf_counter()
    await session.unpack(f"{session.home}/bench-{number}", _tree())
    return _TREE_BYTES / 2**20 / (time.perf_counter() - began)


async def _tree() -> AsyncIterator[bytes]:
    content = os.urandom(_TREE_BYTES // _TREE_FILES)
    padding = bytes(-len(content) % tarfile.BLOCKSIZE)
    for number in range(_TREE_FILES):
        entry = tarfile.TarInfo(f"folder-{number % 50}/file-{number}")
        entry.size = len(content)
        yield entry.tobuf() + content + padding
    yield bytes(2 * tarfile.BLOCKSIZE)


async def _clones_pss(machines: QemuProvider, count: int) -> float:
    before = _machines_here()
    async with AsyncExitStack() as stack:
        for _ in range(count):
            session = await stack.enter_async_context(machines.acquire(SPEC))
            await run(session, "sh", "-c", "true")
        return sum(_pss_mib(pid) for pid in _machines_here() - before)


def _machines_here() -> set[int]:
    return {child.pid for child in psutil.Process().children(recursive=True) if "qemu" in child.name()}


def _pss_mib(pid: int) -> float:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


async def run(session: Session, *argv: str) -> str:
    """Run a command in the machine and return what it printed; anything but success ends the benchmark."""
    printed = bytearray()

    async def collect(stream: Stream, data: bytes) -> None:
        del stream
        printed.extend(data)

    command = Command(argv=argv, env=ENVIRONMENT, cwd="/")
    async with session.exec(command, collect) as process:
        ended = await process.wait()
    if not ended.ok:
        raise SystemExit(f"{argv} ended with {ended}: {printed.decode(errors='replace')}")
    return printed.decode()
