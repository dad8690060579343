"""A machine with an agent in it, as a ``ports.Session``; every provider hands these out."""

import os
import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager

import anyio

from terraphim_runner.model.ids import SessionId
from terraphim_runner.ports import (
    Command,
    FileTooLargeError,
    GuestFile,
    OutputSink,
    Process,
    RefusedError,
    SessionStats,
)
from terraphim_runner.providers.channel import Channel, Request
from terraphim_runner.providers.channel_process import RemoteProcess
from terraphim_runner.wire import frames, messages

_ABANDON_TIMEOUT_S = 5.0
_ENTROPY_BYTES = 64


class ChannelSession:
    """Implements ``ports.Session`` over one channel."""

    def __init__(self, channel: Channel, *, session_id: SessionId, description: str, home: str) -> None:
        self._channel = channel
        self._id = session_id
        self._description = description
        self._home = home

    @property
    def id(self) -> SessionId:
        return self._id

    @property
    def description(self) -> str:
        return self._description

    @property
    def home(self) -> str:
        return self._home

    @asynccontextmanager
    async def exec(self, command: Command, output: OutputSink) -> AsyncGenerator[Process]:
        process = RemoteProcess(self._channel, output)
        try:
            await process.start(command)
            yield process
        finally:
            await process.close()

    async def write_files(self, files: Sequence[GuestFile]) -> None:
        """Send them all, then wait for the answers: a round trip each would be most of the time."""
        requests: list[Request] = []
        try:
            for file in files:
                request = Request(self._channel)
                requests.append(request)
                form = messages.encode_write(file.path, file.owner, file.mode, len(file.content))
                await request.send_content(file.content, before=frames.encode(frames.WRITE, request.stream, form))
            for request, file in zip(requests, files, strict=True):
                await request.ended()
                _check(request, f"write {file.path!r}")
        finally:
            await _abandon(requests)

    async def read_file(self, path: str, *, max_bytes: int) -> bytes | None:
        request = Request(self._channel, max_bytes)
        try:
            form = messages.encode_read(path, max_bytes)
            await self._channel.send(frames.encode(frames.READ, request.stream, form))
            content = await request.receive_content()
        finally:
            await _abandon([request])
        if request.failure is not None and request.failure[0] == messages.NOT_FOUND:
            return None
        if request.failure is not None and request.failure[0] == messages.TOO_LARGE:
            raise FileTooLargeError(f"the file {path!r} is larger than {max_bytes} bytes")
        _check(request, f"read {path!r}")
        return content

    async def unpack(self, destination: str, archive: AsyncIterator[bytes], *, owner: str = "runner") -> None:
        request = Request(self._channel)
        try:
            form = messages.encode_unpack(destination, owner)
            await self._channel.send(frames.encode(frames.UNPACK, request.stream, form))
            async for piece in archive:
                if request.is_over:
                    break
                await request.send_content(piece)
            await self._channel.send(frames.encode(frames.DATA, request.stream))
            await request.ended()
        finally:
            await _abandon([request])
        _check(request, f"unpack an archive into {destination!r}")

    async def stats(self) -> SessionStats:
        try:
            cpu_ms, memory_bytes = messages.decode_stats(await self._ask(frames.STATS))
        except frames.ProtocolError as error:
            raise self._channel.broken(error) from error
        return SessionStats(cpu_s=cpu_ms / 1000, memory_bytes=memory_bytes)

    async def sync(self) -> None:
        """Return when the machine wrote its dirty pages to its disk."""
        await self._ask(frames.SYNC)

    async def resume(self, hostname: str) -> None:
        """Give a copied machine its own randomness, time and name: before its first command, or it has a twin."""
        entropy = os.urandom(_ENTROPY_BYTES)
        duties = messages.Resume(
            time_ns=time.time_ns(), entropy=entropy, hostname=hostname, machine_id=os.urandom(16).hex()
        )
        await self._ask(frames.RESUME, messages.encode_resume(duties))

    async def _ask(self, kind: int, payload: bytes = b"") -> bytes:
        request = Request(self._channel)
        try:
            await self._channel.send(frames.encode(kind, request.stream, payload))
            await request.ended()
        finally:
            await _abandon([request])
        _check(request, "serve the machine")
        return request.reply


def _check(request: Request, doing: str) -> None:
    if request.failure is not None:
        raise RefusedError(f"could not {doing}: {request.failure[1]}")


async def _abandon(requests: Iterable[Request]) -> None:
    with anyio.CancelScope(shield=True), anyio.move_on_after(_ABANDON_TIMEOUT_S):
        for request in requests:
            await request.abandon()
