"""Whether KVM really runs our kernel here. That ``/dev/kvm`` opens proves nothing: under nested virtualisation it often
opens and the first guest instruction hangs.

The probe boots the image's own kernel and initramfs under KVM until ``/init`` speaks, which takes well under a second
where KVM works, and is ended after ``BOOT_DEADLINE_S`` where it does not.
"""

import fcntl
import json
import os
import platform
import shutil
import signal
import subprocess
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import anyio
import anyio.to_thread
from anyio.abc import Process

from terraphim_runner.model.text import printable
from terraphim_runner.processes import open_whole
from terraphim_runner.providers.image.initrd import PROBE_ARGUMENT, PROBE_LINE
from terraphim_runner.providers.image.store import Image

BOOT_DEADLINE_S = 5.0
QEMU = "qemu-system-x86_64"
MACHINE = "microvm,acpi=on,rtc=on,pit=on,pic=on"
_DEVICE = Path("/dev/kvm")
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_KVM_GET_API_VERSION = 0xAE00
_KVM_API_VERSION = 12
_VERSION_DEADLINE_S = 10
_CLEANUP_DEADLINE_S = 5
_MAX_CONSOLE_BYTES = 1 << 16
_FAILURE_KEPT_S = 3600
"""A failure may have been a busy host: it is believed for an hour, a success until the next boot."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KvmProbe:
    """``reason`` says what was seen, in one line; ``fix`` what a person can do, None where nothing helps."""

    usable: bool
    reason: str
    fix: str | None = None


async def probe_kvm(image: Image | None, *, cache: Path | None = None) -> KvmProbe:
    """Tell whether a machine of this image runs under KVM, within a few seconds. Never raises for what it finds.

    ``cache`` is a file in which a boot's outcome is remembered for this kernel, boot, QEMU and image. Without an image
    nothing can be booted, and the answer is no.
    """
    trouble = await anyio.to_thread.run_sync(_device_trouble)
    if trouble is not None:
        return trouble
    if image is None:
        return KvmProbe(
            usable=False, reason="not known: there is no image to boot", fix="run: terraphim-runner image build"
        )
    version = await anyio.to_thread.run_sync(qemu_version)
    if version is None:
        return KvmProbe(
            usable=False,
            reason=f"{QEMU} not found",
            fix="as root: apt-get install --no-install-recommends qemu-system-x86",
        )
    key = f"{platform.release()} {_boot_id()} {version} {image.digest}"
    if cache is not None and (known := await anyio.to_thread.run_sync(_read_cache, cache, key)):
        return known
    probe = await _boot(image)
    if cache is not None:
        await anyio.to_thread.run_sync(_write_cache, cache, key, probe)
    return probe


def qemu_version() -> str | None:
    """Return the version of the QEMU in PATH, such as ``7.2.19``, or None when there is none that answers."""
    found = shutil.which(QEMU)
    if found is None:
        return None
    try:
        result = subprocess.run(
            [found, "--version"], check=False, capture_output=True, text=True, timeout=_VERSION_DEADLINE_S
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    words = result.stdout.split()
    return words[words.index("version") + 1] if "version" in words[:-1] else None


def _device_trouble() -> KvmProbe | None:
    try:
        descriptor = os.open(_DEVICE, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        fix = "enable virtualisation in the firmware or the hypervisor around this machine, then: modprobe kvm"
        return KvmProbe(usable=False, reason=f"{_DEVICE} does not exist", fix=fix)
    except PermissionError:
        fix = "as root: chgrp kvm /dev/kvm && chmod 660 /dev/kvm && usermod --append --groups kvm <user>; log in again"
        return KvmProbe(usable=False, reason=f"{_DEVICE} may not be opened by this user", fix=fix)
    except OSError as error:
        return KvmProbe(usable=False, reason=f"{_DEVICE} does not open: {error.strerror}")
    try:
        version = fcntl.ioctl(descriptor, _KVM_GET_API_VERSION, 0)
    except OSError as error:
        return KvmProbe(usable=False, reason=f"{_DEVICE} does not answer: {error.strerror}")
    finally:
        os.close(descriptor)
    if version != _KVM_API_VERSION:
        return KvmProbe(usable=False, reason=f"KVM's API version is {version}, expected {_KVM_API_VERSION}")
    return None


async def _boot(image: Image) -> KvmProbe:
    command = [
        *("setpriv", "--pdeathsig", "KILL", "--", QEMU),
        *("-M", MACHINE, "-accel", "kvm", "-cpu", "host", "-m", "256", "-smp", "1"),
        *("-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-serial", "stdio"),
        *("-kernel", str(image.kernel), "-initrd", str(image.initrd)),
        *("-append", f"console=ttyS0 reboot=t panic=-1 {PROBE_ARGUMENT}"),
    ]
    began = time.monotonic()
    console = bytearray()
    process = await open_whole(command, stdin=subprocess.DEVNULL, stderr=subprocess.STDOUT)
    try:
        with anyio.move_on_after(BOOT_DEADLINE_S):
            await _read_console(process, console)
            await process.wait()
        status = process.returncode
    finally:
        with anyio.CancelScope(shield=True), anyio.move_on_after(_CLEANUP_DEADLINE_S):
            if process.returncode is None:
                process.kill()
            await process.aclose()
    if PROBE_LINE.encode() in console:
        return KvmProbe(usable=True, reason=f"booted a machine in {time.monotonic() - began:.2f} s")
    return KvmProbe(
        usable=False,
        reason=f"{_DEVICE} opens, but a machine does not run: {_ending(status)}, {_last_words(bytes(console))}",
        fix="machines are emulated instead, which is slower; on a cloud machine, turn on nested virtualisation",
    )


async def _read_console(process: Process, console: bytearray) -> None:
    if process.stdout is None:
        raise AssertionError("the process was started with a pipe")
    async for chunk in process.stdout:
        console += chunk[: max(0, _MAX_CONSOLE_BYTES - len(console))]
        if PROBE_LINE.encode() in console:
            return


def _ending(status: int | None) -> str:
    if status is None:
        return f"QEMU was ended after {BOOT_DEADLINE_S:.0f} s"
    return (
        f"QEMU ended with signal {signal.Signals(-status).name}" if status < 0 else f"QEMU ended with status {status}"
    )


def _last_words(console: bytes) -> str:
    text = console.decode(errors="replace")
    lines = [printable(line, instead=" ").strip()[:200] for line in text.splitlines()]
    shown = [line for line in lines if line][-2:]
    return f"having said {' / '.join(shown)!r}" if shown else "having said nothing"


def _boot_id() -> str:
    try:
        return _BOOT_ID.read_text(encoding="ascii").strip()
    except OSError:
        return "unknown"


def _read_cache(cache: Path, key: str) -> KvmProbe | None:
    """Return what was seen before; a cache that cannot be read or understood is the same as none."""
    try:
        raw = json.loads(cache.read_text(encoding="utf-8"))
        age_s = time.time() - raw["at"]
        probe = KvmProbe(**raw["probe"])
        fresh = age_s >= 0 and (probe.usable or age_s < _FAILURE_KEPT_S)
        return probe if fresh and raw["key"] == key else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _write_cache(cache: Path, key: str, probe: KvmProbe) -> None:
    fresh = cache.with_name(f".{cache.name}.{os.getpid()}")
    # Without the cache the next probe boots again, no more: the answer stands.
    with suppress(OSError):
        cache.parent.mkdir(parents=True, exist_ok=True)
        fresh.write_text(json.dumps({"key": key, "at": time.time(), "probe": asdict(probe)}), encoding="utf-8")
        fresh.replace(cache)
