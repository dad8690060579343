"""A child process of the host's, watched by its pidfd.

Spawned in the calling thread, which must be the event loop's: a parent-death signal is tied to the thread that forked.
"""

import os
import subprocess
from collections.abc import Mapping, Sequence

import anyio

from terraphim_runner.model.errors import InfrastructureError


class Child:
    """One process. Whoever starts it must ``kill`` or ``wait`` for it."""

    def __init__(self, popen: "subprocess.Popen[bytes]", name: str) -> None:
        self._popen = popen
        self._name = name
        self._pidfd = os.pidfd_open(popen.pid)

    @classmethod
    def spawn(
        cls, argv: Sequence[str], *, name: str, env: Mapping[str, str], pass_fds: Sequence[int] = (), log: int
    ) -> "Child":
        """Start a program in a session of its own; ``log`` takes its output. Raises ``InfrastructureError``."""
        try:
            popen = subprocess.Popen(
                argv,
                env=dict(env),
                pass_fds=pass_fds,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                # SIGXFSZ stays ignored: a full overlay is then an error in the guest, not the end of its machine.
                restore_signals=False,
                cwd="/",
            )
        except OSError as error:
            raise InfrastructureError(doing=f"start {name}", reason=f"{argv[0]}: {error.strerror}") from error
        return cls(popen, name)

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def returncode(self) -> int | None:
        """The exit code, or the negative signal number; None while it runs."""
        return self._popen.poll()

    async def wait(self) -> int:
        """Return the exit code, or the negative signal number. Not to be called twice at a time."""
        while (code := self._popen.poll()) is None:
            await anyio.wait_readable(self._pidfd)
        return code

    async def kill(self, timeout_s: float = 5.0) -> None:
        """Kill it and wait until the kernel has buried it; repeatable. Raises when even that takes too long."""
        if self._pidfd < 0:
            return
        with anyio.move_on_after(timeout_s, shield=True) as scope:
            self._popen.kill()
            await self.wait()
        if scope.cancelled_caught:
            raise InfrastructureError(doing=f"kill {self._name}", reason=f"it did not die within {timeout_s:g} s")
        os.close(self._pidfd)
        self._pidfd = -1
