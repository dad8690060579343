"""The host's end of the stream to one machine's agent: frames, credit, replies, and the watch over them.

The guest is hostile: it may flood, lie, stall or hang up. Whatever it sends must be expected, or the channel fails as a
whole. What it may make the host hold is bounded: ``WINDOW`` bytes per operation, and one incomplete frame. What it may
make the host wait for has a deadline: the watchdog's pings go the same way as everything else.

Failing is one event: the socket is closed, and every waiting call raises the same ``InfrastructureError``.
"""

import itertools
import socket
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

import anyio
import anyio.abc

from terraphim_runner.model.errors import InfrastructureError
from terraphim_runner.wire import frames, messages

_RECEIVE_AT_ONCE = 256 * 1024
_SEND_TIMEOUT_S = 20.0


class Operation(Protocol):
    """What a stream of frames belongs to. Its calls come from the reader and must not block.

    Two kinds: commands and everything else, which is over with its first ``DONE`` or ``FAIL``.
    """

    def take(self, kind: int, payload: bytes) -> bool:
        """Take a frame; tell whether the operation is over. Raises ``ProtocolError`` for one that is not expected."""
        ...

    def fail(self, error: InfrastructureError) -> None:
        """The machine is gone."""
        ...


class Channel:
    """One connection. ``run`` must be running in some task group while anything else is called."""

    def __init__(self, stream: anyio.abc.ByteStream, name: str, *, expects_hello: bool) -> None:
        self._stream = stream
        self._name = name
        self._decoder = frames.Decoder(frames.TO_HOST)
        self._operations: dict[int, Operation] = {}
        self._numbers = itertools.count(1)
        self._sending = anyio.Lock()
        self._error: InfrastructureError | None = None
        self._failed = anyio.Event()
        self._hello = anyio.Event()
        self._expects_hello = expects_hello
        self._pong: anyio.Event | None = None
        self._pings = 0
        self._tasks: anyio.abc.TaskGroup | None = None
        self._diagnose: Callable[[], str] = str

    @classmethod
    async def over(cls, connection: socket.socket, name: str, *, expects_hello: bool) -> "Channel":
        """Take a connected unix socket over; ``name`` stands in errors.

        An agent that was snapshotted said its hello long ago: another one would mean that the machine started again.
        """
        stream = await anyio.abc.UNIXSocketStream.from_socket(connection)
        return cls(stream, name, expects_hello=expects_hello)

    @property
    def error(self) -> InfrastructureError | None:
        """Why the channel failed, if it did."""
        return self._error

    def explain_with(self, diagnose: Callable[[], str]) -> None:
        """Ask ``diagnose`` for what is known of the machine's end when it hangs up (a crash, a limit)."""
        self._diagnose = diagnose

    async def run(self, *, task_status: anyio.abc.TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Serve until the channel is closed or fails; never raises for what the guest does."""
        try:
            async with anyio.create_task_group() as tasks:
                self._tasks = tasks
                task_status.started()
                await self._read()
                tasks.cancel_scope.cancel()
        finally:
            self._tasks = None
            self.fail("the session was released")
            await self.close()

    async def close(self) -> None:
        """Hang up, which fails the channel. Repeatable, and also right for one that never ran."""
        self.fail("the session was released")
        with anyio.CancelScope(shield=True):
            await self._stream.aclose()

    def start(self, task: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run a coroutine function for as long as the channel lives. Raises when it is gone."""
        if self._tasks is None:
            raise self._gone()
        self._tasks.start_soon(task)

    def fail(self, reason: str) -> None:
        """Declare the machine unusable; repeatable, the first reason stays."""
        if self._error is not None:
            return
        self._error = InfrastructureError(doing=f"talk to {self._name}", reason=reason, retryable=True)
        self._failed.set()
        for operation in self._operations.values():
            operation.fail(self._error)
        self._operations.clear()
        self._hello.set()
        if self._pong is not None:
            self._pong.set()
        if self._tasks is not None:
            self._tasks.cancel_scope.cancel()

    def broken(self, error: frames.ProtocolError) -> InfrastructureError:
        """Fail the channel for an answer that is not what was agreed; return the error to raise."""
        self.fail(f"the agent broke the protocol: {error}")
        return self._gone()

    async def wait_failed(self) -> None:
        """Return when the channel failed."""
        await self._failed.wait()

    async def greet(self, timeout_s: float) -> None:
        """Return when the agent said hello. Raises when it does not in time."""
        with anyio.move_on_after(timeout_s):
            await self._hello.wait()
        if self._error is not None:
            raise self._error
        if not self._hello.is_set():
            self.fail(f"the agent did not say hello within {timeout_s:g} s")
            raise self._gone()

    async def ping(self, timeout_s: float) -> None:
        """Return when the agent answered; one that does not in time fails the channel and raises."""
        self._pings += 1
        self._pong = anyio.Event()
        with anyio.move_on_after(timeout_s) as scope:
            await self.send(frames.encode(frames.PING, 0, self._pings.to_bytes(8, "big")))
            await self._pong.wait()
        if scope.cancelled_caught:
            self.fail(f"the agent did not answer within {timeout_s:g} s")
        if self._error is not None:
            raise self._error

    async def watch(self, interval_s: float, timeout_s: float) -> None:
        """Ping for ever, until the agent fails to answer in time."""
        while self._error is None:
            await anyio.sleep(interval_s)
            try:
                await self.ping(timeout_s)
            except InfrastructureError:
                return

    def open(self, operation: Operation) -> int:
        """Register an operation under a new stream number. Raises when the channel is gone."""
        if self._error is not None:
            raise self._error
        number = next(self._numbers)
        self._operations[number] = operation
        return number

    def forget(self, stream: int) -> None:
        """Drop an operation that the guest was never told of."""
        self._operations.pop(stream, None)

    async def send(self, data: bytes) -> None:
        """Send whole frames. Raises ``InfrastructureError`` when the channel is gone.

        A cancelled call could leave a part of a frame behind, after which nothing else would be understood. So it is
        finished, and a guest that does not take it within a deadline has failed.
        """
        async with self._sending:
            if self._error is None:
                try:
                    with anyio.move_on_after(_SEND_TIMEOUT_S, shield=True) as scope:
                        await self._stream.send(data)
                    if scope.cancelled_caught:
                        self.fail(f"the agent did not take a message within {_SEND_TIMEOUT_S:g} s")
                except (OSError, anyio.BrokenResourceError, anyio.ClosedResourceError) as error:
                    self._hang_up(error)
        if self._error is not None:
            raise self._error

    async def _read(self) -> None:
        while True:
            try:
                data = await self._stream.receive(_RECEIVE_AT_ONCE)
            except (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError, OSError) as error:
                self._hang_up(error)
                return
            try:
                for kind, stream, payload in self._decoder.feed(data):
                    self._dispatch(kind, stream, payload)
            except frames.ProtocolError as error:
                self.broken(error)
                return

    def _hang_up(self, error: Exception) -> None:
        known = self._diagnose() or ("the agent hung up" if isinstance(error, anyio.EndOfStream) else f"{error}")
        self.fail(known or type(error).__name__)

    def _dispatch(self, kind: int, stream: int, payload: bytes) -> None:
        if stream == 0:
            self._take_own(kind, payload)
            return
        operation = self._operations.get(stream)
        if operation is None:
            raise frames.ProtocolError(f"found a frame of kind {kind} for the operation {stream}, which is not open")
        if operation.take(kind, payload):
            self._operations.pop(stream, None)

    def _take_own(self, kind: int, payload: bytes) -> None:
        if kind == frames.HELLO and self._expects_hello:
            messages.check_hello(payload)
            self._expects_hello = False
            self._hello.set()
        elif kind == frames.PONG and self._pong is not None and not self._pong.is_set():
            if payload != self._pings.to_bytes(8, "big"):
                raise frames.ProtocolError("found an answer to another ping")
            self._pong.set()
        else:
            raise frames.ProtocolError(f"found an unexpected frame of kind {kind} on the connection itself")

    def _gone(self) -> InfrastructureError:
        return self._error or InfrastructureError(doing=f"talk to {self._name}", reason="the session is not open")


class Request:
    """Any operation but a command: content in one direction at most, then one reply."""

    def __init__(self, channel: Channel, max_bytes: int = 0) -> None:
        self._channel = channel
        self._ended = anyio.Event()
        self._progress = anyio.Event()
        self._error: InfrastructureError | None = None
        self._outgoing = frames.Window()
        self._incoming = frames.Window()
        self._consumed = 0
        self._room = max_bytes
        self._content: deque[bytes] = deque()
        self.failure: tuple[int, str] | None = None
        self.reply = b""
        self.stream = channel.open(self)

    def take(self, kind: int, payload: bytes) -> bool:
        if kind == frames.CREDIT:
            self._outgoing.extend(messages.decode_number(payload))
        elif kind == frames.DATA:
            self._incoming.spend(len(payload))
            self._room -= len(payload)
            if self._room < 0:
                raise frames.ProtocolError("found more content of a file than was asked for")
            self._content.append(payload)
        elif kind == frames.DONE:
            self.reply = payload
            self._ended.set()
        elif kind == frames.FAIL:
            self.failure = messages.decode_fail(payload)
            self._ended.set()
        else:
            raise frames.ProtocolError(f"found a frame of kind {kind} in answer to a request")
        self._wake()
        return self._ended.is_set()

    def fail(self, error: InfrastructureError) -> None:
        self._error = error
        self._ended.set()
        self._wake()

    @property
    def is_over(self) -> bool:
        return self._ended.is_set()

    async def ended(self) -> None:
        """Return when the reply is there: in ``reply`` or ``failure``."""
        await self._ended.wait()
        if self._error is not None:
            raise self._error

    async def send_content(self, data: bytes | memoryview, before: bytes = b"") -> None:
        """Send content under the guest's credit, ``before`` in one go with its first piece.

        Returns early when the operation is over before its content is: it failed.
        """
        view = memoryview(data)
        while view or before:
            allowed = min(len(view), self._outgoing.left)
            if view and not allowed and not before:
                await self._wait_progress(lambda: self._outgoing.left > 0)
                if self.is_over:
                    return
                continue
            if allowed:
                self._outgoing.spend(allowed)
            pieces = frames.encode_chunks(frames.DATA, self.stream, view[:allowed])
            await self._channel.send(b"".join((before, *pieces)))
            before = b""
            view = view[allowed:]

    async def receive_content(self) -> bytes:
        """Return all content, once the reply is there."""
        content = bytearray()
        while True:
            await self._wait_progress(lambda: bool(self._content))
            while self._content:
                piece = self._content.popleft()
                content += piece
                self._consumed += len(piece)
            if self.is_over:
                await self.ended()
                return bytes(content)
            if self._consumed >= frames.WINDOW // 4:
                self._incoming.extend(self._consumed)
                credit = messages.encode_number(self._consumed)
                self._consumed = 0
                await self._channel.send(frames.encode(frames.CREDIT, self.stream, credit))

    async def abandon(self) -> None:
        """Tell the guest to give up; its late reply is then taken and dropped."""
        if not self.is_over:
            self._room = frames.WINDOW
            await self._channel.send(frames.encode(frames.CLOSE, self.stream))

    async def _wait_progress(self, ready: Callable[[], bool]) -> None:
        while not ready() and not self.is_over:
            await self._progress.wait()
            self._progress = anyio.Event()
        if self._error is not None:
            raise self._error

    def _wake(self) -> None:
        self._progress.set()
