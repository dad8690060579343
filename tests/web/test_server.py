"""The server below the application: connections that say nothing."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import anyio.abc
import pytest

from terraphim_runner.web.application import build_application
from terraphim_runner.web.server import Connection, Server, listen

pytestmark = pytest.mark.anyio

DEADLINE_S = 20.0


class Impatient(Connection):
    deadline_s = 0.3


@asynccontextmanager
async def serving() -> AsyncIterator[int]:
    listener = listen("127.0.0.1", 0)
    server = Server(build_application(), Impatient)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(server.serve, [listener])
        yield listener.getsockname()[1]
        server.should_exit = True


async def _until_closed(stream: anyio.abc.SocketStream) -> bytes:
    received = b""
    with anyio.fail_after(DEADLINE_S):
        try:
            while True:
                received += await stream.receive()
        except (anyio.EndOfStream, anyio.BrokenResourceError):
            return received


@pytest.mark.parametrize("start", [b"", b"GET /health HTTP/1.1\r\nHost: x\r\n"])
async def test_connection_without_whole_headers_is_closed_after_the_deadline(start: bytes) -> None:
    async with serving() as port, await anyio.connect_tcp("127.0.0.1", port) as stream:
        if start:
            await stream.send(start)
        assert await _until_closed(stream) == b""


async def test_second_request_without_whole_headers_is_closed_after_the_deadline() -> None:
    async with serving() as port, await anyio.connect_tcp("127.0.0.1", port) as stream:
        await stream.send(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await stream.receive()).startswith(b"HTTP/1.1 200")
        await stream.send(b"GET /health")
        assert b"healthy" not in (await _until_closed(stream)).partition(b"}")[2]


async def test_connection_whose_requests_are_whole_is_kept_past_the_deadline() -> None:
    async with serving() as port, await anyio.connect_tcp("127.0.0.1", port) as stream:
        with anyio.fail_after(DEADLINE_S):
            for _ in range(3):
                await stream.send(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
                received = b""
                while not received.endswith(b"}"):
                    received += await stream.receive()
                # Longer than the deadline: what is being waited for is that nothing happens.
                with anyio.move_on_after(2 * Impatient.deadline_s) as waiting:
                    await stream.receive()
                assert waiting.cancelled_caught
