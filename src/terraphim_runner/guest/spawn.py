"""Starting a program, the quickest way that emulation allows: ``posix_spawn``, which neither forks nor copies."""

from __future__ import annotations

import os
import signal
from functools import cache

from terraphim_runner.guest.accounts import Account, acting_as

_DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@cache
def _ignored() -> list[int]:
    """What the agent ignores, or was started with, must not be ignored by the programs that it starts.

    Resetting every signal instead would cost a system call each.
    """
    return [number for number in signal.valid_signals() if signal.getsignal(number) is signal.SIG_IGN]


class StartError(Exception):
    """The program cannot be started; the text says why."""


class Started:
    """A program that runs, and the agent's ends of its pipes. ``stdin`` is -1 when it has none."""

    __slots__ = ("err", "out", "pid", "stdin")

    def __init__(self, *, pid: int, stdin: int, out: int, err: int) -> None:
        self.pid = pid
        self.stdin = stdin
        self.out = out
        self.err = err


def start(argv: list[str], env: dict[str, str], cwd: str, account: Account, *, has_stdin: bool) -> Started:
    """Start a program in a session and process group of its own, with exactly this environment.

    The agent's working directory is moved for the moment: it has a single thread, and posix_spawn cannot do it.
    Raises ``StartError``.
    """
    out, out_child = os.pipe()
    err, err_child = os.pipe()
    stdin_child, stdin = os.pipe() if has_stdin else (os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC), -1)
    try:
        with acting_as(account):
            _enter(cwd)
            try:
                pid = _spawn(argv, env, (stdin_child, out_child, err_child))
            finally:
                os.chdir("/")
    except StartError:
        for fd in (out, err, stdin):
            if fd >= 0:
                os.close(fd)
        raise
    finally:
        for fd in (stdin_child, out_child, err_child):
            os.close(fd)
    for fd in (out, err, stdin):
        if fd >= 0:
            os.set_blocking(fd, False)
    return Started(pid=pid, stdin=stdin, out=out, err=err)


def _enter(cwd: str) -> None:
    try:
        os.chdir(cwd)
    except FileNotFoundError:
        raise StartError(f"the working directory {cwd!r} does not exist") from None
    except OSError as error:
        raise StartError(f"the working directory {cwd!r} cannot be entered: {error.strerror}") from error


def _spawn(argv: list[str], env: dict[str, str], stdio: tuple[int, int, int]) -> int:
    program = _find(argv[0], env.get("PATH", _DEFAULT_PATH))
    actions = [(os.POSIX_SPAWN_DUP2, fd, number) for number, fd in enumerate(stdio)]
    try:
        return os.posix_spawn(
            program, argv, env, file_actions=actions, setsid=True, setsigmask=[], setsigdef=_ignored()
        )
    except OSError as error:
        raise StartError(f"the program {argv[0]!r} cannot be started: {error.strerror}") from error


def _find(name: str, path: str) -> str:
    if "/" in name:
        return name
    for directory in path.split(":"):
        candidate = f"{directory or '.'}/{name}"
        if os.access(candidate, os.X_OK, effective_ids=True) and os.path.isfile(candidate):
            return candidate
    raise StartError(f"there is no program {name!r} in PATH ({path})")
