"""The agent's end of the channel: a virtio-serial port, or a socket when there is no VM."""

from __future__ import annotations

import os
from collections import deque

from terraphim_runner.wire import frames

_READ_AT_ONCE = 64 * 1024
_ENOUGH_QUEUED = 256 * 1024


class Port:
    """Frames in, frames out, without blocking. To be watched edge-triggered, hence read until it would block."""

    def __init__(self, fd: int, *, is_socket: bool) -> None:
        os.set_blocking(fd, False)
        self.fd = fd
        self.is_closed = False
        """The host's end is gone for good. Never of a virtio port: there, a next host may come."""
        self._is_socket = is_socket
        # A virtio-serial port gives one page per read at most.
        self._read_size = _READ_AT_ONCE if is_socket else 4096
        self._decoder = frames.Decoder(frames.TO_GUEST)
        self._queue: deque[memoryview] = deque()
        self._queued = 0

    @property
    def is_full(self) -> bool:
        """So much waits to be sent that no more output should be read from commands."""
        return self._queued >= _ENOUGH_QUEUED

    def send(self, kind: int, stream: int, payload: bytes | memoryview = b"") -> None:
        """Queue a frame; ``flush`` sends it."""
        frame = frames.encode(kind, stream, payload)
        self._queue.append(memoryview(frame))
        self._queued += len(frame)

    def flush(self) -> None:
        """Send what the host takes now."""
        queue = self._queue
        while queue:
            head = queue[0]
            try:
                count = os.write(self.fd, head)
            except BlockingIOError:
                return
            except (BrokenPipeError, ConnectionResetError):
                self.is_closed = True
                return
            self._queued -= count
            if count == len(head):
                queue.popleft()
            else:
                queue[0] = head[count:]

    def receive(self) -> tuple[list[tuple[int, int, bytes]], bool]:
        """Return the frames that arrived, and whether more bytes may wait to be read."""
        chunks: list[bytes] = []
        total = 0
        while total < _READ_AT_ONCE:
            try:
                data = os.read(self.fd, self._read_size)
            except BlockingIOError:
                break
            except ConnectionResetError:
                data = b""
            if not data:
                # A virtio port whose host side is closed reads as empty until a host opens it again.
                self.is_closed = self._is_socket
                break
            chunks.append(data)
            total += len(data)
        arrived = chunks[0] if len(chunks) == 1 else b"".join(chunks)
        return self._decoder.feed(arrived), total >= _READ_AT_ONCE
