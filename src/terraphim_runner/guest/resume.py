"""What a machine that was copied from a snapshot owes itself before its first command."""

from __future__ import annotations

import fcntl
import os
import struct
import time

from terraphim_runner.wire.messages import Resume

_RNDADDENTROPY = 0x40085203
_RNDRESEEDCRNG = 0x5207


def resume(duties: Resume) -> None:
    """Fresh randomness, the right time, an own name. Raises ``OSError``.

    Without the entropy, every copy of a snapshot hands out the same random numbers.
    """
    _add_entropy(duties.entropy)
    time.clock_settime_ns(time.CLOCK_REALTIME, duties.time_ns)
    _write("/proc/sys/kernel/hostname", duties.hostname)
    _write("/etc/hostname", f"{duties.hostname}\n")
    # Without its own name there, every sudo complains and looks for a name server that does not exist.
    _write("/etc/hosts", f"127.0.0.1\tlocalhost\n127.0.1.1\t{duties.hostname}\n")
    _write("/etc/machine-id", f"{duties.machine_id}\n")


def _add_entropy(entropy: bytes) -> None:
    fd = os.open("/dev/urandom", os.O_RDWR | os.O_CLOEXEC)
    try:
        fcntl.ioctl(fd, _RNDADDENTROPY, struct.pack("ii", len(entropy) * 8, len(entropy)) + entropy)
        fcntl.ioctl(fd, _RNDRESEEDCRNG)
    finally:
        os.close(fd)


def _write(path: str, text: str) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)
