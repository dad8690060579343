"""QEMU's monitor protocol: commands and events as JSON lines over a socket pair.

Our own few lines instead of ``qemu.qmp``: a clone has 250 ms in all, and these commands can be sent in one write, with
file descriptors beside them.
"""

import json
import socket
from collections.abc import Awaitable, Callable, Sequence
from types import TracebackType
from typing import Any

import anyio
import anyio.abc

from terraphim_runner.model.errors import InfrastructureError

_MAX_LINE = 1 << 20


class Qmp:
    """One monitor connection, used by one task at a time. Every call has a deadline and raises when QEMU is gone."""

    def __init__(self, stream: anyio.abc.UNIXSocketStream, name: str) -> None:
        self._stream = stream
        self._name = name
        self._buffer = bytearray()
        self._searched = 0
        self._events: list[dict[str, Any]] = []
        self._next_id = 0

    @classmethod
    async def over(cls, connection: socket.socket, name: str) -> "Qmp":
        """Take a connected socket over; ``name`` stands in errors."""
        return cls(await anyio.abc.UNIXSocketStream.from_socket(connection), name)

    async def negotiate(self, *capabilities: str, timeout_s: float) -> None:
        """Leave the negotiation mode, and switch migration capabilities on, in one round trip."""
        wanted = [{"capability": name, "state": True} for name in capabilities]
        await self.execute_all(
            [("qmp_capabilities", {}), ("migrate-set-capabilities", {"capabilities": wanted})], timeout_s=timeout_s
        )

    async def execute(self, command: str, arguments: dict[str, Any] | None = None, *, timeout_s: float = 10.0) -> Any:
        """Run one command and return what it returns."""
        return (await self.execute_all([(command, arguments or {})], timeout_s=timeout_s))[0]

    async def execute_all(self, commands: Sequence[tuple[str, dict[str, Any]]], *, timeout_s: float) -> list[Any]:
        """Send several commands at once; return what they return. The first that fails raises."""
        first = self._next_id
        lines: list[bytes] = []
        for command, arguments in commands:
            lines.append(json.dumps({"execute": command, "arguments": arguments, "id": self._next_id}).encode())
            self._next_id += 1
        results: list[Any] = []
        with self._deadline(commands[0][0], timeout_s):
            await self._told(self._stream.send(b"\n".join(lines) + b"\n"))
            for number, (command, _) in enumerate(commands, first):
                reply = await self._read(lambda message, number=number: message.get("id") == number)
                if "error" in reply:
                    raise self._trouble(command, str(reply["error"].get("desc"))[:500])
                results.append(reply.get("return"))
        return results

    async def hand_over(self, name: str, fd: int, *, timeout_s: float = 10.0) -> None:
        """Give QEMU a descriptor under a name, which ``fd:<name>`` then stands for."""
        number = self._next_id
        self._next_id += 1
        line = json.dumps({"execute": "getfd", "arguments": {"fdname": name}, "id": number}).encode()
        with self._deadline("getfd", timeout_s):
            await self._told(self._stream.send_fds(line + b"\n", [fd]))
            reply = await self._read(lambda message: message.get("id") == number)
        if "error" in reply:
            raise self._trouble("getfd", str(reply["error"].get("desc"))[:500])

    async def migration_completed(self, timeout_s: float) -> None:
        """Return when a migration is complete (the capability ``events`` must be on); raises when it failed."""
        with self._deadline("migrate", timeout_s):
            while True:
                event = await self._next_event("MIGRATION")
                status = event["data"]["status"]
                if status == "completed":
                    return
                if status in ("failed", "cancelled"):
                    raise self._trouble("migrate", f"the migration {status}")

    async def close(self) -> None:
        """Hang up. Repeatable."""
        with anyio.CancelScope(shield=True):
            await self._stream.aclose()

    async def _told(self, sending: Awaitable[None]) -> None:
        try:
            await sending
        except (anyio.BrokenResourceError, anyio.ClosedResourceError, OSError) as error:
            raise self._trouble("send", "QEMU ended") from error

    async def _next_event(self, name: str) -> dict[str, Any]:
        for index, event in enumerate(self._events):
            if event["event"] == name:
                return self._events.pop(index)
        return await self._read(lambda message: message.get("event") == name)

    async def _read(self, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        while True:
            message = json.loads(await self._line())
            if wanted(message):
                return message
            if "event" in message:
                self._events.append(message)
                del self._events[:-64]

    async def _line(self) -> bytes:
        while (end := self._buffer.find(b"\n", self._searched)) < 0:
            self._searched = len(self._buffer)
            if self._searched > _MAX_LINE:
                raise self._trouble("read", f"found a line of more than {_MAX_LINE} bytes")
            try:
                self._buffer += await self._stream.receive(65536)
            except (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError, OSError) as error:
                raise self._trouble("read", "QEMU ended") from error
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        self._searched = 0
        return line

    def _deadline(self, command: str, timeout_s: float) -> "_Deadline":
        return _Deadline(timeout_s, self._trouble(command, f"no answer within {timeout_s:g} s"))

    def _trouble(self, command: str, reason: str) -> InfrastructureError:
        return InfrastructureError(doing=f"control {self._name} ({command})", reason=reason, retryable=True)


class _Deadline:
    """A cancel scope that raises our own error when it ends a wait."""

    def __init__(self, timeout_s: float, error: InfrastructureError) -> None:
        self._scope = anyio.move_on_after(timeout_s)
        self._error = error

    def __enter__(self) -> None:
        self._scope.__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        handled = self._scope.__exit__(kind, error, trace)
        if self._scope.cancelled_caught:
            raise self._error
        return handled
