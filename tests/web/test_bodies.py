from collections.abc import Iterator
from typing import Any

import anyio
import pytest
from starlette.requests import Request

from terraphim_runner.web.bodies import BodyReader, BodyTimeoutError, BodyTooLargeError, BufferFullError

pytestmark = pytest.mark.anyio


def _request(chunks: Iterator[bytes], then: anyio.Event | None = None, **headers: str) -> Request:
    async def receive() -> dict[str, Any]:
        for chunk in chunks:
            return {"type": "http.request", "body": chunk, "more_body": True}
        if then is not None:
            await then.wait()
        return {"type": "http.request", "body": b"", "more_body": False}

    pairs = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return Request({"type": "http", "method": "POST", "headers": pairs}, receive)


async def _read(reader: BodyReader, request: Request) -> bytes:
    async with reader.held(request) as body:
        return body


async def test_body_within_the_limit_is_read_whole() -> None:
    assert await _read(BodyReader(limit_bytes=6), _request(iter([b"abc", b"def"]))) == b"abcdef"


async def test_body_over_the_limit_is_refused_and_its_memory_given_back() -> None:
    reader = BodyReader(limit_bytes=6, max_buffered_bytes=6)
    for _ in range(3):
        with pytest.raises(BodyTooLargeError):
            await _read(reader, _request(iter([b"abc", b"defg"])))
    assert await _read(reader, _request(iter([b"abcdef"]))) == b"abcdef"


async def test_body_declared_too_large_is_refused_before_it_is_kept() -> None:
    with pytest.raises(BodyTooLargeError):
        await _read(BodyReader(limit_bytes=6), _request(iter([b"a"]), content_length="7"))


async def test_body_that_does_not_end_is_given_up_after_the_deadline() -> None:
    with pytest.raises(BodyTimeoutError):
        await _read(BodyReader(limit_bytes=6, deadline_s=0.05), _request(iter([b"a"]), anyio.Event()))


async def test_bodies_at_once_share_one_bound_on_memory() -> None:
    reader = BodyReader(limit_bytes=6, max_buffered_bytes=8)
    first_is_held, go_on = anyio.Event(), anyio.Event()

    def held() -> Iterator[bytes]:
        yield b"abcdef"
        first_is_held.set()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_read, reader, _request(held(), go_on))
        await first_is_held.wait()
        with pytest.raises(BufferFullError):
            await _read(reader, _request(iter([b"abc"])))
        assert await _read(reader, _request(iter([b"ab"]))) == b"ab"
        go_on.set()
    assert await _read(reader, _request(iter([b"abc"]))) == b"abc"


async def test_body_counts_for_as_long_as_it_is_held() -> None:
    reader = BodyReader(limit_bytes=6, max_buffered_bytes=8)
    async with reader.held(_request(iter([b"abcdef"]))):
        with pytest.raises(BufferFullError):
            await _read(reader, _request(iter([b"abc"])))
    assert await _read(reader, _request(iter([b"abc"]))) == b"abc"
