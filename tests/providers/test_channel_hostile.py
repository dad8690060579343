"""The channel against a guest of the attacker's: a peer on a real socket that says whatever it likes."""

import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress

import anyio
import anyio.abc
import pytest
from contract_machine import Output

from terraphim_runner.model.errors import InfrastructureError
from terraphim_runner.model.ids import SessionId
from terraphim_runner.ports import Command, Process, Stream
from terraphim_runner.providers.channel import Channel
from terraphim_runner.providers.channel_session import ChannelSession
from terraphim_runner.wire import frames, messages

pytestmark = pytest.mark.anyio

COMMAND = Command(argv=("true",), env={}, cwd="/")


class Peer:
    """Both ends: the session under test, and the guest's bytes."""

    def __init__(self, channel: Channel, stream: anyio.abc.SocketStream) -> None:
        self.channel = channel
        self.session = ChannelSession(channel, session_id=SessionId("s"), description="", home="/home/runner")
        self._stream = stream
        self._decoder = frames.Decoder(frames.TO_GUEST)
        self._received: list[tuple[int, int, bytes]] = []

    async def say(self, kind: int, stream: int, payload: bytes = b"") -> None:
        await self._stream.send(frames.encode(kind, stream, payload))

    async def raw(self, data: bytes) -> None:
        await self._stream.send(data)

    async def hear(self, kind: int) -> tuple[int, bytes]:
        """Return the stream and the payload of the next frame of a kind."""
        while True:
            while self._received:
                found = self._received.pop(0)
                if found[0] == kind:
                    return found[1], found[2]
            self._received += self._decoder.feed(await self._stream.receive())

    async def hang_up(self) -> None:
        await self._stream.aclose()


@pytest.fixture
async def peer() -> AsyncIterator[Peer]:
    ours, theirs = socket.socketpair()
    channel = await Channel.over(ours, "the peer", expects_hello=True)
    stream = await anyio.abc.SocketStream.from_socket(theirs)
    with anyio.fail_after(30):
        async with anyio.create_task_group() as tasks:
            await tasks.start(channel.run)
            yield Peer(channel, stream)
            channel.fail("the test is over")
    await stream.aclose()


async def run_against(peer: Peer, guest: Callable[[int], Awaitable[None]]) -> InfrastructureError:
    """Run a command whose guest behaves as told; return how that failed."""
    errors: list[InfrastructureError] = []

    async def host() -> None:
        try:
            async with peer.session.exec(COMMAND, Output()) as process:
                await process.wait()
        except InfrastructureError as error:
            errors.append(error)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(host)
        stream, _ = await peer.hear(frames.EXEC)
        await guest(stream)
    (error,) = errors
    return error


async def test_hello_of_another_version_fails(peer: Peer) -> None:
    await peer.say(frames.HELLO, 0, b"\0\x63")
    with pytest.raises(InfrastructureError, match="version 99"):
        await peer.channel.greet(5)


async def test_hello_that_never_comes_fails_in_time(peer: Peer) -> None:
    with pytest.raises(InfrastructureError, match="hello within"):
        await peer.channel.greet(0.05)


async def test_hello_twice_fails(peer: Peer) -> None:
    await peer.say(frames.HELLO, 0, messages.encode_hello())
    await peer.channel.greet(5)
    await peer.say(frames.HELLO, 0, messages.encode_hello())
    await peer.channel.wait_failed()
    assert "unexpected frame" in str(peer.channel.error)


async def test_ping_unanswered_fails_in_time(peer: Peer) -> None:
    with pytest.raises(InfrastructureError, match=r"did not answer within 0\.05 s"):
        await peer.channel.ping(0.05)


async def test_ping_answered_by_another_number_fails(peer: Peer) -> None:
    async with anyio.create_task_group() as tasks:

        async def guest() -> None:
            await peer.hear(frames.PING)
            await peer.say(frames.PONG, 0, b"\0" * 8)

        tasks.start_soon(guest)
        with pytest.raises(InfrastructureError, match="another ping"):
            await peer.channel.ping(5)


async def test_pong_unasked_fails(peer: Peer) -> None:
    await peer.say(frames.PONG, 0, b"\0" * 8)
    await peer.channel.wait_failed()


async def test_nonsense_fails_every_call_from_then_on(peer: Peer) -> None:
    await peer.raw(b"GET / HTTP/1.1\r\n\r\n")
    await peer.channel.wait_failed()
    with pytest.raises(InfrastructureError, match="broke the protocol"):
        await peer.session.stats()
    with pytest.raises(InfrastructureError, match="broke the protocol"):
        await peer.session.read_file("/x", max_bytes=1)


async def test_exec_guest_hangs_up_is_told(peer: Peer) -> None:
    async def guest(_stream: int) -> None:
        await peer.hang_up()

    assert "hung up" in str(await run_against(peer, guest))


async def test_exec_guest_floods_beyond_the_credit_fails(peer: Peer) -> None:
    async def guest(stream: int) -> None:
        await peer.say(frames.DONE, stream)
        with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
            while True:
                await peer.say(frames.OUT, stream, b"x" * frames.MAX_DATA)

    class Stuck(Output):
        async def __call__(self, stream: Stream, data: bytes) -> None:
            await anyio.sleep_forever()

    errors: list[InfrastructureError] = []

    async def host() -> None:
        try:
            async with peer.session.exec(COMMAND, Stuck()) as process:
                await process.wait()
        except InfrastructureError as error:
            errors.append(error)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(host)
        stream, _ = await peer.hear(frames.EXEC)
        await guest(stream)
    assert "content" in str(errors[0])


@pytest.mark.parametrize(
    ("kind", "payload"),
    [
        pytest.param(frames.OUT, b"", id="empty-output"),
        pytest.param(frames.EXIT, b"\0\0\0\x01\x00", id="exit-code-256"),
        pytest.param(frames.EXIT, b"\x02\0\0\0\x00", id="exit-of-no-kind"),
        pytest.param(frames.EXIT, b"", id="exit-empty"),
        pytest.param(frames.DONE, b"", id="started-twice"),
        pytest.param(frames.FAIL, b"\x03no", id="refused-after-start"),
        pytest.param(frames.DATA, b"x", id="file-content"),
        pytest.param(frames.CREDIT, b"\0\0\0\x01", id="credit-for-nothing"),
        pytest.param(frames.CREDIT, b"\xff\xff\xff\xff", id="credit-without-end"),
    ],
)
async def test_exec_unexpected_frame_fails(peer: Peer, kind: int, payload: bytes) -> None:
    async def guest(stream: int) -> None:
        await peer.say(frames.DONE, stream)
        await peer.say(kind, stream, payload)

    assert "broke the protocol" in str(await run_against(peer, guest))


@pytest.mark.parametrize("kind", [frames.OUT, frames.EXIT, frames.CREDIT])
async def test_exec_frame_before_the_start_fails(peer: Peer, kind: int) -> None:
    async def guest(stream: int) -> None:
        await peer.say(kind, stream, b"\0\0\0\0\0"[: 4 if kind == frames.CREDIT else 5])

    assert "broke the protocol" in str(await run_against(peer, guest))


async def test_frame_for_an_operation_that_is_over_fails(peer: Peer) -> None:
    async def guest(stream: int) -> None:
        await peer.say(frames.DONE, stream)
        await peer.say(frames.OUT, stream + 1, b"x")

    assert "not open" in str(await run_against(peer, guest))


async def test_read_file_more_than_asked_for_fails(peer: Peer) -> None:
    async with anyio.create_task_group() as tasks:

        async def guest() -> None:
            stream, _ = await peer.hear(frames.READ)
            await peer.say(frames.DATA, stream, b"x" * 11)

        tasks.start_soon(guest)
        with pytest.raises(InfrastructureError, match="more content"):
            await peer.session.read_file("/x", max_bytes=10)


async def test_read_file_reason_of_the_guests_is_printable(peer: Peer) -> None:
    async with anyio.create_task_group() as tasks:

        async def guest() -> None:
            stream, _ = await peer.hear(frames.READ)
            await peer.say(frames.FAIL, stream, messages.encode_fail(messages.REFUSED, "\x1b]0;owned\x07"))

        tasks.start_soon(guest)
        with pytest.raises(Exception, match=r"\?]0;owned\?"):
            await peer.session.read_file("/x", max_bytes=10)


async def test_exec_many_small_pieces_are_merged_while_the_sink_is_busy(peer: Peer) -> None:
    gate = anyio.Event()
    pieces: list[bytes] = []

    async def sink(_stream: Stream, data: bytes) -> None:
        pieces.append(data)
        await gate.wait()

    async def host() -> None:
        async with peer.session.exec(COMMAND, sink) as process:
            await process.wait()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(host)
        stream, _ = await peer.hear(frames.EXEC)
        await peer.say(frames.DONE, stream)
        await peer.raw(frames.encode(frames.OUT, stream, b"x") * 20_000)
        await peer.say(frames.EXIT, stream, messages.encode_exit(0))
        async with anyio.create_task_group() as pinging:
            # Its answer is read after all of the output was.
            pinging.start_soon(peer.channel.ping, 10)
            _, payload = await peer.hear(frames.PING)
            await peer.say(frames.PONG, 0, payload)
        gate.set()
    assert b"".join(pieces) == b"x" * 20_000
    assert len(pieces) < 20


async def test_exec_left_while_the_guest_is_silent_ends_in_failure_not_in_waiting(
    peer: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("terraphim_runner.providers.channel_process._KILL_TIMEOUT_S", 0.1)

    async def host(started: anyio.Event) -> None:
        process: Process
        async with peer.session.exec(COMMAND, Output()) as process:
            started.set()
            assert process is not None

    started = anyio.Event()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(host, started)
        stream, _ = await peer.hear(frames.EXEC)
        await peer.say(frames.DONE, stream)
        assert (await peer.hear(frames.CLOSE))[0] == stream
    assert "could not be killed" in str(peer.channel.error)
