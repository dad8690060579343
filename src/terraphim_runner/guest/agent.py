"""The agent: takes frames from the host, runs what they ask for, and answers."""

from __future__ import annotations

import os
import select
from collections.abc import Callable

from terraphim_runner.guest import tar
from terraphim_runner.guest.accounts import Accounts
from terraphim_runner.guest.commands import CommandRun
from terraphim_runner.guest.files import FileRead, FileWrite, Taken
from terraphim_runner.guest.loop import Loop
from terraphim_runner.guest.port import Port
from terraphim_runner.guest.resume import resume
from terraphim_runner.guest.spawn import StartError, start
from terraphim_runner.guest.unpack import Unpack
from terraphim_runner.wire import frames, messages

_PORT_EVENTS = select.EPOLLIN | select.EPOLLOUT | select.EPOLLET


class Agent:
    """Serves one channel until its host's end is gone for good.

    ``measure`` returns CPU milliseconds and memory bytes. A frame that breaks the protocol raises ``ProtocolError``:
    the host is trusted, so that is a defect, and the machine had better stop.
    """

    def __init__(self, port: Port, accounts: Accounts, measure: Callable[[], tuple[int, int]]) -> None:
        self._port = port
        self._accounts = accounts
        self._measure = measure
        self._loop = Loop(self._child_ended)
        self._loop.watch(port.fd, _PORT_EVENTS, self._port_ready)
        self._runs: dict[int, CommandRun] = {}
        self._by_pid: dict[int, CommandRun] = {}
        self._receiving: dict[int, FileWrite | Unpack] = {}
        self._reading: dict[int, FileRead] = {}
        self._more = True

    def serve(self) -> None:
        """Say hello, then serve."""
        self._port.send(frames.HELLO, 0, messages.encode_hello())
        while not self._port.is_closed:
            if self._more:
                arrived, self._more = self._port.receive()
                for kind, stream, payload in arrived:
                    self._take(kind, stream, payload)
            was_full = self._port.is_full
            self._port.flush()
            if was_full and not self._port.is_full:
                self._proceed()
                self._port.flush()
            self._loop.run_once(block=not self._more and not self._port.is_closed)
            if not self._port.is_full:
                self._port.flush()

    def _port_ready(self, _events: int) -> None:
        self._more = True

    def _proceed(self) -> None:
        for run in list(self._runs.values()):
            run.proceed()
        for stream in list(self._reading):
            self._read_on(stream)

    def _take(self, kind: int, stream: int, payload: bytes) -> None:
        """Do what a frame asks for. Frames for operations that are over are late, not wrong: the two sides crossed."""
        if kind == frames.STDIN:
            if stream in self._runs:
                self._runs[stream].stdin(payload)
        elif kind == frames.DATA:
            self._receive(stream, payload)
        elif kind == frames.CREDIT:
            self._credit(stream, messages.decode_number(payload))
        elif kind == frames.PING:
            self._port.send(frames.PONG, stream, payload)
        elif kind == frames.SIGNAL:
            if stream in self._runs and payload:
                self._runs[stream].signal(payload[0])
        elif kind == frames.CLOSE:
            self._close(stream)
        elif kind == frames.EXEC:
            self._exec(stream, messages.decode_exec(payload))
        else:
            self._guarded(stream, lambda: self._begin(kind, stream, payload))

    def _begin(self, kind: int, stream: int, payload: bytes) -> None:
        if kind == frames.WRITE:
            path, owner, mode, size = messages.decode_write(payload)
            taken = Taken(self._port, stream)
            self._receiving[stream] = write = FileWrite(path, self._accounts.find(owner), mode, size, taken)
            if write.is_complete:
                self._done(stream)
        elif kind == frames.UNPACK:
            destination, owner = messages.decode_unpack(payload)
            self._receiving[stream] = Unpack(destination, self._accounts.find(owner), Taken(self._port, stream))
        elif kind == frames.READ:
            path, max_bytes = messages.decode_read(payload)
            self._reading[stream] = FileRead(stream, path, max_bytes, self._port)
            self._read_on(stream)
        elif kind == frames.RESUME:
            resume(messages.decode_resume(payload))
            self._done(stream)
        elif kind == frames.STATS:
            self._done(stream, messages.encode_stats(*self._measure()))
        elif kind == frames.SYNC:
            os.sync()
            self._done(stream)

    def _guarded(self, stream: int, action: Callable[[], None]) -> None:
        """Turn what goes wrong with one operation into its ``FAIL``."""
        try:
            action()
        except (FileNotFoundError, NotADirectoryError) as error:
            self._fail(stream, messages.NOT_FOUND, _reason(error))
        except OSError as error:
            self._fail(stream, messages.REFUSED, _reason(error))
        except (tar.TarError, LookupError) as error:
            self._fail(stream, messages.REFUSED, str(error))

    def _exec(self, stream: int, command: messages.Exec) -> None:
        try:
            account = self._accounts.find(command.user)
            started = start(command.argv, command.env, command.cwd, account, has_stdin=command.has_stdin)
        except (StartError, LookupError) as error:
            self._fail(stream, messages.REFUSED, str(error))
            return
        except OSError as error:
            self._fail(stream, messages.REFUSED, _reason(error))
            return
        run = CommandRun(stream, started, self._port, self._loop, self._finished)
        self._runs[stream] = self._by_pid[started.pid] = run
        self._done_keeping(stream)

    def _receive(self, stream: int, payload: bytes) -> None:
        operation = self._receiving.get(stream)
        if operation is not None:
            self._guarded(stream, lambda: self._done(stream) if operation.data(payload) else None)

    def _credit(self, stream: int, count: int) -> None:
        if stream in self._runs:
            self._runs[stream].credit(count)
        elif stream in self._reading:
            self._reading[stream].credit(count)
            self._read_on(stream)

    def _read_on(self, stream: int) -> None:
        reading = self._reading[stream]

        def proceed() -> None:
            if not reading.proceed():
                return
            if reading.is_too_large:
                self._fail(stream, messages.TOO_LARGE, "the file is larger than allowed")
            else:
                self._done(stream)

        self._guarded(stream, proceed)

    def _close(self, stream: int) -> None:
        if stream in self._runs:
            self._runs[stream].close()
        elif stream in self._receiving or stream in self._reading:
            self._fail(stream, messages.ABORTED, "given up by the host")

    def _child_ended(self, pid: int, status: int) -> None:
        # Most children of a first process are orphans that nobody waits for.
        run = self._by_pid.pop(pid, None)
        if run is not None:
            run.exited(status)

    def _finished(self, stream: int) -> None:
        del self._runs[stream]

    def _done_keeping(self, stream: int) -> None:
        self._port.send(frames.DONE, stream)

    def _done(self, stream: int, payload: bytes = b"") -> None:
        self._forget(stream)
        self._port.send(frames.DONE, stream, payload)

    def _fail(self, stream: int, code: int, reason: str) -> None:
        self._forget(stream)
        self._port.send(frames.FAIL, stream, messages.encode_fail(code, reason))

    def _forget(self, stream: int) -> None:
        receiving = self._receiving.pop(stream, None)
        if receiving is not None:
            receiving.close()
        reading = self._reading.pop(stream, None)
        if reading is not None:
            reading.close()


def _reason(error: OSError) -> str:
    text = error.strerror or str(error)
    return f"{error.filename!r}: {text}" if error.filename else text
