import gzip
import lzma
import shutil
import struct
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from terraphim_runner.model.errors import InfrastructureError
from terraphim_runner.providers.image.vmlinux import extract_vmlinux

KERNEL = b"\x7fELF" + bytes(range(256)) * 500


def bz_image(payload, *, version=0x020F, setup_sectors=4):
    header = bytearray((setup_sectors + 1) * 512)
    header[0x1F1] = setup_sectors
    header[0x202:0x206] = b"HdrS"
    struct.pack_into("<H", header, 0x206, version)
    struct.pack_into("<II", header, 0x248, 64, len(payload))
    return bytes(header) + b"\x90" * 64 + payload + b"tail" * 100


def by_program(program, *arguments):
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")
    return subprocess.run([program, *arguments, "-c"], input=KERNEL, capture_output=True, check=True).stdout


@pytest.mark.parametrize(
    "compress",
    [
        lambda: gzip.compress(KERNEL),
        lambda: lzma.compress(KERNEL) + struct.pack("<I", len(KERNEL)),
        lambda: lzma.compress(KERNEL, lzma.FORMAT_ALONE) + struct.pack("<I", len(KERNEL)),
        lambda: by_program("lz4", "-l") + struct.pack("<I", len(KERNEL)),
        lambda: by_program("zstd") + struct.pack("<I", len(KERNEL)),
        lambda: KERNEL,
    ],
    ids=["gzip", "xz", "lzma", "lz4", "zstd", "none"],
)
def test_vmlinux_of_each_compression_is_the_kernel(compress):
    assert extract_vmlinux(bz_image(compress())) == KERNEL


def test_vmlinux_that_is_elf_already_is_returned():
    assert extract_vmlinux(KERNEL) == KERNEL


@pytest.mark.parametrize(
    ("image", "reason"),
    [
        (b"", "no Linux boot header"),
        (b"MZ" + b"\0" * 4096, "no Linux boot header"),
        (bz_image(gzip.compress(KERNEL), version=0x0203), "boot protocol 0x0203 found, 0x0208 or later expected"),
        (bz_image(gzip.compress(KERNEL))[:3000], "reach past the end"),
        (bz_image(b"BZh91AY&SY" + b"\0" * 50), "compression b'BZh91A' is unknown"),
        (bz_image(gzip.compress(KERNEL)[:100]), "the payload is damaged"),
        (bz_image(gzip.compress(b"not a kernel")), "expected an ELF file"),
    ],
    ids=["empty", "no header", "old", "cut", "unknown", "damaged", "no kernel"],
)
def test_vmlinux_of_a_bad_image_says_what_was_found(image, reason):
    with pytest.raises(InfrastructureError, match=reason):
        extract_vmlinux(image)


@given(st.binary(max_size=2000))
def test_vmlinux_of_any_payload_without_a_kernel_is_refused(payload):
    with pytest.raises(InfrastructureError):
        extract_vmlinux(bz_image(b"\x1f\x8b" + payload))
