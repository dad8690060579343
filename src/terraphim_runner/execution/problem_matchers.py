"""Problem matchers (``::add-matcher::``): what a step printed becomes annotations once it has ended.

The expressions are the repository's, so they are applied inside the machine, under a deadline. The lines that match
stay in the log as they are; only masked text goes to the matchers, and what comes back is masked again.
"""

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Final, cast

import anyio

from terraphim_runner.execution.frame import JobFrame
from terraphim_runner.execution.output import LEVELS, StepOutput, annotation
from terraphim_runner.model.job import Annotation, LogKind
from terraphim_runner.ports import Command, CommandStartError, Exit, RefusedError, Stream

_ANSWER_LIMIT_BYTES: Final = 4 * 1024 * 1024
_SIGKILL: Final = 9


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answer:
    """What the program in the machine said; nothing in it is to be trusted."""

    matchers: list[Any]
    issues: list[Any]
    problems: list[Any]


async def matched(frame: JobFrame, number: int, said: StepOutput) -> list[Annotation]:
    """Return the annotations that the job's matchers find in what a step printed, within the limit of each level.

    Matchers that the step added or removed are in ``frame.state`` afterwards. Trouble with them is a warning in the
    log and never fails the step. Raises ``InfrastructureError``.
    """
    if not said.watched:
        return []
    answer = await _ask(frame, said)
    if isinstance(answer, str):
        frame.state.matchers = []
        await frame.say(number, LogKind.WARNING, f"the problem matchers were not applied, and are off now: {answer}")
        return []
    frame.state.matchers = answer.matchers
    for problem in answer.problems[:10]:
        await frame.say(number, LogKind.WARNING, str(problem)[:1000])
    if said.unwatched:
        text = f"the problem matchers did not see the last {said.unwatched} lines: there are too many"
        await frame.say(number, LogKind.WARNING, text)
    return list(_annotations(frame, number, said, answer.issues))


def _annotations(frame: JobFrame, number: int, said: StepOutput, issues: list[Any]) -> list[Annotation]:
    found: list[Annotation] = []
    limit = frame.request.limits.annotations_per_level_and_step
    for issue in issues:
        texts = {name: value for name, value in _members(issue).items() if isinstance(value, str)}
        if texts.get("severity") not in LEVELS or "message" not in texts:
            continue
        level, _ = LEVELS[texts["severity"]]
        if sum(item.level is level for item in (*said.annotations, *found)) >= limit:
            continue
        properties = {"file": texts.get("file", ""), "line": texts.get("line", ""), "col": texts.get("column", "")}
        found.append(annotation(level, texts["message"], properties, number, frame.masks))
    return found


async def _ask(frame: JobFrame, said: StepOutput) -> _Answer | str:
    """Return what the program in the machine answers, or why it does not."""
    deadline_s = frame.request.limits.problem_matchers_s
    told = {"matchers": frame.state.matchers, "events": said.watched}
    command = Command(
        argv=("python3", "-I", "-S", "-c", _program()),
        env=frame.contexts.default_environment(),
        cwd=frame.layout.workspace,
        stdin=json.dumps(told).encode("utf-8", "replace"),
    )
    written: dict[Stream, bytearray] = {stream: bytearray() for stream in Stream}

    async def collect(stream: Stream, data: bytes) -> None:
        written[stream] += data[: _ANSWER_LIMIT_BYTES - len(written[stream])]

    try:
        async with frame.session.exec(command, collect) as process:
            ended: Exit | None = None
            with anyio.move_on_after(deadline_s):
                ended = await process.wait()
            if ended is None:
                await process.signal(_SIGKILL)
                return f"they took more than {deadline_s:g} s"
    except (CommandStartError, RefusedError) as error:
        return str(error)
    if not ended.ok:
        return written[Stream.STDERR].decode("utf-8", "replace").strip()[-500:] or f"exit status {ended.status}"
    return _read(bytes(written[Stream.STDOUT]))


def _read(text: bytes) -> _Answer | str:
    try:
        answer: Any = json.loads(text)
    except (ValueError, RecursionError):
        return "found an answer that is no JSON"
    members = _members(answer)
    lists: list[Any] = [members.get(name) for name in ("matchers", "issues", "problems")]
    if not all(isinstance(item, list) for item in lists):
        return "found an answer without lists of matchers, issues and problems"
    matchers, issues, problems = lists
    return _Answer(matchers=matchers, issues=issues, problems=problems)


def _members(value: Any) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


@cache
def _program() -> str:
    return (files("terraphim_runner.guest") / "problem_matchers.py").read_text("utf-8")
