"""Empty copy-on-write disks, in QEMU's qcow2 format (version 3, docs/interop/qcow2.txt in its sources).

Written here rather than by ``qemu-img``: a clone's disk is made in a tenth of a millisecond, and one package fewer is
needed. No backing file is named inside: QEMU is told on its command line, by descriptor.
"""

import os
import struct
from pathlib import Path

from terraphim_runner.model.errors import InfrastructureError

_CLUSTER_BITS = 16
_CLUSTER = 1 << _CLUSTER_BITS
_HEADER = struct.Struct(">4sIQIIQIIQQIIQQQQII")
_L2_COVERS = _CLUSTER * (_CLUSTER // 8)


def create_overlay(path: Path, size_bytes: int) -> int:
    """Create an empty disk of that size; return a descriptor to read and write it. Raises ``InfrastructureError``."""
    try:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            _fill(fd, size_bytes)
        except BaseException:
            os.close(fd)
            raise
    except OSError as error:
        raise InfrastructureError(doing=f"make the disk {str(path)!r}", reason=error.strerror or "") from error
    return fd


def _fill(fd: int, size_bytes: int) -> None:
    l1_entries = -(-size_bytes // _L2_COVERS)
    l1_clusters = -(-l1_entries * 8 // _CLUSTER)
    header = _HEADER.pack(
        *(b"QFI\xfb", 3, 0, 0, _CLUSTER_BITS, size_bytes, 0, l1_entries),
        *(3 * _CLUSTER, _CLUSTER, 1, 0, 0),
        *(0, 0, 0, 4, _HEADER.size),
    )
    used = 3 + l1_clusters
    os.pwrite(fd, header, 0)
    os.pwrite(fd, struct.pack(">Q", 2 * _CLUSTER), _CLUSTER)
    os.pwrite(fd, struct.pack(f">{used}H", *[1] * used), 2 * _CLUSTER)
    os.ftruncate(fd, used * _CLUSTER)
