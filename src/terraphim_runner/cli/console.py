"""A run as a person watches it: one line per line of output, with elapsed time and job."""

import json
import re
import sys
import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, TextIO

from terraphim_runner.model.ids import JobKey
from terraphim_runner.model.job import Annotation, JobResult, LogKind, LogLine, StepResult
from terraphim_runner.model.source import Diagnostic
from terraphim_runner.model.states import Conclusion
from terraphim_runner.model.text import printable
from terraphim_runner.planning.graph import Planned, PlannedCall, PlannedLeg
from terraphim_runner.ports import JobReporter
from terraphim_runner.reports import JobReport, RunReport, render_summaries, render_text

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
_ESCAPE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|.)?")


def for_terminal(text: str) -> str:
    """Return the text without what could steer the reader's terminal: escape sequences and control characters."""
    return printable(_ESCAPE.sub("", text) if "\x1b" in text else text, instead="�", keep="\t")


class Console:
    """Prints a run as it goes on; a ``RunObserver``. Machine-readable: one JSON object a line.

    ``jobs`` holds what has ended so far, for the closing report.
    """

    def __init__(self, *, machine_readable: bool = False, out: TextIO | None = None) -> None:
        self.jobs: list[JobReport] = []
        self.machine_readable = machine_readable
        self._out = out or sys.stdout
        self._encoding = getattr(self._out, "encoding", None) or "utf-8"
        self._is_unicode = self._encoding.lower().replace("-", "").startswith("utf")
        self._began = time.monotonic()

    def reporter(self, leg: PlannedLeg) -> JobReporter:
        return _LegReporter(self, leg)

    async def leg_started(self, leg: PlannedLeg) -> None:
        self.emit("job_started", {"job": leg.key, "name": leg.name}, f"{leg.name}: started")

    async def leg_pending(self, leg: Planned, groups: tuple[str, ...]) -> None:
        data = {"job": leg.key, "name": leg.name, "groups": list(groups)}
        self.emit("job_pending", data, f"{leg.name}: waits for its turn in {', '.join(map(repr, groups))}")

    async def call_started(self, call: PlannedCall) -> None:
        self.emit("call_started", {"job": call.key, "name": call.name}, f"{call.name}: started")

    async def call_completed(
        self, call: PlannedCall, conclusion: Conclusion, outputs: Mapping[str, str], diagnostics: tuple[Diagnostic, ...]
    ) -> None:
        lines = [item.headline() for item in diagnostics]
        if lines:
            # Its jobs are reported one by one; this went wrong after the last of them.
            self.jobs.append(JobReport(name=call.name, conclusion=conclusion, reason=lines[0]))
        data = {
            "job": call.key,
            "name": call.name,
            "conclusion": conclusion,
            "outputs": dict(outputs),
            "diagnostics": lines,
        }
        reason = f": {'; '.join(lines)}" if lines else ""
        self.emit("call_completed", data, f"{MARKS[conclusion]} {call.name}: {conclusion}{reason}")

    async def leg_completed(self, leg: Planned, result: JobResult) -> None:
        tolerated = leg.continue_on_error and result.conclusion is Conclusion.FAILURE
        conclusion = Conclusion.SUCCESS if tolerated else result.conclusion
        self.jobs.append(JobReport(name=leg.name, conclusion=conclusion, result=result))
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

    async def job_skipped(self, job: JobKey, name: str, reason: str) -> None:
        self.jobs.append(JobReport(name=name, conclusion=Conclusion.SKIPPED, reason=reason))
        self.emit("job_skipped", {"job": job, "name": name, "reason": reason}, f"- {name}: skipped: {reason}")

    async def job_rejected(self, job: JobKey, name: str, diagnostics: tuple[Diagnostic, ...]) -> None:
        lines = [item.headline() for item in diagnostics]
        self.jobs.append(JobReport(name=name, conclusion=Conclusion.FAILURE, reason=lines[0] if lines else None))
        self.emit("job_rejected", {"job": job, "name": name, "diagnostics": lines}, f"✗ {name}: {'; '.join(lines)}")

    def report(self, report: RunReport) -> None:
        """Print how the run ended: the verdict of each job and step, then the summaries that steps wrote."""
        if self.machine_readable:
            self.emit("run_completed", {"workflow": report.workflow, "conclusion": report.conclusion}, "")
            return
        summaries = render_summaries(report)
        parts = [render_text(report, color=self._out.isatty()), *([summaries] if summaries else [])]
        self._print("\n" + "\n\n".join(parts))

    def emit(self, kind: str, data: dict[str, Any], text: str) -> None:
        """Print one event: as JSON with its data, or as text with the elapsed time."""
        if self.machine_readable:
            line = json.dumps({"type": kind, **data}, ensure_ascii=not self._is_unicode)
        else:
            elapsed = time.monotonic() - self._began
            line = f"[{elapsed:7.2f}s] {for_terminal(text)}"
        self._print(line)

    def _print(self, text: str) -> None:
        """Print what the terminal's encoding can hold; the rest becomes question marks."""
        if not self._is_unicode:
            text = text.encode(self._encoding, "replace").decode(self._encoding)
        print(text, file=self._out, flush=True)


class _LegReporter:
    def __init__(self, console: Console, leg: PlannedLeg) -> None:
        self._console = console
        self._leg = leg
        self._headings: dict[int, str] = {}
        """Of the steps that have started; one is printed when its step speaks after another did, or first."""
        self._speaking = 0

    async def step_started(self, number: int, name: str, at: datetime) -> None:
        data = {"job": self._leg.key, "step": number, "name": name, "at": at.isoformat()}
        if self._console.machine_readable:
            self._console.emit("step_started", data, "")
        self._headings[number] = f"{self._leg.name} │ ● {name}"

    async def log(self, lines: Sequence[LogLine]) -> None:
        for line in lines:
            if line.kind is LogKind.ENDGROUP:
                continue
            if line.step != self._speaking:
                self._speaking = line.step
                if line.step in self._headings and not self._console.machine_readable:
                    self._console.emit("step_started", {}, self._headings[line.step])
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
            "end_line": annotation.end_line,
            "column": annotation.column,
            "end_column": annotation.end_column,
        }
        if annotation.file:
            place = ":".join(str(part) for part in (annotation.file, annotation.line, annotation.column) if part)
            said = (annotation.title or annotation.message).partition("\n")[0]
            self._console.emit("annotation", data, f"{self._leg.name} │   {annotation.level} at {place}: {said}")
        elif self._console.machine_readable:
            self._console.emit("annotation", data, "")

    async def step_completed(self, result: StepResult) -> None:
        self._headings.pop(result.number, None)
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
