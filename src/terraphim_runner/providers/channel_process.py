"""A command that runs in a machine, as the host sees it."""

import signal
from collections import deque
from enum import Enum, auto

import anyio

from terraphim_runner.model.errors import InfrastructureError
from terraphim_runner.ports import Command, CommandStartError, Exit, OutputSink, Stream
from terraphim_runner.providers.channel import Channel
from terraphim_runner.wire import frames, messages

_CREDIT_AT = frames.WINDOW // 4
_MERGE_BELOW = 4096
_KILL_TIMEOUT_S = 10.0


class _Phase(Enum):
    STARTING = auto()
    RUNNING = auto()
    ENDED = auto()


class RemoteProcess:
    """Implements ``ports.Process``, and hands the output to its sink from a task of the channel's."""

    def __init__(self, channel: Channel, output: OutputSink) -> None:
        self._channel = channel
        self._output = output
        self._phase: _Phase = _Phase.STARTING
        self._answered = anyio.Event()
        self._ended = anyio.Event()
        self._delivered = anyio.Event()
        self._changed = anyio.Event()
        self._refusal = ""
        self._status = 0
        self._error: Exception | None = None
        self._chunks: deque[tuple[Stream, bytearray]] = deque()
        self._incoming = frames.Window()
        self._outgoing = frames.Window()
        self._consumed = 0
        self._is_closed = False
        self._delivery = anyio.CancelScope()
        self._is_delivering = False
        self._is_known_to_guest = False
        self.stream = channel.open(self)

    # -- ports.Process

    async def wait(self) -> Exit:
        await self._delivered.wait()
        if self._error is not None:
            raise self._error
        return Exit(signal=-self._status) if self._status < 0 else Exit(code=self._status)

    async def signal(self, number: int) -> None:
        if not 1 <= number < signal.NSIG:
            raise ValueError(f"found the signal {number}, expected 1 to {signal.NSIG - 1}")
        if self._phase is not _Phase.ENDED:
            await self._channel.send(frames.encode(frames.SIGNAL, self.stream, bytes([number])))

    # -- for the session

    async def start(self, command: Command) -> None:
        """Start it. Raises ``CommandStartError``, or ``InfrastructureError`` when the machine is gone."""
        payload = _encode(command)
        await self._channel.send(frames.encode(frames.EXEC, self.stream, payload))
        # A send that is cancelled did not begin; one that began is finished.
        self._is_known_to_guest = True
        await self._answered.wait()
        if self._error is not None:
            raise self._error
        if self._refusal:
            raise CommandStartError(self._refusal)
        self._channel.start(self._deliver)
        self._is_delivering = True
        if command.stdin:
            self._channel.start(lambda: self._feed(command.stdin))

    async def close(self) -> None:
        """Kill the group unless the command ended, and drop its output; the sink is not called any more.

        A guest that does not confirm it within a deadline is broken: the channel fails.
        """
        self._is_closed = True
        self._chunks.clear()
        self._wake()
        self._delivery.cancel()
        if self._is_delivering:
            with anyio.CancelScope(shield=True):
                await self._delivered.wait()
        if self._phase is _Phase.ENDED or self._channel.error is not None:
            return
        if not self._is_known_to_guest:
            self._channel.forget(self.stream)
            return
        with anyio.CancelScope(shield=True):
            with anyio.move_on_after(_KILL_TIMEOUT_S) as scope:
                try:
                    await self._channel.send(frames.encode(frames.CLOSE, self.stream))
                except InfrastructureError:
                    return
                await self._ended.wait()
            if scope.cancelled_caught:
                self._channel.fail(f"a command could not be killed within {_KILL_TIMEOUT_S:g} s")

    # -- from the channel

    def take(self, kind: int, payload: bytes) -> bool:
        if kind in (frames.OUT, frames.ERR) and self._phase is _Phase.RUNNING:
            self._incoming.spend(len(payload))
            if not self._is_closed:
                self._append(Stream.STDOUT if kind == frames.OUT else Stream.STDERR, payload)
        elif kind == frames.EXIT and self._phase is _Phase.RUNNING:
            self._status = messages.decode_exit(payload)
            self._end()
        elif kind == frames.CREDIT and self._phase is _Phase.RUNNING:
            self._outgoing.extend(messages.decode_number(payload))
        elif kind == frames.DONE and self._phase is _Phase.STARTING:
            self._phase = _Phase.RUNNING
            self._answered.set()
        elif kind == frames.FAIL and self._phase is _Phase.STARTING:
            self._refusal = messages.decode_fail(payload)[1] or "it was refused without a reason"
            self._end()
        else:
            raise frames.ProtocolError(f"found a frame of kind {kind} for a command that is {self._phase.name.lower()}")
        self._wake()
        return self._ended.is_set()

    def fail(self, error: InfrastructureError) -> None:
        self._error = self._error or error
        self._chunks.clear()
        self._end()
        self._delivered.set()
        self._wake()

    def _end(self) -> None:
        self._phase = _Phase.ENDED
        self._answered.set()
        self._ended.set()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()

    def _append(self, stream: Stream, payload: bytes) -> None:
        # Small pieces are merged, so that what they cost here stays in proportion to the credit.
        if self._chunks and self._chunks[-1][0] is stream and len(self._chunks[-1][1]) < _MERGE_BELOW:
            self._chunks[-1][1].extend(payload)
        else:
            self._chunks.append((stream, bytearray(payload)))

    # -- tasks

    async def _deliver(self) -> None:
        try:
            with self._delivery:
                while self._chunks or self._phase is not _Phase.ENDED:
                    if not self._chunks:
                        await self._changed.wait()
                        continue
                    stream, chunk = self._chunks.popleft()
                    await self._output(stream, bytes(chunk))
                    await self._give_credit(len(chunk))
        except Exception as error:  # noqa: BLE001 - the sink's own trouble: raised again by wait()
            self._error = self._error or error
        finally:
            self._delivered.set()

    async def _give_credit(self, count: int) -> None:
        self._consumed += count
        if self._consumed >= _CREDIT_AT and self._phase is _Phase.RUNNING and not self._is_closed:
            self._incoming.extend(self._consumed)
            credit = messages.encode_number(self._consumed)
            self._consumed = 0
            await self._channel.send(frames.encode(frames.CREDIT, self.stream, credit))

    async def _feed(self, content: bytes) -> None:
        view = memoryview(content)
        try:
            while view and self._phase is _Phase.RUNNING and not self._is_closed:
                allowed = min(len(view), self._outgoing.left)
                if not allowed:
                    await self._changed.wait()
                    continue
                self._outgoing.spend(allowed)
                pieces = frames.encode_chunks(frames.STDIN, self.stream, view[:allowed])
                await self._channel.send(b"".join(pieces))
                view = view[allowed:]
            if self._phase is _Phase.RUNNING:
                await self._channel.send(frames.encode(frames.STDIN, self.stream))
        except InfrastructureError:
            # The channel failed: wait() says so.
            return


def _encode(command: Command) -> bytes:
    form = messages.Exec(
        list(command.argv), dict(command.env), command.cwd, command.user, has_stdin=bool(command.stdin)
    )
    try:
        payload = messages.encode_exec(form)
    except ValueError as error:
        raise CommandStartError(str(error)) from error
    if len(payload) > frames.MAX_EXEC:
        raise CommandStartError(f"the command and its environment are {len(payload)} bytes long: too long for Linux")
    return payload
