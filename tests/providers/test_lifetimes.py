"""Nothing is left behind, however a machine, its user or its server ends."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import anyio
import pytest
from contract_machine import SPEC, Machine, Output, leftovers, processes_of

from terraphim_runner.model.errors import InfrastructureError
from terraphim_runner.ports import MachineSpec, Provider
from terraphim_runner.providers.image.store import ImageStore
from terraphim_runner.providers.process.provider import ProcessProvider
from terraphim_runner.providers.qemu.provider import QemuProvider
from terraphim_runner.providers.qemu.settings import QemuSettings

pytestmark = pytest.mark.anyio

SERVER = """
import sys, anyio
from pathlib import Path
from terraphim_runner.ports import Command, MachineSpec
from terraphim_runner.providers.image.store import ImageStore
from terraphim_runner.providers.process.provider import ProcessProvider
from terraphim_runner.providers.qemu.provider import QemuProvider
from terraphim_runner.providers.qemu.settings import QemuSettings

async def drop(stream, data): pass

async def main():
    kind, directory, images = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    if kind == "process":
        provider = ProcessProvider(directory)
    else:
        provider = QemuProvider(QemuSettings(warm_machines=1, refill_after_s=0), ImageStore(images), directory)
    async with provider, provider.acquire(MachineSpec(image="default")) as session:
        await provider.prepare(MachineSpec(image="default"))
        command = Command(argv=("sh", "-c", "setsid sleep 1000 & sleep 1000"),
                          env={"PATH": "/bin:/usr/bin"}, cwd=session.home)
        async with session.exec(command, drop):
            print("ready", flush=True)
            await anyio.sleep_forever()

anyio.run(main)
"""


async def gone(directory: Path) -> None:
    """Return when no process of that directory is left."""
    with anyio.fail_after(15):
        while processes_of(directory):  # noqa: ASYNC110 - nobody tells us of other processes' ends
            await anyio.sleep(0.02)


async def test_release_ends_what_a_command_left_running(provider: Provider, kind: str, directory: Path) -> None:
    async with provider.acquire(SPEC) as session:
        machine = Machine(session, kind)
        await machine.text("setsid sleep 1000 >/dev/null 2>&1 & nohup sleep 1000 >/dev/null 2>&1 & echo started")
        assert processes_of(directory)
    assert await leftovers(directory) == []


async def test_release_after_the_body_raised_leaves_nothing_and_raises_it(provider: Provider, directory: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        async with provider.acquire(SPEC):
            raise ZeroDivisionError
    assert await leftovers(directory) == []


async def test_acquire_cancelled_at_any_moment_leaves_nothing(provider: Provider, directory: Path) -> None:
    async with provider.acquire(SPEC):
        pass
    for delay_s in (0.0, 0.02, 0.05, 0.1, 0.15):
        with anyio.move_on_after(delay_s):
            async with provider.acquire(SPEC):
                await anyio.sleep_forever()
        assert await leftovers(directory) == []


async def test_session_after_its_release_raises(provider: Provider) -> None:
    async with provider.acquire(SPEC) as session:
        pass
    with pytest.raises(InfrastructureError, match="released"):
        await session.stats()


async def test_provider_left_ends_its_machines(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    directory = tmp_path / "own"
    provider = make_provider(kind, directory, request)
    async with provider:
        lease = provider.acquire(SPEC)
        session = await lease.__aenter__()
    with pytest.raises(InfrastructureError):
        await session.stats()
    await lease.__aexit__(None, None, None)
    assert await leftovers(directory) == []


async def test_server_killed_leaves_nothing_after_the_next_start(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    directory = tmp_path / "own"
    images = request.getfixturevalue("images").directory if kind == "qemu" else tmp_path
    arguments = [sys.executable, "-c", SERVER, kind, str(directory), str(images)]
    async with await anyio.open_process(arguments, stderr=None) as server:
        assert server.stdout is not None
        with anyio.fail_after(60):
            assert b"ready" in await server.stdout.receive()
        assert processes_of(directory)
        server.send_signal(signal.SIGKILL)
        await server.wait()
    provider = make_provider(kind, directory, request)
    count = await provider.sweep()
    assert count >= 1
    await gone(directory)
    assert await leftovers(directory) == []
    assert await provider.sweep() == 0


async def test_sweep_leaves_the_machines_of_the_living_alone(provider: Provider, machine: Machine) -> None:
    assert await provider.sweep() == 0
    assert await machine.text("echo fine") == "fine"


async def test_agent_killed_is_told_by_every_call(provider: Provider, kind: str, directory: Path) -> None:
    async with provider.acquire(SPEC) as session:
        machine = Machine(session, kind)
        script = "kill -9 $PPID" if kind == "process" else "sudo sh -c 'echo c > /proc/sysrq-trigger'"
        with anyio.fail_after(30):
            with pytest.raises(InfrastructureError, match="talk to the agent"):
                await machine.shell(f"sleep 1000 & {script}; sleep 1000")
            with pytest.raises(InfrastructureError):
                await session.stats()
    await gone(directory)


@pytest.mark.vm
async def test_machine_that_hangs_fails_within_the_ping_deadline(images: ImageStore, qemu_directory: Path) -> None:
    settings = QemuSettings(warm_machines=0, ping_interval_s=0.1, ping_timeout_s=1.5)
    async with QemuProvider(settings, images, qemu_directory) as provider, provider.acquire(SPEC) as session:
        output = Output()
        machine = Machine(session, "qemu")
        async with session.exec(machine.command("sh", "-c", "echo up; sleep 1000"), output) as process:
            await output.until(b"up")
            (pid,) = [int(path.read_text().split()[0]) for path in (qemu_directory / "vms").glob("vm-*/pid")]
            os.kill(pid, signal.SIGSTOP)
            with anyio.fail_after(10), pytest.raises(InfrastructureError, match=r"did not answer within 1\.5 s"):
                await process.wait()
    assert await leftovers(qemu_directory) == []


@pytest.mark.vm
async def test_machine_over_its_disk_limit_sees_an_error_and_lives(images: ImageStore, qemu_directory: Path) -> None:
    spec = MachineSpec(image="default", disk_mib=64)
    settings = QemuSettings(warm_machines=0)
    async with QemuProvider(settings, images, qemu_directory) as provider, provider.acquire(spec) as session:
        machine = Machine(session, "qemu")
        ended, _ = await machine.shell("dd if=/dev/urandom of=big bs=1M count=120 conv=fsync")
        assert not ended.ok
        overlays = [path.stat().st_size for path in (qemu_directory / "vms").glob("vm-*/disk.qcow2")]
        assert overlays
        assert max(overlays) <= (64 + 16) << 20
        assert (await machine.session.stats()).cpu_s > 0


@pytest.mark.vm
async def test_machine_that_uses_all_its_memory_lives(images: ImageStore, qemu_directory: Path) -> None:
    # The first copy of an opened template: the one that pays for every page that it touches.
    settings = QemuSettings(warm_machines=0)
    async with QemuProvider(settings, images, qemu_directory) as provider, provider.acquire(SPEC) as session:
        machine = Machine(session, "qemu")
        await machine.text("python3 -c \"b'x' * (380 << 20)\"")
        assert await machine.text("echo alive") == "alive"


@pytest.mark.vm
async def test_pool_machines_are_strangers_to_each_other(images: ImageStore, qemu_directory: Path) -> None:
    settings = QemuSettings(warm_machines=2, refill_after_s=0)
    seen: set[str] = set()
    async with QemuProvider(settings, images, qemu_directory) as provider:
        await provider.prepare(SPEC)
        for _ in range(4):
            async with provider.acquire(SPEC) as session:
                machine = Machine(session, "qemu")
                script = "cat /proc/sys/kernel/random/uuid /etc/machine-id; hostname; date +%s"
                uuid, machine_id, hostname, now = (await machine.text(script)).split("\n")
                seen |= {uuid, machine_id, hostname}
                host_now = int(subprocess.run(["date", "+%s"], capture_output=True, check=True).stdout)  # noqa: ASYNC221
                assert abs(int(now) - host_now) <= 2
    assert len(seen) == 12
    assert await leftovers(qemu_directory) == []


@pytest.mark.vm
async def test_pool_machine_that_died_waiting_is_not_handed_out(images: ImageStore, qemu_directory: Path) -> None:
    settings = QemuSettings(warm_machines=1, refill_after_s=60)
    async with QemuProvider(settings, images, qemu_directory) as provider:
        await provider.prepare(SPEC)
        (pid,) = [int(path.read_text().split()[0]) for path in (qemu_directory / "vms").glob("vm-*/pid")]
        os.kill(pid, signal.SIGKILL)
        async with provider.acquire(SPEC) as session:
            assert await Machine(session, "qemu").text("echo fine") == "fine"
    assert await leftovers(qemu_directory) == []


@pytest.mark.vm
async def test_machines_beyond_the_limit_wait_and_warm_ones_make_room(images: ImageStore, qemu_directory: Path) -> None:
    settings = QemuSettings(warm_machines=1, max_machines=1, refill_after_s=0)
    other = MachineSpec(image="default", cpu_percent=90)
    async with QemuProvider(settings, images, qemu_directory) as provider:
        await provider.prepare(SPEC)
        async with provider.acquire(other) as session:
            assert await Machine(session, "qemu").text("echo fine") == "fine"
            with anyio.move_on_after(0.5) as scope:
                async with provider.acquire(SPEC):
                    pass
            assert scope.cancelled_caught
    assert await leftovers(qemu_directory) == []


@pytest.mark.vm
async def test_cold_boot_serves_like_a_copy(images: ImageStore, qemu_directory: Path) -> None:
    provider = QemuProvider(QemuSettings(warm_machines=0), images, qemu_directory)
    async with provider, provider.cold_boot(SPEC) as session:
        assert await Machine(session, "qemu").text("id -un; hostname") == f"runner\n{session.id}"
    assert await leftovers(qemu_directory) == []


@pytest.mark.vm
@pytest.mark.parametrize("damage", ["state", "ram", "disk.qcow2", "missing"])
async def test_template_that_was_damaged_is_made_anew(images: ImageStore, tmp_path: Path, damage: str) -> None:
    settings = QemuSettings(warm_machines=0)
    async with QemuProvider(settings, images, tmp_path) as provider:
        await provider.prepare(SPEC)
    (template,) = (tmp_path / "templates").iterdir()
    if damage == "missing":
        (template / "ram").unlink()
    elif damage == "state":
        # Not to be seen from outside: only its first copy can tell.
        (template / "state").write_bytes(bytes((template / "state").stat().st_size))
    else:
        os.truncate(template / damage, 4096)
    async with QemuProvider(settings, images, tmp_path) as provider, provider.acquire(SPEC) as session:
        assert await Machine(session, "qemu").text("echo fine") == "fine"
    async with QemuProvider(settings, images, tmp_path) as provider, provider.acquire(SPEC) as session:
        assert await Machine(session, "qemu").text("echo fine") == "fine"
    assert [path.name for path in (tmp_path / "templates").iterdir()] == [template.name]
    assert await leftovers(tmp_path) == []


@pytest.mark.vm
async def test_image_missing_is_told_with_the_fix(tmp_path: Path) -> None:
    async with QemuProvider(QemuSettings(), ImageStore(tmp_path / "none"), tmp_path / "qemu") as provider:
        with pytest.raises(InfrastructureError, match="image build"):
            async with provider.acquire(SPEC):
                pass


@pytest.mark.vm
async def test_machines_directory_that_cannot_be_made_is_told_with_the_fix(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InfrastructureError, match=r"file/machines.*Not a directory.*TERRAPHIM_DATA_DIR"):
        async with QemuProvider(QemuSettings(), ImageStore(tmp_path), tmp_path / "file" / "machines"):
            pass


def make_provider(kind: str, directory: Path, request: pytest.FixtureRequest) -> "ProcessProvider | QemuProvider":
    if kind == "process":
        return ProcessProvider(directory)
    return QemuProvider(QemuSettings(warm_machines=0), request.getfixturevalue("images"), directory)
