"""uvicorn, as a part of our own structure: no signals, our socket, a deadline for headers."""

import asyncio
import contextlib
import errno
import socket
from collections.abc import Generator
from typing import ClassVar, Final

import h11
import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.h11_impl import H11Protocol

from terraphim_runner.model.errors import UsageError

MAX_CONNECTIONS: Final = 256
KEEP_ALIVE_S: Final = 15
HEADERS_DEADLINE_S: Final = 10.0
SHUTDOWN_S: Final = 5


def listen(host: str, port: int) -> socket.socket:
    """Open the listening socket; port 0 takes a free one. Raises ``UsageError`` that says why it cannot be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # Accepted connections inherit it; asyncio sets it only on sockets that it opened itself, and without it every
        # second reply on a connection waits 40 ms for an acknowledgement.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        listener.bind((host, port))
        listener.listen(256)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise UsageError(f"port {port} of {host} is in use: stop what listens there, or set PORT") from None
        if error.errno == errno.EACCES:
            raise UsageError(f"port {port} needs privileges: set PORT to one above 1023") from None
        raise UsageError(f"HOST {host!r} cannot be listened on: {error.strerror or error}") from None
    listener.setblocking(False)
    return listener


class Connection(H11Protocol):
    """A connection that is closed unless a request's headers are there within a deadline.

    uvicorn waits for ever: whoever opened ``MAX_CONNECTIONS`` of them and said nothing would shut everybody else out.
    """

    deadline_s: ClassVar[float] = HEADERS_DEADLINE_S
    _headers_due: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:
        super().connection_made(transport)
        self._watch_headers()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._watch_headers()

    def connection_lost(self, exc: Exception | None) -> None:
        self._forget_headers()
        super().connection_lost(exc)

    def _watch_headers(self) -> None:
        # Not put off by each further byte: it is the whole that is due.
        if self.conn.their_state is not h11.IDLE:
            self._forget_headers()
        elif self._headers_due is None:
            self._headers_due = self.loop.call_later(self.deadline_s, self.transport.close)

    def _forget_headers(self) -> None:
        if self._headers_due is not None:
            self._headers_due.cancel()
            self._headers_due = None


class Server(uvicorn.Server):
    """Serves until ``should_exit`` is set."""

    def __init__(self, application: FastAPI, connection: type[Connection] = Connection) -> None:
        super().__init__(
            uvicorn.Config(
                application,
                log_config=None,
                access_log=False,
                lifespan="off",
                server_header=False,
                proxy_headers=False,
                limit_concurrency=MAX_CONNECTIONS,
                timeout_keep_alive=KEEP_ALIVE_S,
                timeout_graceful_shutdown=SHUTDOWN_S,
                http=connection,
                ws="none",
            )
        )

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        """Leave signals to the composition root."""
        yield
