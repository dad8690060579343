"""Takes the uncompressed ELF kernel out of a bzImage.

Booting it directly (PVH) saves 0.3 s under emulation, and it is the only x86 format that Firecracker takes.
The payload is found through the boot protocol's header, not by searching for magic bytes:
Documentation/arch/x86/boot.rst in the kernel ("payload_offset", protocol 2.08 and later).
"""

import gzip
import lzma
import shutil
import struct
import subprocess
import zlib
from collections.abc import Callable

from terraphim_runner.model.errors import InfrastructureError

_DOING = "extract the kernel from its bzImage"
_MAX_KERNEL_BYTES = 512 << 20
_TOOL_DEADLINE_S = 60


def extract_vmlinux(image: bytes) -> bytes:
    """Return the ELF kernel in ``image``, which may be a bzImage or an ELF file already.

    Understands the compressions gzip, xz, lzma, LZ4 and zstd, the last two through the programs
    ``lz4`` and ``zstd``. Raises ``InfrastructureError`` that says what was found instead.
    """
    if image.startswith(b"\x7fELF"):
        return image
    kernel = _decompress(_payload(image))
    if not kernel.startswith(b"\x7fELF"):
        raise InfrastructureError(doing=_DOING, reason=f"the payload starts with {kernel[:4]!r}, expected an ELF file")
    return kernel


def _payload(image: bytes) -> bytes:
    if len(image) < 0x250 or image[0x202:0x206] != b"HdrS":
        raise InfrastructureError(doing=_DOING, reason="the file has no Linux boot header ('HdrS' at 0x202)")
    (version,) = struct.unpack_from("<H", image, 0x206)
    if version < 0x0208:
        raise InfrastructureError(doing=_DOING, reason=f"boot protocol {version:#06x} found, 0x0208 or later expected")
    setup_sectors = image[0x1F1] or 4
    offset, length = struct.unpack_from("<II", image, 0x248)
    start = (setup_sectors + 1) * 512 + offset
    if not 8 <= length <= len(image) - start:
        raise InfrastructureError(doing=_DOING, reason=f"the payload's {length} bytes reach past the end of the file")
    return image[start : start + length]


def _decompress(payload: bytes) -> bytes:
    # The build appends the uncompressed size as 4 bytes, except to gzip, whose own trailer is the same thing.
    body = payload[:-4]
    decoders: dict[bytes, Callable[[], bytes]] = {
        b"\x1f\x8b": lambda: gzip.decompress(payload),
        b"\xfd7zXZ\0": lambda: lzma.decompress(body, lzma.FORMAT_XZ),
        b"\x5d\0\0": lambda: lzma.LZMADecompressor(lzma.FORMAT_ALONE).decompress(body, _MAX_KERNEL_BYTES),
        b"\x02\x21\x4c\x18": lambda: _run("lz4", ["-d", "-c"], body),
        b"\x28\xb5\x2f\xfd": lambda: _run("zstd", ["-d", "-c"], body),
        b"\x7fELF": lambda: payload,
    }
    for magic, decode in decoders.items():
        if payload.startswith(magic):
            try:
                return decode()
            except (OSError, EOFError, lzma.LZMAError, zlib.error) as error:
                raise InfrastructureError(doing=_DOING, reason=f"the payload is damaged: {error}") from error
    raise InfrastructureError(
        doing=_DOING, reason=f"compression {payload[:6]!r} is unknown; gzip, xz, lzma, lz4 and zstd are understood"
    )


def _run(program: str, arguments: list[str], data: bytes) -> bytes:
    found = shutil.which(program)
    if found is None:
        raise InfrastructureError(
            doing=_DOING, reason=f"the kernel is compressed with {program}", fix=f"apt-get install {program}"
        )
    try:
        result = subprocess.run(
            [found, *arguments], input=data, check=False, capture_output=True, timeout=_TOOL_DEADLINE_S
        )
    except subprocess.TimeoutExpired as error:
        raise InfrastructureError(doing=_DOING, reason=f"{program} took more than {_TOOL_DEADLINE_S} s") from error
    if result.returncode != 0:
        raise InfrastructureError(doing=_DOING, reason=result.stderr.decode(errors="replace").strip()[-500:])
    return result.stdout
