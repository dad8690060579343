"""The agent without a VM: a child process of the host, with no wall around it.

Everything that its commands start ends with it, as far as one process can see to that: it adopts orphans, and when
the host's end of the channel is gone, it kills every descendant before it leaves.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time

from terraphim_runner.guest import stats
from terraphim_runner.guest.accounts import Accounts
from terraphim_runner.guest.agent import Agent
from terraphim_runner.guest.port import Port

_PR_SET_CHILD_SUBREAPER = 36
_KILL_DEADLINE_S = 5.0


def main() -> None:
    """Serve the socket whose descriptor is the first argument."""
    fd = int(sys.argv[1])
    os.set_inheritable(fd, False)
    os.umask(0o022)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # A Ctrl-C is the host's to answer; it closes the channel when it is done.
        signal.signal(number, signal.SIG_IGN)
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")
    try:
        Agent(Port(fd, is_socket=True), Accounts(may_switch=False), stats.of_descendants).serve()
    finally:
        kill_descendants()


def kill_descendants() -> None:
    """Kill until there is none left; what is out of reach (another user's) is given up after a deadline."""
    deadline = time.monotonic() + _KILL_DEADLINE_S
    while time.monotonic() < deadline:
        for pid in stats.descendants():
            try:
                os.kill(pid, signal.SIGKILL)
            except (ProcessLookupError, PermissionError):
                continue
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return
        time.sleep(0.001)
