"""``hashFiles()`` for a job: computed inside the machine, where the files are.

Expressions are evaluated without I/O. An evaluation that meets an unknown digest stops with ``DigestNeeded``; the
digest is computed by a program in the machine, and the expression is evaluated again. What was computed is kept for
that evaluation only, for files change between steps.
"""

import json
from collections.abc import Callable
from functools import cache
from importlib.resources import files
from typing import TypeVar

from terraphim_runner.execution.contexts import Function
from terraphim_runner.execution.frame import JobFrame
from terraphim_runner.expressions import EvaluationError, Value, to_string
from terraphim_runner.ports import Command, Stream

Result = TypeVar("Result")

_OUTPUT_LIMIT_BYTES = 64 * 1024
_MAX_DIGESTS = 32
"""How many different calls one evaluation may make."""


class DigestNeeded(Exception):  # noqa: N818 - not an error: the evaluation is repeated once the digest is known
    """An expression needs the digest of these patterns."""

    def __init__(self, patterns: tuple[str, ...]) -> None:
        super().__init__(patterns)
        self.patterns = patterns


async def with_digests(frame: JobFrame, evaluate: Callable[[Function], Result]) -> Result:
    """Return what ``evaluate`` returns, given a working ``hashFiles`` function.

    ``evaluate`` may be called several times and must have no effects. Raises ``EvaluationError``.
    """
    known: dict[tuple[str, ...], str] = {}

    def look_up(arguments: list[Value]) -> Value:
        patterns = tuple(to_string(argument) for argument in arguments)
        if patterns not in known:
            raise DigestNeeded(patterns)
        return known[patterns]

    while True:
        try:
            return evaluate(look_up)
        except DigestNeeded as needed:
            if len(known) >= _MAX_DIGESTS:
                raise EvaluationError(f"found more than {_MAX_DIGESTS} different calls of hashFiles()") from None
            known[needed.patterns] = await _digest(frame, needed.patterns)


@cache
def _program() -> str:
    return (files("terraphim_runner.guest") / "hash_files.py").read_text("utf-8")


async def _digest(frame: JobFrame, patterns: tuple[str, ...]) -> str:
    written: dict[Stream, bytearray] = {stream: bytearray() for stream in Stream}

    async def collect(stream: Stream, data: bytes) -> None:
        written[stream] += data[: _OUTPUT_LIMIT_BYTES - len(written[stream])]

    command = Command(
        argv=("python3", "-I", "-S", "-c", _program()),
        env=frame.contexts.default_environment(),
        cwd=frame.layout.workspace,
        stdin=json.dumps(patterns).encode(),
    )
    async with frame.session.exec(command, collect) as process:
        ended = await process.wait()
    if not ended.ok:
        reason = written[Stream.STDERR].decode("utf-8", "replace").strip()[-500:]
        raise EvaluationError(f"hashFiles({', '.join(map(repr, patterns))}) failed: {reason or ended}")
    return written[Stream.STDOUT].decode("ascii", "replace").strip()
