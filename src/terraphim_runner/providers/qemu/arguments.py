"""QEMU's command lines: one list of devices for the machine that is snapshotted and for its copies.

Everything is handed over as an inherited descriptor, so that QEMU needs no path of the host's file system: not for its
disks, not for its memory, not for its sockets.
"""

from dataclasses import dataclass
from typing import Literal

from terraphim_runner.ports import MachineSpec
from terraphim_runner.wire.frames import PORT_NAME

Accelerator = Literal["kvm", "tcg"]

TB_SIZE_MIB = 64
"""Translated code under emulation: 16 is twice as slow, 256 costs 50 MiB more."""
_SANDBOX = "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"


@dataclass(frozen=True, slots=True, kw_only=True)
class Boot:
    """How a machine starts from nothing: descriptors of its kernel and its initial file system."""

    kernel: int
    initrd: int
    tsc_khz: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """The descriptors of one machine. ``disks`` are from the base up; the last one is written to."""

    binary: str
    accelerator: Accelerator
    spec: MachineSpec
    agent: int
    monitor: int
    disks: tuple[int, ...]
    memory: int
    is_memory_shared: bool
    """True for the machine whose memory becomes a template, False for its copies."""
    console: int | None = None
    """Where the console's output goes; None drops it."""
    boot: Boot | None = None
    """None waits for a snapshot."""


def command_line(machine: Machine) -> list[str]:
    """Return the whole argument list."""
    return [
        machine.binary,
        *devices(machine.accelerator, machine.spec),
        *_memory(machine),
        *_disks(machine.disks),
        *_channels(machine),
        *_start(machine),
        *("-sandbox", _SANDBOX),
    ]


def devices(accelerator: Accelerator, spec: MachineSpec) -> list[str]:
    """Return what the guest sees apart from sizes; part of a template's key."""
    accel = f"tcg,tb-size={TB_SIZE_MIB}" if accelerator == "tcg" else "kvm"
    return [
        *("-M", "microvm,acpi=on,rtc=on,pit=on,pic=on,memory-backend=ram"),
        *("-accel", accel, "-cpu", "max" if accelerator == "tcg" else "host"),
        *("-m", str(spec.memory_mib), "-smp", str(spec.vcpus)),
        *("-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"),
        *("-device", "virtio-blk-device,drive=disk"),
        *("-device", "virtio-serial-device", "-device", f"virtserialport,chardev=agent,name={PORT_NAME}"),
        *("-serial", "chardev:console"),
    ]


def kernel_command_line(tsc_khz: int | None) -> str:
    """Return the guest kernel's arguments; what each is good for stands in docs/decisions/0012."""
    words = [
        *("console=ttyS0", "quiet", "reboot=t", "panic=-1"),
        *("cryptomgr.notests", "audit=0", "ipv6.disable=1", "8250.nr_uarts=1"),
        *("no_timer_check", "tsc=reliable"),
    ]
    if tsc_khz is not None:
        words.append(f"tsc_early_khz={tsc_khz}")
    return " ".join(words)


def _memory(machine: Machine) -> list[str]:
    share = "on" if machine.is_memory_shared else "off"
    path = f"/proc/self/fd/{machine.memory}"
    backend = f"memory-backend-file,id=ram,size={machine.spec.memory_mib}M,mem-path={path},share={share}"
    return ["-object", backend]


def _disks(disks: tuple[int, ...]) -> list[str]:
    arguments: list[str] = []
    for number, fd in enumerate(disks):
        is_base, is_top = number == 0, number == len(disks) - 1
        arguments += ["-add-fd", f"fd={fd},set={number}"]
        node = [
            f"driver={'raw' if is_base else 'qcow2'},node-name={'disk' if is_top else f'disk{number}'}",
            f"file.driver=file,file.filename=/dev/fdset/{number},file.locking=off,cache.no-flush=on",
            *([] if is_base else [f"backing=disk{number - 1}"]),
            *([] if is_top else ["read-only=on"]),
        ]
        arguments += ["-blockdev", ",".join(node)]
    return arguments


def _channels(machine: Machine) -> list[str]:
    console = "null,id=console"
    arguments: list[str] = []
    if machine.console is not None:
        number = len(machine.disks)
        arguments += ["-add-fd", f"fd={machine.console},set={number}"]
        console = f"file,id=console,path=/dev/fdset/{number}"
    return [
        *arguments,
        *("-chardev", f"socket,id=agent,fd={machine.agent}"),
        *("-chardev", f"socket,id=monitor,fd={machine.monitor}", "-mon", "chardev=monitor,mode=control"),
        *("-chardev", console),
    ]


def _start(machine: Machine) -> list[str]:
    boot = machine.boot
    if boot is None:
        return ["-incoming", "defer"]
    return [
        *("-kernel", f"/proc/self/fd/{boot.kernel}", "-initrd", f"/proc/self/fd/{boot.initrd}"),
        *("-append", kernel_command_line(boot.tsc_khz)),
    ]
