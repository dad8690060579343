"""Writes the "newc" cpio format that the Linux kernel unpacks as an initramfs.

Only what an initramfs needs: directories, files, symlinks and character devices, all owned by root, with a fixed
timestamp, so that the same input gives the same bytes. Archives may be concatenated: each is padded to 4 bytes.
Format: Documentation/driver-api/early-userspace/buffer-format.rst in the kernel.
"""

import stat
from collections.abc import Iterable
from dataclasses import dataclass

_MAGIC = b"070701"
_TRAILER = "TRAILER!!!"


@dataclass(frozen=True, slots=True, kw_only=True)
class CpioEntry:
    """One member. ``path`` has no leading slash; ``mode`` includes the file type; ``device`` is (major, minor)."""

    path: str
    mode: int
    content: bytes = b""
    device: tuple[int, int] = (0, 0)


def directory(path: str) -> CpioEntry:
    return CpioEntry(path=path, mode=stat.S_IFDIR | 0o755)


def file(path: str, content: bytes, *, executable: bool = False) -> CpioEntry:
    return CpioEntry(path=path, mode=stat.S_IFREG | (0o755 if executable else 0o644), content=content)


def character_device(path: str, major: int, minor: int) -> CpioEntry:
    return CpioEntry(path=path, mode=stat.S_IFCHR | 0o600, device=(major, minor))


def write_cpio(entries: Iterable[CpioEntry]) -> bytes:
    """Return one uncompressed archive, a multiple of 4 bytes long.

    A parent must stand before its children: the kernel makes no directories by itself.
    Raises ``ValueError`` for a path that is absolute, climbs up, or comes twice.
    """
    parts: list[bytes] = []
    seen: set[str] = set()
    for number, entry in enumerate(entries, start=1):
        if entry.path.startswith("/") or ".." in entry.path.split("/") or not entry.path:
            raise ValueError(f"cpio member {entry.path!r} is not a relative path inside of the archive")
        if entry.path in seen:
            raise ValueError(f"cpio member {entry.path!r} comes twice")
        seen.add(entry.path)
        parts += _member(entry, number)
    parts += _member(CpioEntry(path=_TRAILER, mode=0), 0)
    return b"".join(parts)


def _member(entry: CpioEntry, inode: int) -> list[bytes]:
    name = entry.path.encode() + b"\0"
    links = 2 if stat.S_ISDIR(entry.mode) else 1
    major, minor = entry.device
    fields = (inode, entry.mode, 0, 0, links, 0, len(entry.content), 0, 0, major, minor, len(name), 0)
    header = _MAGIC + b"".join(b"%08x" % value for value in fields)
    return [header, name, _padding(len(header) + len(name)), entry.content, _padding(len(entry.content))]


def _padding(length: int) -> bytes:
    return b"\0" * (-length % 4)
