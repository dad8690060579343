"""Reading a request's body within bounds of size, time and memory."""

from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from typing import Final

import anyio
from starlette.requests import ClientDisconnect, Request

DEADLINE_S: Final = 30.0
MAX_BUFFERED_BYTES: Final = 128 * 1024 * 1024
MAX_DRAINED_BYTES: Final = 64 * 1024 * 1024


class BodyTooLargeError(Exception):
    """The body is larger than the limit."""


class BodyTimeoutError(Exception):
    """The body did not come within the deadline, or its sender left."""


class BufferFullError(Exception):
    """Too many bytes of other requests are being held: to be tried again later."""


class BodyReader:
    """Reads bodies; all that are held at the same time share one bound on memory."""

    def __init__(
        self, *, limit_bytes: int, deadline_s: float = DEADLINE_S, max_buffered_bytes: int = MAX_BUFFERED_BYTES
    ) -> None:
        self._limit_bytes = limit_bytes
        self._deadline_s = deadline_s
        self._max_buffered_bytes = max(max_buffered_bytes, limit_bytes)
        self._buffered_bytes = 0

    @property
    def limit_bytes(self) -> int:
        return self._limit_bytes

    @asynccontextmanager
    async def held(self, request: Request) -> AsyncGenerator[bytes]:
        """Give the body, which counts against the bound on memory until the context is left.

        Entering raises what this module defines; a body that is too large is swallowed first: a client that is still
        sending when it is answered would see a broken connection instead of the answer.
        """
        with self._booking() as book:
            try:
                with anyio.fail_after(self._deadline_s):
                    body = await self._read(request, book)
            except (TimeoutError, ClientDisconnect):
                raise BodyTimeoutError(f"the body did not arrive within {self._deadline_s:g} s") from None
            yield body

    async def _read(self, request: Request, book: "_Booking") -> bytes:
        too_large = f"the body is larger than {self._limit_bytes} bytes"
        declared = request.headers.get("content-length", "")
        is_too_large = declared.isdecimal() and int(declared[:20]) > self._limit_bytes
        body = bytearray()
        size_bytes = 0
        async for chunk in request.stream():
            size_bytes += len(chunk)
            if size_bytes > self._limit_bytes:
                is_too_large = True
            if is_too_large:
                body.clear()
                if size_bytes > MAX_DRAINED_BYTES:
                    break
                continue
            book.add(len(chunk))
            body += chunk
        if is_too_large:
            raise BodyTooLargeError(too_large)
        return bytes(body)

    @contextmanager
    def _booking(self) -> Generator["_Booking"]:
        book = _Booking(self)
        try:
            yield book
        finally:
            self._buffered_bytes -= book.booked_bytes

    def book(self, size_bytes: int) -> None:
        """Count bytes that are being held. Raises ``BufferFullError`` where they would be too many."""
        if self._buffered_bytes + size_bytes > self._max_buffered_bytes:
            raise BufferFullError("too many requests are being received at once: try again later")
        self._buffered_bytes += size_bytes


class _Booking:
    def __init__(self, reader: BodyReader) -> None:
        self._reader = reader
        self.booked_bytes = 0

    def add(self, size_bytes: int) -> None:
        self._reader.book(size_bytes)
        self.booked_bytes += size_bytes
