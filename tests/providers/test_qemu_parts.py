"""The parts of the QEMU provider that need no machine."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from contract_machine import SPEC

from terraphim_runner.guest.bundle import agent_bytes
from terraphim_runner.providers import claims
from terraphim_runner.providers.qemu import arguments, disk, memory
from terraphim_runner.providers.qemu.cgroups import find_cgroups
from terraphim_runner.providers.qemu.host import tsc_khz
from terraphim_runner.providers.qemu.machine import destroy_left_over
from terraphim_runner.providers.qemu.walls import find_walls

MEMORY = "cgroup {root}/memory cgroup rw,relatime,memory 0 0\n"


def test_tsc_khz_in_a_vm_is_the_frequency_shown() -> None:
    assert tsc_khz("model name\t: X\ncpu MHz\t\t: 2596.118\nflags\t\t: fpu hypervisor\n") == 2_596_118


def test_tsc_khz_on_bare_metal_is_the_one_of_the_name() -> None:
    assert tsc_khz("model name\t: Intel(R) X CPU @ 3.40GHz\ncpu MHz\t\t: 800.000\nflags\t\t: fpu\n") == 3_400_000


def test_tsc_khz_not_told_is_none() -> None:
    assert tsc_khz("model name\t: AMD EPYC 7B13\ncpu MHz\t\t: 1500.000\nflags\t\t: fpu\n") is None


@pytest.mark.skipif(shutil.which("qemu-img") is None, reason="qemu-img is not installed (package qemu-utils)")
def test_overlay_is_sound_and_of_its_size(tmp_path: Path) -> None:
    path = tmp_path / "disk.qcow2"
    os.close(disk.create_overlay(path, 4 << 30))
    checked = subprocess.run(["qemu-img", "check", path], capture_output=True, text=True, check=True)
    assert "No errors" in checked.stdout
    shown = subprocess.run(["qemu-img", "info", path], capture_output=True, text=True, check=True)
    assert f"({4 << 30} bytes)" in shown.stdout


def test_memory_sealed_cannot_be_written(tmp_path: Path) -> None:
    path = tmp_path / "ram"
    with path.open("wb") as file:
        file.seek(10 << 20)
        file.write(b"content")
    with path.open("rb") as file:
        fd = memory.load("test", file.fileno())
    try:
        assert os.pread(fd, 20, 10 << 20) == b"content"
        assert os.fstat(fd).st_blocks * 512 < 1 << 20
        with pytest.raises(PermissionError):
            os.pwrite(fd, b"x", 0)
        with pytest.raises(PermissionError):
            os.ftruncate(fd, 0)
    finally:
        os.close(fd)


def test_command_line_names_no_path_of_the_host() -> None:
    machine = arguments.Machine(
        binary="qemu",
        accelerator="tcg",
        spec=SPEC,
        agent=3,
        monitor=4,
        disks=(5, 6, 7),
        memory=8,
        is_memory_shared=False,
    )
    line = " ".join(arguments.command_line(machine))
    assert "-sandbox on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny" in line
    assert "-incoming defer" in line
    assert "node-name=disk,file.driver=file,file.filename=/dev/fdset/2" in line
    assert "netdev" not in line
    paths = [word for word in line.replace("=", " ").replace(",", " ").split() if word.startswith("/")]
    assert all(path.startswith(("/dev/fdset/", "/proc/self/fd/")) for path in paths)


def test_cgroups_version_1_are_made_below_our_own(tmp_path: Path) -> None:
    (tmp_path / "memory/ours").mkdir(parents=True)
    found = find_cgroups("4:memory:/ours\n", MEMORY.format(root=tmp_path))
    assert found.parents == {"memory": tmp_path / "memory/ours"}
    assert found.missing == {"cpu": "the controller is not mounted", "pids": "the controller is not mounted"}
    group = found.create("vm-1", SPEC)
    assert (tmp_path / "memory/ours/terraphim-vm-vm-1/memory.limit_in_bytes").read_text() == str((2 * 512 + 256) << 20)
    (tmp_path / "memory/ours/terraphim-vm-vm-1/memory.limit_in_bytes").unlink()
    group.remove()
    group.remove()
    assert not list((tmp_path / "memory/ours").iterdir())


def test_machine_left_over_takes_its_control_groups_along_wherever_they_are(tmp_path: Path) -> None:
    machine, group, other = tmp_path / "vm-1", tmp_path / "theirs/terraphim-vm-vm-1", tmp_path / "other"
    for directory in (machine, group, other):
        directory.mkdir(parents=True)
    (machine / "groups").write_text(f"{group}\n{other}\n")
    destroy_left_over(machine)
    assert not group.exists()
    assert other.exists()


def test_cgroups_version_2_need_the_controllers_for_our_children(tmp_path: Path) -> None:
    own = tmp_path / "ours"
    own.mkdir()
    (own / "cgroup.subtree_control").write_text("cpu memory pids\n")
    found = find_cgroups("0::/ours\n", f"cgroup2 {tmp_path} cgroup2 rw 0 0\n")
    assert found.is_unified
    assert found.missing == {}
    found.create("vm-1", SPEC)
    limits = {path.name: path.read_text() for path in (own / "terraphim-vm-vm-1").iterdir()}
    assert limits == {"memory.max": str((2 * 512 + 256) << 20), "cpu.max": "150000 100000", "pids.max": "128"}


def test_cgroups_none_mounted_are_all_missing() -> None:
    found = find_cgroups("", "")
    assert found.parents == {}
    assert sorted(found.missing) == ["cpu", "memory", "pids"]


def test_walls_that_cannot_stand_have_a_reason() -> None:
    walls = find_walls()
    assert "seccomp" in walls.standing()
    assert all(walls.missing.values())
    assert not set(walls.standing()) & set(walls.missing)


def test_claim_of_the_living_is_not_swept_and_that_of_the_dead_is(tmp_path: Path) -> None:
    held = claims.claim(tmp_path / "mine")
    imports = "import sys; from pathlib import Path; from terraphim_runner.providers import claims"
    code = f"{imports}; claims.claim(Path(sys.argv[1]))"
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "dead")], check=True)
    destroyed: list[str] = []
    assert claims.sweep(tmp_path, lambda path: destroyed.append(path.name)) == 1
    assert destroyed == ["dead"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine", "mine.lock"]
    held.release()
    held.release()
    assert list(tmp_path.iterdir()) == []


def test_claim_release_removes_what_a_user_made_read_only(tmp_path: Path) -> None:
    held = claims.claim(tmp_path / "mine")
    (tmp_path / "mine/module/deep").mkdir(parents=True)
    (tmp_path / "mine/module/deep/file").write_text("x")
    (tmp_path / "mine/module/deep").chmod(0o500)
    (tmp_path / "mine/module").chmod(0o500)
    held.release()
    assert list(tmp_path.iterdir()) == []


def test_agent_bundle_is_the_same_bytes_each_time() -> None:
    first = agent_bytes()
    agent_bytes.cache_clear()
    assert agent_bytes() == first


def test_agent_bundle_imports_no_module_that_is_slow_to_start(tmp_path: Path) -> None:
    (tmp_path / "agent.pyz").write_bytes(agent_bytes())
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); import terraphim_runner.guest.vm;"
        "slow = {'dataclasses', 'typing', 'json', 're', 'inspect', 'subprocess', 'socket', 'threading', 'logging'};"
        "print(sorted(slow & set(sys.modules)))"
    )
    arguments_ = [sys.executable, "-I", "-S", "-c", code, str(tmp_path / "agent.pyz")]
    assert subprocess.run(arguments_, capture_output=True, text=True, check=True).stdout.strip() == "[]"
