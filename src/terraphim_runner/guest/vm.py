"""The agent as a VM's first process: completes what the initramfs left to do, finds its port, and serves."""

from __future__ import annotations

import _socket  # the module ``socket`` takes ten times as long to import, for one ioctl
import ctypes
import fcntl
import os
import struct
import time

from terraphim_runner.guest import stats
from terraphim_runner.guest.accounts import Accounts
from terraphim_runner.guest.agent import Agent
from terraphim_runner.guest.port import Port
from terraphim_runner.wire.frames import PORT_NAME

_PORT_DEADLINE_S = 10.0
_SIOCGIFFLAGS = 0x8913
_SIOCSIFFLAGS = 0x8914
_IFF_UP = 1
_MS_NOSUID_NODEV_NOEXEC = 2 | 4 | 8
_MS_NOSUID_NOEXEC = 2 | 8
_MS_NOSUID_NODEV = 2 | 4
# What programs expect and the initramfs does not mount: kind, where, flags, options.
_MOUNTS = (
    ("devpts", "/dev/pts", _MS_NOSUID_NOEXEC, "gid=5,mode=0620,ptmxmode=0666"),
    ("tmpfs", "/dev/shm", _MS_NOSUID_NODEV, "mode=1777"),  # noqa: S108 - the guest's own
    ("cgroup2", "/sys/fs/cgroup", _MS_NOSUID_NODEV_NOEXEC, ""),
)
_LINKS = (("fd", ""), ("stdin", "/0"), ("stdout", "/1"), ("stderr", "/2"))


def main() -> None:
    """Serve until the machine is switched off."""
    os.umask(0o022)
    os.chdir("/")
    _mount()
    _raise_loopback()
    fd = os.open(_find_port(), os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    Agent(Port(fd, is_socket=False), Accounts(may_switch=True), stats.of_machine).serve()


def _mount() -> None:
    library = ctypes.CDLL(None, use_errno=True)
    for kind, path, flags, options in _MOUNTS:
        os.makedirs(path, exist_ok=True)
        if library.mount(kind.encode(), path.encode(), kind.encode(), flags, options.encode()) != 0:
            raise OSError(ctypes.get_errno(), f"mount {kind} on {path}")
    for name, number in _LINKS:
        os.symlink(f"/proc/self/fd{number}", f"/dev/{name}")


def _raise_loopback() -> None:
    control = _socket.socket(_socket.AF_INET, _socket.SOCK_DGRAM)
    try:
        request = struct.pack("16sh14x", b"lo", 0)
        (flags,) = struct.unpack_from("h", fcntl.ioctl(control.fileno(), _SIOCGIFFLAGS, request), 16)
        fcntl.ioctl(control.fileno(), _SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", flags | _IFF_UP))
    finally:
        control.close()


def _find_port() -> str:
    """Return the device of the port with our name; its number depends on the order of the devices."""
    ports = "/sys/class/virtio-ports"
    deadline = time.monotonic() + _PORT_DEADLINE_S
    while time.monotonic() < deadline:
        for name in os.listdir(ports) if os.path.isdir(ports) else []:
            with open(f"{ports}/{name}/name", encoding="ascii") as file:
                if file.read().strip() == PORT_NAME:
                    return f"/dev/{name}"
        # The driver names its ports after it was loaded, from a work queue.
        time.sleep(0.005)
    raise OSError(f"there is no virtio port called {PORT_NAME!r}")
