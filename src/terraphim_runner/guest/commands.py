"""One running command: its pipes, its credit, its end."""

from __future__ import annotations

import fcntl
import os
import select
import signal
import struct
import termios
from collections import deque
from collections.abc import Callable

from terraphim_runner.guest.loop import Loop
from terraphim_runner.guest.port import Port
from terraphim_runner.guest.spawn import Started
from terraphim_runner.wire import frames, messages

GRACE_S = 1.0
"""How long a child that outlives the command may hold its output open before it is left alone."""

_CREDIT_AT = frames.WINDOW // 4


class Pipe:
    """One output of a command. ``remaining`` is None until the grace is over, then what still has to be read."""

    __slots__ = ("fd", "kind", "remaining")

    def __init__(self, fd: int, kind: int) -> None:
        self.fd = fd
        self.kind = kind
        self.remaining: int | None = None


class CommandRun:
    """Moves a command's bytes under its credit, and reports its end once its output was sent.

    ``finished`` is called once, after ``EXIT`` was queued.
    """

    def __init__(self, stream: int, started: Started, port: Port, loop: Loop, finished: Callable[[int], None]) -> None:
        self.pid = started.pid
        self.stream = stream
        self._port = port
        self._loop = loop
        self._finished = finished
        self._window = frames.Window()
        self._status: int | None = None
        self._pipes = [Pipe(started.out, frames.OUT), Pipe(started.err, frames.ERR)]
        self._paused = False
        self._stdin = started.stdin
        self._stdin_queue: deque[bytes] = deque()
        self._stdin_ends = False
        self._stdin_watched = False
        self._stdin_taken = 0
        for pipe in self._pipes:
            self._watch(pipe)

    # -- from the host

    def credit(self, count: int) -> None:
        self._window.extend(count)
        self.proceed()

    def proceed(self) -> None:
        """Read on, if reading was paused for want of credit or of room in the port."""
        if self._paused:
            self._paused = False
            for pipe in self._pipes:
                self._watch(pipe)

    def signal(self, number: int) -> None:
        """Signal the whole group; a group that is gone is none of our business any more."""
        try:
            os.killpg(self.pid, number)
        except (ProcessLookupError, PermissionError):
            return

    def close(self) -> None:
        """Kill the group and drop its output; ``EXIT`` follows when the kernel has buried the command."""
        self.signal(signal.SIGKILL)
        self._loop.cancel_call(self.stream)
        for pipe in list(self._pipes):
            self._close_pipe(pipe)
        self._finish_if_over()

    def stdin(self, data: bytes) -> None:
        """Take bytes for standard input; none at all ends it."""
        if data:
            self._stdin_queue.append(data)
        else:
            self._stdin_ends = True
        self._feed()

    # -- from the kernel

    def exited(self, status: int) -> None:
        self._status = status
        self._drop_stdin()
        if self._pipes:
            self._loop.call_after(self.stream, GRACE_S, self._grace_is_over)
        self._finish_if_over()

    def _grace_is_over(self) -> None:
        for pipe in list(self._pipes):
            # What the command itself wrote is in the pipe by now, before anything that comes later.
            (pipe.remaining,) = struct.unpack("i", fcntl.ioctl(pipe.fd, termios.FIONREAD, b"\0" * 4))
            if pipe.remaining == 0:
                self._close_pipe(pipe)
        self._finish_if_over()

    def _watch(self, pipe: Pipe) -> None:
        self._loop.watch(pipe.fd, select.EPOLLIN, lambda _events: self._readable(pipe))

    def _readable(self, pipe: Pipe) -> None:
        if self._paused:
            return
        allowed = min(frames.MAX_DATA, self._window.left)
        if pipe.remaining is not None:
            allowed = min(allowed, pipe.remaining)
        if allowed == 0 or self._port.is_full:
            # Unwatched, not masked: epoll reports a hang-up whatever the mask says.
            self._paused = True
            for paused in self._pipes:
                self._loop.unwatch(paused.fd)
            return
        try:
            data = os.read(pipe.fd, allowed)
        except BlockingIOError:
            return
        if data:
            self._window.spend(len(data))
            self._port.send(pipe.kind, self.stream, data)
            if pipe.remaining is not None:
                pipe.remaining -= len(data)
        if not data or pipe.remaining == 0:
            self._close_pipe(pipe)
            self._finish_if_over()

    def _close_pipe(self, pipe: Pipe) -> None:
        self._loop.unwatch(pipe.fd)
        os.close(pipe.fd)
        self._pipes.remove(pipe)

    def _finish_if_over(self) -> None:
        if self._status is None or self._pipes:
            return
        self._loop.cancel_call(self.stream)
        self._drop_stdin()
        self._port.send(frames.EXIT, self.stream, messages.encode_exit(self._status))
        self._finished(self.stream)

    # -- standard input

    def _feed(self) -> None:
        while self._stdin_queue and self._stdin >= 0:
            head = self._stdin_queue[0]
            try:
                count = os.write(self._stdin, head)
            except BlockingIOError:
                self._watch_stdin()
                return
            except BrokenPipeError:
                self._drop_stdin()
                break
            self._taken(count)
            if count == len(head):
                self._stdin_queue.popleft()
            else:
                self._stdin_queue[0] = head[count:]
        if self._stdin < 0:
            # Nobody reads it: let the host go on and finish.
            self._taken(sum(map(len, self._stdin_queue)))
            self._stdin_queue.clear()
        elif self._stdin_ends:
            self._drop_stdin()

    def _taken(self, count: int) -> None:
        self._stdin_taken += count
        if self._stdin_taken >= _CREDIT_AT:
            self._port.send(frames.CREDIT, self.stream, messages.encode_number(self._stdin_taken))
            self._stdin_taken = 0

    def _watch_stdin(self) -> None:
        if not self._stdin_watched:
            self._stdin_watched = True
            self._loop.watch(self._stdin, select.EPOLLOUT, self._stdin_ready)

    def _stdin_ready(self, _events: int) -> None:
        self._loop.unwatch(self._stdin)
        self._stdin_watched = False
        self._feed()

    def _drop_stdin(self) -> None:
        if self._stdin >= 0:
            self._loop.unwatch(self._stdin)
            os.close(self._stdin)
            self._stdin = -1
