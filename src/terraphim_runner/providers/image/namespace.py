"""Runs the build's programs as root of a namespace of their own, whoever the user is.

The root user gets private mount and PID namespaces; an ordinary user a user namespace on top, in which root is the
user and the other ids come from ``/etc/subuid``. Killing the outermost process ends everything inside, and the mounts
go with it: cancelling a build, or losing the builder, leaves nothing running and nothing mounted.

Needs ``unshare`` and ``setpriv`` of util-linux 2.38 or later (Debian 12, Ubuntu 24.04).
"""

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import anyio
from anyio.abc import Process
from anyio.streams.text import TextReceiveStream

from terraphim_runner.model.errors import InfrastructureError
from terraphim_runner.model.text import printable
from terraphim_runner.processes import open_whole
from terraphim_runner.providers.image.progress import LineSink

_CLEANUP_DEADLINE_S = 60
_KEPT_LINES = 12
_LINE_CHARACTERS = 300
"""Lines that a failure shows, and the most that any of them may be long."""

SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""``mke2fs`` and ``chroot`` are in sbin, which an ordinary user's PATH lacks."""


def namespace_prefix(uid: int) -> list[str]:
    """Return the words to put before a command. Only the user namespace differs between root and others."""
    # Entering a user namespace clears the parent-death signal, therefore setpriv comes after it.
    user = [] if uid == 0 else ["unshare", "--map-auto", "--map-root-user", "--"]
    return [
        *user,
        *("setpriv", "--pdeathsig", "KILL", "--"),
        *("unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--"),
    ]


async def run_as_root(
    command: Sequence[str], *, doing: str, environ: Mapping[str, str], on_line: LineSink, lock: int, deadline_s: float
) -> None:
    """Run a command as root of its own namespaces and give each line of its output to ``on_line``.

    ``lock`` is a descriptor that every process of the command inherits. Raises ``InfrastructureError`` with the last
    lines when the command fails or takes longer than ``deadline_s``. On cancellation everything is killed first.
    """
    kept: list[str] = []

    def take(text: str) -> None:
        # Package scripts write what they like: terminal controls must not reach the reader's terminal.
        shown = printable(text[:_LINE_CHARACTERS], instead=" ").strip()
        if shown:
            kept.append(shown)
            del kept[:-_KEPT_LINES]
            on_line(shown)

    process = await open_whole(
        [*namespace_prefix(os.getuid()), *command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=environ,
        cwd="/",
        pass_fds=(lock,),
        start_new_session=True,
    )
    try:
        with anyio.fail_after(deadline_s):
            await _read_lines(process, take)
            status = await process.wait()
    except TimeoutError as error:
        reason = _reason(f"it took more than {deadline_s:.0f} s", kept)
        raise InfrastructureError(doing=doing, reason=reason, retryable=True) from error
    finally:
        with anyio.CancelScope(shield=True), anyio.move_on_after(_CLEANUP_DEADLINE_S):
            if process.returncode is None:
                process.kill()
            await process.aclose()
    if status != 0:
        raise InfrastructureError(doing=doing, reason=_reason(f"exit status {status}", kept), retryable=True)


async def _read_lines(process: Process, take: LineSink) -> None:
    if process.stdout is None:
        raise AssertionError("the process was started with a pipe")
    pending = ""
    async for chunk in TextReceiveStream(process.stdout, errors="replace"):
        *lines, pending = (pending + chunk).split("\n")
        for line in lines:
            take(line)
        pending = pending[-_LINE_CHARACTERS * 4 :]
    take(pending)


def _reason(summary: str, lines: Sequence[str]) -> str:
    return summary if not lines else summary + "; its last lines were:\n  " + "\n  ".join(lines)


def remove_tree(path: Path) -> None:
    """Remove a build's directory with files of any owner of the namespace. Blocking, bounded in time."""
    shutil.rmtree(path, ignore_errors=True)
    if not path.exists():
        return
    command = [*namespace_prefix(os.getuid()), "rm", "-rf", "--one-file-system", "--", str(path)]
    try:
        result = subprocess.run(
            command,
            check=False,
            capture_output=True,
            env={"PATH": SYSTEM_PATH, "LC_ALL": "C.UTF-8"},
            timeout=_CLEANUP_DEADLINE_S,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise InfrastructureError(doing=f"remove {path}", reason=str(error)) from error
    if result.returncode != 0:
        reason = result.stderr.decode(errors="replace").strip()[-_LINE_CHARACTERS:]
        raise InfrastructureError(doing=f"remove {path}", reason=reason)
