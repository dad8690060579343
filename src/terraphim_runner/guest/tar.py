"""Reading a tar stream as it comes: ustar, GNU long names and pax paths. No file system here.

Smaller and quicker to import than ``tarfile``, and it takes a stream in pieces.
"""

from __future__ import annotations

from collections.abc import Callable

BLOCK = 512
_MAX_META = 64 * 1024
"""Bytes in a long name or in pax records."""

FILE = "file"
DIRECTORY = "directory"
SYMLINK = "symbolic link"
HARDLINK = "hard link"
_KINDS = {b"0": FILE, b"\0": FILE, b"7": FILE, b"5": DIRECTORY, b"2": SYMLINK, b"1": HARDLINK}


class TarError(Exception):
    """The archive is damaged, or holds what may not be unpacked."""


class Entry:
    """One member. ``target`` is where a link points, ``size`` the bytes of content that follow."""

    __slots__ = ("kind", "mode", "path", "size", "target")

    def __init__(self, *, path: str, kind: str, mode: int, size: int, target: str) -> None:
        self.path = path
        self.kind = kind
        self.mode = mode
        self.size = size
        self.target = target


class TarReader:
    """Calls ``begin`` per member, ``content`` with the pieces of a file, ``end`` after it; all as the bytes arrive."""

    def __init__(
        self, begin: Callable[[Entry], None], content: Callable[[memoryview], None], end: Callable[[], None]
    ) -> None:
        self._begin = begin
        self._content = content
        self._end = end
        self._header = bytearray()
        self._left = 0
        self._padding = 0
        self._meta: bytearray | None = None
        self._meta_kind = b""
        self._overrides: dict[str, str] = {}
        self.is_complete = False
        """The end-of-archive marker was read; whatever comes after it is ignored."""

    @property
    def is_between_members(self) -> bool:
        """Whether the stream may end here: some writers leave the marker out."""
        return not (self._header or self._left or self._padding or self._overrides or self._meta is not None)

    def feed(self, data: bytes) -> None:
        """Take the next bytes; raises ``TarError``."""
        view = memoryview(data)
        while view and not self.is_complete:
            if self._left:
                view = self._take_content(view)
            elif self._padding:
                skipped = min(self._padding, len(view))
                self._padding -= skipped
                view = view[skipped:]
            else:
                missing = BLOCK - len(self._header)
                self._header += view[:missing]
                view = view[missing:]
                if len(self._header) == BLOCK:
                    block = bytes(self._header)
                    self._header.clear()
                    self._take_header(block)

    def _take_content(self, view: memoryview) -> memoryview:
        piece = view[: self._left]
        self._left -= len(piece)
        if self._meta is None:
            self._content(piece)
        else:
            self._meta += piece
        if not self._left:
            self._close_member()
        return view[len(piece) :]

    def _take_header(self, block: bytes) -> None:
        if block.count(0) == BLOCK:
            self.is_complete = True
            return
        if _number(block[148:156]) != sum(block) - sum(block[148:156]) + 8 * 0x20:
            raise TarError("found a header with a wrong checksum")
        size = _number(block[124:136])
        flag = block[156:157]
        if flag in b"LKxg":
            self._open_meta(flag, size)
        else:
            self._open_member(block, flag, size)
        self._left = size
        self._padding = -size % BLOCK
        if not size:
            self._close_member()

    def _open_meta(self, flag: bytes, size: int) -> None:
        if size > _MAX_META:
            raise TarError(f"found {size} bytes of names and attributes for one member, expected at most {_MAX_META}")
        self._meta = bytearray()
        self._meta_kind = flag

    def _open_member(self, block: bytes, flag: bytes, size: int) -> None:
        name = _text(block[0:100])
        # Only POSIX headers have a prefix: GNU's keep times in its place.
        if block[257:263] == b"ustar\0" and block[345]:
            name = f"{_text(block[345:500])}/{name}"
        path = self._overrides.pop("path", name)
        target = self._overrides.pop("linkpath", _text(block[157:257]))
        self._overrides.clear()
        kind = _KINDS.get(flag)
        if kind is None:
            raise TarError(f"{path!r} is neither a file, a directory nor a link (type {flag!r})")
        if kind is not FILE and size:
            raise TarError(f"{path!r} is a {kind} with content")
        if path.endswith("/") and kind is FILE:
            kind = DIRECTORY
        self._begin(Entry(path=path, kind=kind, mode=_number(block[100:108]), size=size, target=target))

    def _close_member(self) -> None:
        if self._meta is None:
            self._end()
            return
        meta = bytes(self._meta)
        self._meta = None
        if self._meta_kind == b"L":
            self._overrides["path"] = _text(meta)
        elif self._meta_kind == b"K":
            self._overrides["linkpath"] = _text(meta)
        elif self._meta_kind == b"x":
            self._overrides.update(_pax(meta))


def _number(field: bytes) -> int:
    if field[0] & 0x80:
        number = int.from_bytes(field, "big") & ~(0x80 << 8 * (len(field) - 1))
        if number >= 1 << 62:
            raise TarError("found a number out of range in a header")
        return number
    digits = field.strip(b" \0")
    try:
        number = int(digits, 8) if digits else 0
    except ValueError:
        number = -1
    if number < 0:
        raise TarError(f"found {digits!r} in a header, expected an octal number")
    return number


def _text(field: bytes) -> str:
    return field.partition(b"\0")[0].decode("utf-8", "surrogateescape")


def _pax(records: bytes) -> dict[str, str]:
    found: dict[str, str] = {}
    while records:
        length_text, space, _ = records.partition(b" ")
        if not space or not length_text.isdigit() or len(length_text) > 5:
            raise TarError("found damaged pax records")
        length = int(length_text)
        record = records[len(length_text) + 1 : length]
        if not len(length_text) + 3 <= length <= len(records) or record[-1:] != b"\n":
            raise TarError("found damaged pax records")
        key, _, value = record[:-1].partition(b"=")
        if key in (b"path", b"linkpath"):
            if b"\0" in value:
                raise TarError("found a NUL character in a path")
            found[key.decode()] = value.decode("utf-8", "surrogateescape")
        elif key == b"size":
            raise TarError("found a size in pax records: files of 8 GiB and more cannot be unpacked")
        records = records[length:]
    return found
