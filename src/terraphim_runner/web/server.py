"""uvicorn, as a part of our own structure: it does not catch signals, and its socket is ours."""

import contextlib
import errno
import socket
from collections.abc import Generator
from typing import Final

import uvicorn
from fastapi import FastAPI

from terraphim_runner.model.errors import UsageError

MAX_CONNECTIONS: Final = 256
KEEP_ALIVE_S: Final = 15
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


class Server(uvicorn.Server):
    """Serves until ``should_exit`` is set."""

    def __init__(self, application: FastAPI) -> None:
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
                http="h11",
                ws="none",
            )
        )

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        """Leave signals to the composition root."""
        yield
