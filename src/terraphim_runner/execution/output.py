"""A step's output: bytes become masked lines, and workflow commands among them take effect.

Works line by line with bounded memory, whatever the guest sends. Masks come first: no line, annotation or property
leaves here before they were applied.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from terraphim_runner.execution.commands import WorkflowCommand, is_resume, parse_command
from terraphim_runner.execution.environment_files import FORBIDDEN_IN_ENV
from terraphim_runner.execution.masks import Masks
from terraphim_runner.execution.request import JobLimits
from terraphim_runner.model.job import Annotation, AnnotationLevel, LogKind, LogLine
from terraphim_runner.model.secret import MASK
from terraphim_runner.ports import Clock, Stream

_HOLD_FACTOR = 16
"""How many limits of an endless line are held back while a secret may still be complete only later."""

_MAX_MESSAGE = 4096
"""Characters of an annotation's message: GitHub's limit. The log has all of it."""

_MAX_WATCHED = 1024 * 1024
"""Characters of a step's output that problem matchers see."""

_STOP = "stop-commands"
"""Shown whether commands are echoed or not, like the line that ends it."""

_NO_TOKENS = frozenset({"", "pause-logging"})
"""What GitHub refuses as the token that ends ``stop-commands``, besides the names of commands."""

_NEVER_ECHOED = frozenset({"debug", "notice", "warning", "error"})
_UNSECURE = "ACTIONS_ALLOW_UNSECURE_COMMANDS"
LEVELS = {
    "notice": (AnnotationLevel.NOTICE, LogKind.NOTICE),
    "warning": (AnnotationLevel.WARNING, LogKind.WARNING),
    "error": (AnnotationLevel.FAILURE, LogKind.ERROR),
}


class LineAssembler:
    """Turns chunks of one stream into lines. A line over the limit is cut where no secret is torn."""

    def __init__(self, masks: Masks, *, limit_bytes: int) -> None:
        self._masks = masks
        self._limit = limit_bytes
        self._pending = b""

    def feed(self, data: bytes) -> list[str]:
        """Return the lines that are complete now, without their ends."""
        lines: list[str] = []
        pieces = (self._pending + data).split(b"\n")
        self._pending = pieces.pop()
        lines = [_decode(piece) for piece in pieces]
        while len(self._pending) > self._limit:
            # Bytes that are no character (yet) survive the way through text and back.
            text = self._pending.decode("utf-8", "surrogateescape")
            cut = _before_torn_character(text, self._masks.cut(text))
            if cut == 0 and len(self._pending) <= _HOLD_FACTOR * self._limit + 4 * self._masks.longest:
                break
            # Past that, the whole text is one endless overlap of secrets: it is shown as one mask.
            cut = cut or len(text)
            lines.append(_decode(text[:cut].encode("utf-8", "surrogateescape")))
            self._pending = text[cut:].encode("utf-8", "surrogateescape")
        return lines

    def finish(self) -> list[str]:
        """Return the last line if it had no end."""
        rest, self._pending = self._pending, b""
        return [_decode(rest)] if rest else []


def _before_torn_character(text: str, cut: int) -> int:
    """Move the cut in front of up to three bytes at the text's end that may be the begin of a character."""
    position = cut
    while position > max(0, len(text) - 3) and "\udc80" <= text[position - 1] <= "\udcff":
        position -= 1
    return position


def _decode(data: bytes) -> str:
    return data.removesuffix(b"\r").decode("utf-8", "replace")


@dataclass(slots=True)
class LogBudget:
    """How much a job may still log. One per job."""

    left_bytes: int
    notice_given: bool = False


@dataclass(slots=True)
class StepOutput:
    """What the workflow commands of one step asked for, besides what was logged."""

    outputs: dict[str, str] = field(default_factory=dict[str, str])
    environment: dict[str, str] = field(default_factory=dict[str, str])
    paths: list[str] = field(default_factory=list[str])
    annotations: list[Annotation] = field(default_factory=list[Annotation])
    errors: list[str] = field(default_factory=list[str])
    """Commands that fail the step although its program succeeded."""
    watched: list[list[str]] = field(default_factory=list[list[str]])
    """What problem matchers have to see, in order: a kind (``add``, ``remove``, ``remove-owner``, ``line``), a text."""
    unwatched: int = 0
    """How many lines they will not see, for there are too many."""


class OutputProcessor:
    """Processes one step's lines. Not for concurrent use: the caller feeds chunks one after another."""

    def __init__(
        self,
        *,
        step: int,
        masks: Masks,
        clock: Clock,
        limits: JobLimits,
        budget: LogBudget,
        debug: bool,
        unsecure: bool,
        workspace: str,
        matching: bool = False,
    ) -> None:
        """``matching``: problem matchers of earlier steps are on."""
        self.result = StepOutput()
        self._matching = matching
        self._watched_left = _MAX_WATCHED
        self._step = step
        self._masks = masks
        self._clock = clock
        self._limits = limits
        self._budget = budget
        self._debug = debug
        self._unsecure = unsecure
        self._workspace = workspace
        self._echo = debug
        self._stop_token: str | None = None
        self._streams = {
            stream: LineAssembler(masks, limit_bytes=limits.line_bytes) for stream in (Stream.STDOUT, Stream.STDERR)
        }
        self._counts = dict.fromkeys(AnnotationLevel, 0)
        self._handlers: dict[str, Callable[[WorkflowCommand], list[LogLine]]] = {
            "add-mask": self._add_mask,
            "add-matcher": self._add_matcher,
            "remove-matcher": self._remove_matcher,
            "add-path": self._add_path,
            "set-env": self._set_env,
            "debug": self._debug_line,
            "echo": self._set_echo,
            "group": lambda command: [self._line(LogKind.GROUP, command.data)],
            "endgroup": lambda _: [self._line(LogKind.ENDGROUP, "")],
            "notice": self._annotate,
            "warning": self._annotate,
            "error": self._annotate,
            "save-state": self._save_state,
            "set-output": self._set_output,
            _STOP: self._stop,
        }

    def feed(self, stream: Stream, data: bytes) -> list[LogLine]:
        """Return the log lines that this chunk completes."""
        return [made for line in self._streams[stream].feed(data) for made in self.process(line)]

    def finish(self) -> list[LogLine]:
        """Return what an unfinished last line of either stream makes."""
        return [made for stream in self._streams.values() for line in stream.finish() for made in self.process(line)]

    def process(self, line: str) -> list[LogLine]:
        """Return what one line of output makes: itself masked, or the effect of the command on it."""
        stopped = self._stop_token is not None
        if self._stop_token is not None and is_resume(line, self._stop_token):
            self._stop_token = None
            return self._logged([self._line(LogKind.OUTPUT, line)])
        command = None if stopped else parse_command(line)
        if command is None:
            made = self._line(LogKind.OUTPUT, line)
            self._watch(made.text)
            return self._logged([made])
        echoed = self._echo
        lines = self._handlers[command.name](command)
        if command.name == _STOP or (echoed and command.name not in _NEVER_ECHOED):
            text = line if command.name != "add-mask" else f"::add-mask::{MASK}"
            lines = [self._line(LogKind.OUTPUT, text), *lines]
        return self._logged(lines)

    def say(self, kind: LogKind, text: str) -> list[LogLine]:
        """Return the runner's own words as masked lines, within the same budget."""
        return self._logged([self._line(kind, part) for part in text.splitlines() or [""]])

    def _line(self, kind: LogKind, text: str) -> LogLine:
        return LogLine(at=self._clock.now(), step=self._step, text=self._masks.apply(text), kind=kind)

    def _logged(self, lines: list[LogLine]) -> list[LogLine]:
        kept: list[LogLine] = []
        for line in lines:
            # UTF-8 needs at most three bytes for each code unit counted here, and the record some more.
            self._budget.left_bytes -= len(line.text) + 64
            if self._budget.left_bytes >= 0:
                kept.append(line)
            elif not self._budget.notice_given:
                self._budget.notice_given = True
                text = f"the job's log reached its limit of {self._limits.log_bytes} bytes; what follows is dropped"
                kept.append(self._line(LogKind.WARNING, text))
        return kept

    def _fail(self, reason: str) -> list[LogLine]:
        self.result.errors.append(self._masks.apply(reason))
        return [self._line(LogKind.ERROR, reason)]

    def _add_mask(self, command: WorkflowCommand) -> list[LogLine]:
        if not command.data.strip():
            return [self._line(LogKind.WARNING, "can't add an empty mask: add-mask needs a value")]
        if not self._masks.add(command.data):
            return self._fail(f"found more than {self._limits.masks} masks in one job; a value could not be hidden")
        return []

    def _annotate(self, command: WorkflowCommand) -> list[LogLine]:
        level, kind = LEVELS[command.name]
        lines = [self._line(kind, part) for part in command.data.splitlines() or [""]]
        if self._counts[level] < self._limits.annotations_per_level_and_step:
            self._counts[level] += 1
            properties = dict(command.properties)
            properties["file"] = properties.get("file", "").removeprefix(f"{self._workspace}/")
            self.result.annotations.append(annotation(level, command.data, properties, self._step, self._masks))
        return lines

    def _debug_line(self, command: WorkflowCommand) -> list[LogLine]:
        return [self._line(LogKind.DEBUG, command.data)] if self._debug else []

    def _set_echo(self, command: WorkflowCommand) -> list[LogLine]:
        wanted = command.data.strip().lower()
        if wanted not in {"on", "off"}:
            return self._fail(f"found ::echo::{command.data}, expected 'on' or 'off'")
        self._echo = wanted == "on"
        return []

    def _stop(self, command: WorkflowCommand) -> list[LogLine]:
        token = command.data.strip()
        if token.lower() in _NO_TOKENS or parse_command(f"::{token}::") is not None:
            return self._fail(
                "found ::stop-commands:: with a token that is empty or a command's name; use a random one"
            )
        self._stop_token = token
        return []

    def _set_output(self, command: WorkflowCommand) -> list[LogLine]:
        name = command.property("name")
        if name is None:
            return self._fail("found ::set-output without a name, expected ::set-output name=NAME::VALUE")
        self.result.outputs[name] = command.data
        return [self._deprecated("set-output", "GITHUB_OUTPUT")]

    def _save_state(self, command: WorkflowCommand) -> list[LogLine]:
        # State is read by an action's post step; a run: step has none, on GitHub either.
        return [self._deprecated(command.name, "GITHUB_STATE")]

    def _deprecated(self, name: str, instead: str) -> LogLine:
        return self._line(LogKind.WARNING, f"the `{name}` command is deprecated; write to ${instead} instead")

    def _set_env(self, command: WorkflowCommand) -> list[LogLine]:
        name = command.property("name")
        if not self._unsecure:
            return self._disabled("set-env", "GITHUB_ENV")
        if name is None:
            return self._fail("found ::set-env without a name, expected ::set-env name=NAME::VALUE")
        if name.upper() == FORBIDDEN_IN_ENV:
            return [
                self._line(LogKind.ERROR, f"can't update {name} by ::set-env::: it would change how actions are run")
            ]
        self.result.environment[name] = command.data
        return []

    def _add_path(self, command: WorkflowCommand) -> list[LogLine]:
        if not self._unsecure:
            return self._disabled("add-path", "GITHUB_PATH")
        self.result.paths.append(command.data)
        return []

    def _disabled(self, name: str, instead: str) -> list[LogLine]:
        return self._fail(f"the `{name}` command is disabled; write to ${instead} instead, or set {_UNSECURE}")

    def _add_matcher(self, command: WorkflowCommand) -> list[LogLine]:
        if not command.data:
            return [self._line(LogKind.WARNING, "found ::add-matcher:: without a file, expected its path")]
        self._matching = True
        self.result.watched.append(["add", command.data])
        return []

    def _remove_matcher(self, command: WorkflowCommand) -> list[LogLine]:
        owner, file = command.property("owner"), command.data
        if (owner is None) == (not file):
            text = "found ::remove-matcher:: with neither or both of an owner and a file, expected one of them"
            return [self._line(LogKind.WARNING, text)]
        self._matching = True
        self.result.watched.append(["remove", file] if owner is None else ["remove-owner", owner])
        return []

    def _watch(self, text: str) -> None:
        """Keep a line for the problem matchers, if there are any."""
        if not self._matching:
            return
        self._watched_left -= len(text) + 16
        if self._watched_left < 0:
            self.result.unwatched += 1
        else:
            self.result.watched.append(["line", text])


def annotation(
    level: AnnotationLevel, message: str, properties: Mapping[str, str], step: int, masks: Masks
) -> Annotation:
    """Return an annotation, masked, with the place that its properties (``file``, ``line`` …) tell."""
    title, file = properties.get("title"), properties.get("file")
    return Annotation(
        level=level,
        message=masks.apply(message)[:_MAX_MESSAGE],
        step=step,
        title=masks.apply(title) if title else None,
        file=masks.apply(file) if file else None,
        **_place(properties),
    )


def _place(properties: Mapping[str, str]) -> dict[str, int | None]:
    """Return the lines and columns that an annotation can have: what contradicts itself is left out, as on GitHub."""
    line, end_line = _number(properties.get("line")), _number(properties.get("endline"))
    column, end_column = _number(properties.get("col")), _number(properties.get("endcolumn"))
    line, column = line or end_line, column or end_column
    if line is None or end_line not in {None, line} or (column or 0) > (end_column or column or 0):
        # Columns are those of one line.
        column = end_column = None
    if (line or 0) > (end_line or line or 0):
        line = end_line = None
    return {"line": line, "end_line": end_line or line, "column": column, "end_column": end_column}


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and text.isascii() and text.isdigit() and len(text) < 10 else None
