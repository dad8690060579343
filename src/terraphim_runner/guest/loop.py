"""The one epoll loop: file descriptors, child processes, deadlines."""

from __future__ import annotations

import os
import select
import signal
import time
from collections.abc import Callable


class Loop:
    """Calls back when a descriptor is ready, a child ended, or a time has come. Never blocks in between."""

    def __init__(self, child_ended: Callable[[int, int], None]) -> None:
        self._epoll = select.epoll()
        self._callbacks: dict[int, Callable[[int], None]] = {}
        self._timers: dict[int, tuple[float, Callable[[], None]]] = {}
        self._child_ended = child_ended
        wakeup, self._wakeup_write = os.pipe()
        for fd in (wakeup, self._wakeup_write):
            os.set_blocking(fd, False)
        signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
        signal.set_wakeup_fd(self._wakeup_write, warn_on_full_buffer=False)
        self._wakeup = wakeup
        self.watch(wakeup, select.EPOLLIN, self._reap)

    def watch(self, fd: int, events: int, callback: Callable[[int], None]) -> None:
        """Call back with the events that are ready."""
        self._callbacks[fd] = callback
        self._epoll.register(fd, events)

    def unwatch(self, fd: int) -> None:
        """Stop calling back; to be done before the descriptor is closed. Repeatable."""
        if self._callbacks.pop(fd, None) is not None:
            self._epoll.unregister(fd)

    def call_after(self, key: int, delay_s: float, callback: Callable[[], None]) -> None:
        """Call back once after a delay, unless ``cancel_call(key)`` comes first."""
        self._timers[key] = (time.monotonic() + delay_s, callback)

    def cancel_call(self, key: int) -> None:
        self._timers.pop(key, None)

    def run_once(self, *, block: bool = True) -> None:
        """Wait until something is ready (or only look, if ``block`` is False), and make the calls."""
        timeout_s = -1.0
        if not block:
            timeout_s = 0.0
        elif self._timers:
            timeout_s = max(0.0, min(at for at, _ in self._timers.values()) - time.monotonic())
        for fd, events in self._epoll.poll(timeout_s):
            callback = self._callbacks.get(fd)
            if callback is not None:
                callback(events)
        if self._timers:
            now = time.monotonic()
            for key in [key for key, (at, _) in self._timers.items() if at <= now]:
                _, call = self._timers.pop(key)
                call()

    def _reap(self, _events: int) -> None:
        try:
            os.read(self._wakeup, 4096)
        except BlockingIOError:
            return
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            self._child_ended(pid, os.waitstatus_to_exitcode(status))
