"""Framing: ``u32 length | u8 kind | u32 stream | payload``, big-endian, cut out of a byte stream under hard bounds.

A *stream* is one operation (a command, a file, an archive), numbered by the host, never used twice. Stream 0 is the
connection itself. Bytes that one side must hold for the other (output, standard input, file content) are sent within a
credit window per stream and direction: ``WINDOW`` at the start, extended by ``CREDIT`` frames as they are consumed.
"""

from __future__ import annotations

import struct

VERSION = 1
PORT_NAME = "terraphim.agent"
"""What the virtio-serial port is called by which the guest finds its end."""

HELLO = 1
"""Guest: I am up. Sent once, when its end of the channel is opened."""
RESUME = 2
EXEC = 3
STDIN = 4
"""Bytes for a command's standard input; an empty frame ends it."""
OUT = 5
ERR = 6
EXIT = 7
SIGNAL = 8
CLOSE = 9
"""Host: give the operation up. A command's group is killed. The guest still answers: ``EXIT``, ``DONE`` or ``FAIL``."""
CREDIT = 10
WRITE = 11
READ = 12
UNPACK = 13
DATA = 14
"""Content of a file or an archive; an empty frame ends an archive."""
STATS = 15
SYNC = 16
PING = 17
PONG = 18
DONE = 19
"""Guest: the operation succeeded; of a command: it was started, and ``EXIT`` will follow."""
FAIL = 20

WINDOW = 256 * 1024
MAX_DATA = 32 * 1024
"""Bytes in one frame of content: what a virtio-serial port takes in one write."""
MAX_EXEC = 4 * 1024 * 1024
"""A command with its whole environment; Linux itself takes less."""
_MAX_PATHS = 16 * 1024

TO_GUEST = {
    RESUME: 4096,
    EXEC: MAX_EXEC,
    STDIN: MAX_DATA,
    SIGNAL: 1,
    CLOSE: 0,
    CREDIT: 4,
    WRITE: _MAX_PATHS,
    READ: _MAX_PATHS,
    UNPACK: _MAX_PATHS,
    DATA: MAX_DATA,
    STATS: 0,
    SYNC: 0,
    PING: 8,
}
"""What a guest may receive: kind → most bytes of payload."""

TO_HOST = {
    HELLO: 64,
    OUT: MAX_DATA,
    ERR: MAX_DATA,
    EXIT: 5,
    DATA: MAX_DATA,
    CREDIT: 4,
    PONG: 8,
    DONE: 64,
    FAIL: 4096,
}
"""What a host may receive: kind → most bytes of payload."""

HEADER = struct.Struct("!IBI")


class ProtocolError(Exception):
    """The other side broke the protocol; the connection cannot be used any further."""


def encode(kind: int, stream: int, payload: bytes | memoryview = b"") -> bytes:
    """Return one frame."""
    return HEADER.pack(len(payload), kind, stream) + payload


def encode_chunks(kind: int, stream: int, content: bytes | memoryview) -> list[bytes]:
    """Return the content as frames of at most ``MAX_DATA`` bytes each; no frame for no content."""
    view = memoryview(content)
    return [encode(kind, stream, view[start : start + MAX_DATA]) for start in range(0, len(view), MAX_DATA)]


class Decoder:
    """Cuts frames out of arriving bytes. Holds at most one incomplete frame.

    ``limits`` says which kinds may arrive and how long their payloads may be; anything else raises ``ProtocolError``
    as soon as the header is there, before its payload is waited for. A decoder that raised keeps raising.
    """

    __slots__ = ("_broken", "_buffer", "_limits")

    def __init__(self, limits: dict[int, int]) -> None:
        self._limits = limits
        self._buffer = bytearray()
        self._broken = ""

    def feed(self, data: bytes | bytearray | memoryview) -> list[tuple[int, int, bytes]]:
        """Take the next bytes; return the frames that are complete now, each as (kind, stream, payload)."""
        if self._broken:
            raise ProtocolError(self._broken)
        buffer = self._buffer
        buffer += data
        frames: list[tuple[int, int, bytes]] = []
        position = 0
        available = len(buffer)
        with memoryview(buffer) as view:
            while available - position >= HEADER.size:
                length, kind, stream = HEADER.unpack_from(view, position)
                limit = self._limits.get(kind)
                if limit is None or length > limit:
                    self._broken = _complaint(kind, length, limit)
                    raise ProtocolError(self._broken)
                end = position + HEADER.size + length
                if end > available:
                    break
                frames.append((kind, stream, bytes(view[position + HEADER.size : end])))
                position = end
        if position:
            del buffer[:position]
        return frames

    @property
    def pending(self) -> int:
        """How many bytes of an incomplete frame are held."""
        return len(self._buffer)


def _complaint(kind: int, length: int, limit: int | None) -> str:
    if limit is None:
        return f"found a frame of kind {kind}, which this side does not take"
    return f"found a frame of kind {kind} with {length} bytes, expected at most {limit}"


class Window:
    """The credit of one stream in one direction, as either side counts it."""

    __slots__ = ("left",)

    def __init__(self) -> None:
        self.left = WINDOW

    def spend(self, count: int) -> None:
        """Take bytes off; raises ``ProtocolError`` when more came than were allowed, or none at all."""
        if not 0 < count <= self.left:
            raise ProtocolError(f"found {count} bytes of content, expected 1 to {self.left}")
        self.left -= count

    def extend(self, count: int) -> None:
        """Allow more bytes; raises ``ProtocolError`` when that would exceed ``WINDOW``."""
        if count <= 0 or self.left + count > WINDOW:
            raise ProtocolError(f"found a credit of {count} bytes, expected 1 to {WINDOW - self.left}")
        self.left += count
