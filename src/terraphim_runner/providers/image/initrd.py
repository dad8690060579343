"""The initramfs: busybox, the virtio modules and ``/init``, which mounts the disk and becomes the agent.

It holds no agent: whoever boots the image appends a second archive with ``/agent.pyz``, so that an image serves every
version of the agent. With ``terraphim.probe`` on the kernel's command line, ``/init`` says ``PROBE_LINE`` on the
console and restarts the machine, before it touches any device.
"""

from pathlib import Path

from terraphim_runner.model.errors import InfrastructureError
from terraphim_runner.providers.image.cpio import character_device, directory, file, write_cpio
from terraphim_runner.providers.image.kernel import UnpackedKernel

PROBE_ARGUMENT = "terraphim.probe"
PROBE_LINE = "terraphim-init: probe ok"
FAILURE_PREFIX = "terraphim-init: failed: "
AGENT_PATH = "agent.pyz"
"""Where ``/init`` looks for the agent in the initramfs."""

BOOT_MODULES = ("virtio_ring", "virtio", "virtio_mmio", "virtio_blk", "virtio_console")
_INIT = Path(__file__).parent / "scripts" / "init.sh"


def build_initrd(kernel: UnpackedKernel, busybox: bytes) -> bytes:
    """Return the uncompressed archive, a multiple of 4 bytes long so that another can follow.

    ``busybox`` must be a static program: there is no C library in the initramfs.
    """
    if not busybox.startswith(b"\x7fELF") or b"/ld-linux" in busybox[:8192]:
        raise InfrastructureError(doing="build the initramfs", reason="busybox is not a static ELF program")
    names = kernel.with_dependencies(BOOT_MODULES)
    entries = [
        *(directory(name) for name in ("bin", "dev", "modules", "newroot", "proc", "sys")),
        # The kernel opens it as init's standard streams before devtmpfs is mounted.
        character_device("dev/console", 5, 1),
        file("bin/busybox", busybox, executable=True),
        *(file(f"modules/{name}.ko", kernel.module(name)) for name in names),
        file("modules/order", "".join(f"{name}.ko\n" for name in names).encode()),
        file("init", _INIT.read_bytes(), executable=True),
    ]
    return write_cpio(entries)


def agent_archive(agent: bytes) -> bytes:
    """Return the archive to append to an image's initramfs so that it starts this agent (a Python zipapp)."""
    return write_cpio([file(AGENT_PATH, agent)])
