import lzma

import pytest

from terraphim_runner.model.errors import InfrastructureError
from terraphim_runner.providers.image.initrd import BOOT_MODULES, build_initrd
from terraphim_runner.providers.image.kernel import install_modules, module_dependencies, read_unpacked_kernel


def module(depends):
    return b"\x7fELF..license=GPL\0depends=" + depends.encode() + b"\0retpoline=Y\0name=x\0"


@pytest.fixture
def unpacked(tmp_path):
    """A kernel package as Debian lays it out."""
    files = {
        "drivers/virtio/virtio_ring.ko": "",
        "drivers/virtio/virtio.ko": "virtio_ring",
        "drivers/virtio/virtio_mmio.ko": "virtio,virtio_ring",
        "drivers/block/virtio_blk.ko": "virtio_ring,virtio",
        "drivers/char/virtio_console.ko": "virtio_ring,virtio",
        "drivers/char/hw_random/virtio-rng.ko": "virtio",
        "fs/overlayfs/overlay.ko": "",
    }
    root = tmp_path / "kernel"
    base = root / "lib/modules/6.1.0-1-cloud-amd64"
    for name, depends in files.items():
        path = base / "kernel" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(module(depends))
    (base / "modules.order").write_text("")
    (root / "boot").mkdir()
    (root / "boot/vmlinuz-6.1.0-1-cloud-amd64").write_bytes(b"\x7fELF kernel")
    return root


def test_module_dependencies_are_read_from_the_module_itself():
    assert module_dependencies(module("virtio,virtio-ring")) == ["virtio", "virtio_ring"]
    assert module_dependencies(module("")) == []
    assert module_dependencies(b"no such section") == []


def test_kernel_release_and_image_are_found(unpacked):
    kernel = read_unpacked_kernel(unpacked)
    assert kernel.release == "6.1.0-1-cloud-amd64"
    assert kernel.vmlinux() == b"\x7fELF kernel"


def test_modules_come_after_what_they_depend_on_and_once(unpacked):
    assert read_unpacked_kernel(unpacked).with_dependencies(BOOT_MODULES) == list(BOOT_MODULES)
    assert read_unpacked_kernel(unpacked).with_dependencies(["virtio-rng"]) == ["virtio_ring", "virtio", "virtio_rng"]


def test_module_that_the_kernel_lacks_is_named(unpacked):
    with pytest.raises(InfrastructureError, match="'overly'"):
        read_unpacked_kernel(unpacked).with_dependencies(["overly"])


def test_module_that_is_built_in_is_left_out(unpacked):
    (next(unpacked.rglob("modules.order")).parent / "modules.builtin").write_text("kernel/fs/fuse/fuse-x.ko\n")
    assert read_unpacked_kernel(unpacked).with_dependencies(["fuse_x", "overlay"]) == ["overlay"]


def test_compressed_module_is_unpacked(unpacked):
    plain = next(unpacked.rglob("overlay.ko"))
    plain.with_name("overlay.ko.xz").write_bytes(lzma.compress(plain.read_bytes()))
    plain.unlink()
    assert read_unpacked_kernel(unpacked).module("overlay") == module("")


def test_installed_modules_keep_their_places(unpacked, tmp_path):
    kernel = read_unpacked_kernel(unpacked)
    install_modules(kernel, ["virtio_rng"], tmp_path / "root")
    base = tmp_path / "root/usr/lib/modules" / kernel.release
    assert sorted(str(path.relative_to(base)) for path in base.rglob("*") if path.is_file()) == [
        "kernel/drivers/char/hw_random/virtio-rng.ko",
        "kernel/drivers/virtio/virtio.ko",
        "kernel/drivers/virtio/virtio_ring.ko",
        "modules.order",
    ]


def test_package_without_a_kernel_is_refused(tmp_path):
    with pytest.raises(InfrastructureError, match="found 0 files boot/vmlinuz"):
        read_unpacked_kernel(tmp_path)


def test_initrd_refuses_a_busybox_that_needs_libraries(unpacked):
    with pytest.raises(InfrastructureError, match="not a static ELF program"):
        build_initrd(read_unpacked_kernel(unpacked), b"\x7fELF" + b"\0" * 99 + b"/lib64/ld-linux-x86-64.so.2\0")


def test_initrd_is_padded_so_that_another_archive_can_follow(unpacked):
    assert len(build_initrd(read_unpacked_kernel(unpacked), b"\x7fELF static" + b"\0" * 3)) % 4 == 0
