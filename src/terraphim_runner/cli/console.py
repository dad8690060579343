"""A run as a person watches it: one line per line of output, with elapsed time and job."""

import json
import re
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TextIO

from terraphim_runner.model.ids import JobKey
from terraphim_runner.model.job import Annotation, JobResult, LogKind, LogLine, StepResult
from terraphim_runner.model.source import Diagnostic
from terraphim_runner.model.states import Conclusion
from terraphim_runner.planning.graph import PlannedLeg
from terraphim_runner.ports import JobReporter

MARKS = {
    Conclusion.SUCCESS: "✓",
    Conclusion.FAILURE: "✗",
    Conclusion.CANCELLED: "⊘",
    Conclusion.SKIPPED: "-",
    Conclusion.TIMED_OUT: "✗",
    Conclusion.STARTUP_FAILURE: "✗",
}
_PREFIXES = {
    LogKind.GROUP: "▸ ",
    LogKind.NOTICE: "notice: ",
    LogKind.WARNING: "warning: ",
    LogKind.ERROR: "error: ",
    LogKind.DEBUG: "debug: ",
}
_COLOR = re.compile(r"\x1b\[[0-9;]{0,32}m")
_ESCAPE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|.)?")


def printable(text: str) -> str:
    """Return the text without what could steer the reader's terminal: escape sequences and control characters."""
    plain = _ESCAPE.sub("", _COLOR.sub("", text)) if "\x1b" in text else text
    if plain.isprintable():
        return plain
    return "".join(char if char.isprintable() or char == "\t" else "�" for char in plain)


@dataclass(slots=True)
class LegRecord:
    """What a watched leg came to, for the closing table."""

    leg: PlannedLeg
    result: JobResult | None = None


@dataclass(slots=True)
class RunRecord:
    """What a watched run came to."""

    legs: list[LegRecord] = field(default_factory=list[LegRecord])
    skipped: dict[JobKey, str] = field(default_factory=dict[JobKey, str])
    rejected: dict[JobKey, tuple[Diagnostic, ...]] = field(default_factory=dict[JobKey, tuple[Diagnostic, ...]])


class Console:
    """Prints a run as it goes on; a ``RunObserver``. Machine-readable: one JSON object a line."""

    def __init__(self, *, machine_readable: bool = False, out: TextIO | None = None) -> None:
        self.record = RunRecord()
        self.machine_readable = machine_readable
        self._out = out or sys.stdout
        self._began = time.monotonic()

    def reporter(self, leg: PlannedLeg) -> JobReporter:
        return _LegReporter(self, leg)

    async def leg_started(self, leg: PlannedLeg) -> None:
        self.record.legs.append(LegRecord(leg=leg))
        self.emit("job_started", {"job": leg.key, "name": leg.name}, f"{leg.name}: started")

    async def leg_completed(self, leg: PlannedLeg, result: JobResult) -> None:
        known = next((item for item in self.record.legs if item.leg.key == leg.key), None)
        if known is None:
            known = LegRecord(leg=leg)
            self.record.legs.append(known)
        known.result = result
        seconds = (result.completed_at - result.started_at).total_seconds()
        data = {
            "job": leg.key,
            "name": leg.name,
            "conclusion": result.conclusion,
            "outputs": dict(result.outputs),
            "error": result.error,
            "duration_s": seconds,
        }
        reason = f": {result.error}" if result.error else ""
        mark = MARKS[result.conclusion]
        self.emit("job_completed", data, f"{mark} {leg.name}: {result.conclusion} in {seconds:.1f} s{reason}")

    async def job_skipped(self, job: JobKey, reason: str) -> None:
        self.record.skipped[job] = reason
        self.emit("job_skipped", {"job": job, "reason": reason}, f"- {job}: skipped: {reason}")

    async def job_rejected(self, job: JobKey, diagnostics: tuple[Diagnostic, ...]) -> None:
        self.record.rejected[job] = diagnostics
        lines = [item.headline() for item in diagnostics]
        self.emit("job_rejected", {"job": job, "diagnostics": lines}, f"✗ {job}: {'; '.join(lines)}")

    def emit(self, kind: str, data: dict[str, Any], text: str) -> None:
        """Print one event: as JSON with its data, or as text with the elapsed time."""
        if self.machine_readable:
            print(json.dumps({"type": kind, **data}, ensure_ascii=False), file=self._out, flush=True)
        else:
            elapsed = time.monotonic() - self._began
            print(f"[{elapsed:7.2f}s] {printable(text)}", file=self._out, flush=True)


class _LegReporter:
    def __init__(self, console: Console, leg: PlannedLeg) -> None:
        self._console = console
        self._leg = leg
        self._pending = ""
        """The heading of a step that has not said anything yet; one that is skipped never gets it."""

    async def step_started(self, number: int, name: str, at: datetime) -> None:
        data = {"job": self._leg.key, "step": number, "name": name, "at": at.isoformat()}
        if self._console.machine_readable:
            self._console.emit("step_started", data, "")
        self._pending = f"{self._leg.name} │ ● {name}"

    async def log(self, lines: Sequence[LogLine]) -> None:
        if self._pending and not self._console.machine_readable:
            self._console.emit("step_started", {}, self._pending)
            self._pending = ""
        for line in lines:
            if line.kind is LogKind.ENDGROUP:
                continue
            data = {
                "job": self._leg.key,
                "step": line.step,
                "kind": line.kind,
                "text": line.text,
                "at": line.at.isoformat(),
            }
            self._console.emit("log", data, f"{self._leg.name} │   {_PREFIXES.get(line.kind, '')}{line.text}")

    async def annotation(self, annotation: Annotation) -> None:
        data = {
            "job": self._leg.key,
            "step": annotation.step,
            "level": annotation.level,
            "message": annotation.message,
            "title": annotation.title,
            "file": annotation.file,
            "line": annotation.line,
        }
        place = f"{annotation.file or ''}:{annotation.line or ''}"
        if annotation.file:
            self._console.emit("annotation", data, f"{self._leg.name} │   {annotation.level} at {place}")
        elif self._console.machine_readable:
            self._console.emit("annotation", data, "")

    async def step_completed(self, result: StepResult) -> None:
        seconds = (result.completed_at - result.started_at).total_seconds()
        data = {
            "job": self._leg.key,
            "step": result.number,
            "id": result.id,
            "name": result.name,
            "outcome": result.outcome,
            "conclusion": result.conclusion,
            "exit_code": result.exit_code,
            "outputs": dict(result.outputs),
            "summary": result.summary,
            "error": result.error,
            "duration_s": seconds,
        }
        differs = f" ({result.outcome}, continued)" if result.outcome is not result.conclusion else ""
        mark = MARKS[result.conclusion]
        text = f"{self._leg.name} │ {mark} {result.name}: {result.conclusion}{differs} in {seconds:.2f} s"
        self._console.emit("step_completed", data, text)
