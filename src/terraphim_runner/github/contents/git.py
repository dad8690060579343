"""Running git on hostile repositories: no shell, prompt or hook, no configuration but ours, bounded time and output.

Settings go through ``GIT_CONFIG_COUNT`` in the child's environment, so that neither argv nor a file holds a token.
The environment is made here from nothing: what the service was started with does not reach git.
"""

import base64
import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import anyio
from anyio.abc import ByteReceiveStream, ByteSendStream, Process

from terraphim_runner.model.errors import InfrastructureError
from terraphim_runner.model.secret import MASK, Secret
from terraphim_runner.model.text import printable
from terraphim_runner.ports import CheckoutError
from terraphim_runner.processes import open_whole

MIB: Final = 1024 * 1024
MAX_STDERR_BYTES: Final = 16 * 1024

_UMASK: Final = 0o077
_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

# ``ext::`` and every other transport stay shut: a URL or a submodule must not be able to start a program.
_SETTINGS: Final = (
    ("protocol.allow", "never"),
    ("core.hooksPath", "/dev/null"),
    ("core.fsmonitor", "false"),
    ("core.logAllRefUpdates", "false"),
    ("core.askPass", ""),
    ("credential.helper", ""),
    ("gc.auto", "0"),
    ("maintenance.auto", "false"),
    ("submodule.recurse", "false"),
    ("fetch.recurseSubmodules", "false"),
    ("fetch.unpackLimit", "1"),
    ("http.followRedirects", "false"),
    ("http.lowSpeedLimit", "1000"),
    ("http.lowSpeedTime", "30"),
    ("fetch.fsckObjects", "true"),
    # Faults that old, honest histories have and that endanger nobody.
    ("fetch.fsck.zeroPaddedFilemode", "ignore"),
    ("fetch.fsck.missingSpaceBeforeDate", "ignore"),
    ("fetch.fsck.badTimezone", "ignore"),
)

# Of git's messages (in the C locale): what is trouble on the way, to be tried again, rather than an answer.
_TRANSIENT: Final = (
    "could not resolve host",
    "failed to connect",
    "connection re",
    "connection was",
    "timed out",
    "early eof",
    "rpc failed",
    "no space left on device",
    "disk quota exceeded",
    "returned error: 5",
    "returned error: 429",
    "operation too slow",
    "cannot fork",
    "cannot allocate memory",
    "out of memory",
)


class OutputTooLargeError(Exception):
    """Git printed more than the caller allows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GitExit:
    """How git ended. ``stderr`` is cut to 16 KiB and free of tokens."""

    code: int
    stdout: bytes
    stderr: str

    @property
    def last_words(self) -> str:
        """What git said, in one line that is safe to show."""
        lines = [line.strip() for line in self.stderr.splitlines() if line.strip()]
        told = "; ".join(lines[-3:]) or f"git ended with status {self.code}"
        return printable(told)[:500]


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """A token for one server. Git sends it to URLs below ``server_url`` and to no other."""

    server_url: str
    token: Secret

    def setting(self) -> tuple[str, str]:
        return (f"http.{self.server_url.rstrip('/')}/.extraHeader", f"Authorization: Basic {self._basic()}")

    def redact(self, text: str) -> str:
        return text.replace(self._basic(), MASK).replace(self.token.reveal(), MASK)

    def _basic(self) -> str:
        return base64.b64encode(f"x-access-token:{self.token.reveal()}".encode()).decode()


class Git:
    """Git with the given transports (``https``, ``file``) open and at most one credential.

    ``home`` is a person's home when their own configuration is to count (a local checkout), else None. No file
    that git writes may grow past ``max_file_bytes``.
    """

    def __init__(
        self,
        *,
        timeout_s: float,
        protocols: Sequence[str] = (),
        credential: Credential | None = None,
        home: Path | None = None,
        max_file_bytes: int | None = None,
    ) -> None:
        self._timeout_s = timeout_s
        self._credential = credential
        program = shutil.which("git") or "git"
        # A server may send a pack without an end; the deadline alone would let it fill the disk.
        limit = [] if max_file_bytes is None else ["prlimit", f"--fsize={max_file_bytes}", "--"]
        self._command = (*limit, program)
        settings = [*_SETTINGS, *((f"protocol.{name}.allow", "always") for name in protocols)]
        if credential is not None:
            settings.append(credential.setting())
        self._environment = _environment(program, settings, home)

    async def run(
        self,
        *arguments: str,
        stdin: bytes = b"",
        max_bytes: int = 16 * MIB,
        environment: Mapping[str, str] | None = None,
        output: int | None = None,
    ) -> GitExit:
        """Run git to its end and return how it ended; a non-zero status is the caller's to judge.

        ``output`` is an open file that takes what git prints, without a limit, instead of ``stdout``.

        Raises ``OutputTooLargeError`` past ``max_bytes`` and ``InfrastructureError`` past the deadline or without
        git. On any way out the whole process group is gone.
        """
        argv = [*self._command, *arguments]
        code, stdout, stderr = await run_program(
            argv,
            stdin=stdin,
            max_bytes=max_bytes,
            environment={**self._environment, **(environment or {})},
            output=output,
            timeout_s=self._timeout_s,
        )
        text = stderr.decode("utf-8", "replace")
        return GitExit(code=code, stdout=stdout, stderr=self._credential.redact(text) if self._credential else text)


def failure(doing: str, ended: GitExit) -> CheckoutError | InfrastructureError:
    """Return the exception for a git that failed: trouble on the way may be tried again, an answer is final."""
    told = ended.stderr.lower()
    if any(mark in told for mark in _TRANSIENT) or ended.code < 0:
        return InfrastructureError(doing=doing, reason=ended.last_words, retryable=True)
    return CheckoutError(f"could not {doing}: {ended.last_words}")


async def run_program(
    argv: Sequence[str],
    *,
    environment: Mapping[str, str],
    timeout_s: float,
    stdin: bytes = b"",
    max_bytes: int = MIB,
    output: int | None = None,
) -> tuple[int, bytes, bytes]:
    """Run a program to its end; return its status, its output and the first of its error output.

    Raises as ``Git.run`` does. The program leads its own process group, which is killed when it is not awaited to
    its end.
    """
    name = Path(argv[0]).name
    try:
        process = await open_whole(
            argv,
            stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
            stdout=subprocess.PIPE if output is None else output,
            env=environment,
            cwd="/",
            start_new_session=True,
            umask=_UMASK,
        )
    except FileNotFoundError:
        raise InfrastructureError(
            doing=f"run {name}", reason="it is not installed", fix=f"apt-get install {name}"
        ) from None
    try:
        with anyio.fail_after(timeout_s):
            return await _communicate(process, stdin, max_bytes)
    except TimeoutError:
        raise InfrastructureError(
            doing=f"run {name} {_subcommand(argv)}", reason=f"it took more than {timeout_s:g} s", retryable=True
        ) from None
    finally:
        await _end(process)


async def _communicate(process: Process, stdin: bytes, max_bytes: int) -> tuple[int, bytes, bytes]:
    out, err = bytearray(), bytearray()
    overflow = False
    async with anyio.create_task_group() as tasks:
        if process.stderr is not None:
            tasks.start_soon(_drain, process.stderr, err)
        if process.stdin is not None:
            tasks.start_soon(_feed, process.stdin, stdin)
        if process.stdout is not None:
            overflow = await _collect(process.stdout, out, max_bytes)
        if overflow:
            tasks.cancel_scope.cancel()
    if overflow:
        raise OutputTooLargeError(f"git printed more than {max_bytes} bytes")
    return await process.wait(), bytes(out), bytes(err)


async def _collect(stream: ByteReceiveStream, into: bytearray, max_bytes: int) -> bool:
    """Read to the end; return True, and read no further, once there is more than ``max_bytes``."""
    async for chunk in stream:
        into += chunk
        if len(into) > max_bytes:
            return True
    return False


async def _drain(stream: ByteReceiveStream, kept: bytearray) -> None:
    async for chunk in stream:
        kept += chunk[: MAX_STDERR_BYTES - len(kept)]


async def _feed(stream: ByteSendStream, data: bytes) -> None:
    # A git that refuses early closes its input; its status tells why.
    try:
        await stream.send(data)
    except (anyio.BrokenResourceError, ConnectionError):
        return
    finally:
        with anyio.CancelScope(shield=True):
            await stream.aclose()


async def _end(process: Process) -> None:
    with anyio.CancelScope(shield=True):
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        await process.aclose()


def _subcommand(argv: Sequence[str]) -> str:
    return next((part for part in argv[1:] if not part.startswith("-")), "")


def _environment(program: str, settings: Sequence[tuple[str, str]], home: Path | None) -> dict[str, str]:
    folder = os.path.dirname(program)
    environment = {
        "PATH": f"{folder}:{_PATH}" if folder else _PATH,
        "LC_ALL": "C",
        "HOME": str(home) if home else "/nonexistent",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_CONFIG_COUNT": str(len(settings)),
    }
    if home is None:
        environment |= {"GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_ATTR_NOSYSTEM": "1"}
    for index, (key, value) in enumerate(settings):
        environment |= {f"GIT_CONFIG_KEY_{index}": key, f"GIT_CONFIG_VALUE_{index}": value}
    return environment
