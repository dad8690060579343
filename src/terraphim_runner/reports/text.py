"""The verdict of a run as a table for a terminal or a log."""

from dataclasses import dataclass
from typing import Final
from unicodedata import east_asian_width

from terraphim_runner.model.job import AnnotationLevel, StepResult
from terraphim_runner.model.states import Conclusion
from terraphim_runner.reports.durations import between
from terraphim_runner.reports.escaping import one_line
from terraphim_runner.reports.report import JobReport, RunReport

_RED: Final = "31"
_GREEN: Final = "32"
_YELLOW: Final = "33"
_GREY: Final = "90"

_COLORS: Final = {
    Conclusion.SUCCESS: _GREEN,
    Conclusion.FAILURE: _RED,
    Conclusion.TIMED_OUT: _RED,
    Conclusion.STARTUP_FAILURE: _RED,
    Conclusion.CANCELLED: _YELLOW,
    Conclusion.SKIPPED: _GREY,
}
_UNFINISHED: Final = "not finished"
_MAX_NAME_CHARS: Final = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    conclusion: Conclusion | None
    name: str
    time: str
    note: str


def render_text(report: RunReport, *, color: bool = False) -> str:
    """Return the verdict of the run, then one line per job and per step: verdict, name, duration, why.

    Aligned, without a line break at its end. User text is cut and cannot steer a terminal; with ``color`` the
    verdicts, and nothing else, are coloured by ANSI codes.
    """
    rows = [row for job in report.jobs for row in _job_rows(job)]
    verdict_width = max((len(_verdict(row.conclusion)) for row in rows), default=0)
    name_width = max((_width(row.name) for row in rows), default=0)
    time_width = max((len(row.time) for row in rows), default=0)
    lines = [_headline(report, color=color)]
    for row in rows:
        verdict = _painted(_verdict(row.conclusion).ljust(verdict_width), row.conclusion, color=color)
        name = row.name + " " * (name_width - _width(row.name))
        lines.append(f"  {verdict}  {name}  {row.time.rjust(time_width)}  {row.note}".rstrip())
    return "\n".join(lines)


def _headline(report: RunReport, *, color: bool) -> str:
    verdict = _painted(_verdict(report.conclusion), report.conclusion, color=color)
    ref = one_line(report.ref.removeprefix("refs/heads/").removeprefix("refs/tags/"), max_chars=_MAX_NAME_CHARS)
    source = " ".join(part for part in (one_line(report.event, max_chars=40), ref, one_line(report.sha[:7])) if part)
    parts = [f"{verdict}  {one_line(report.workflow, max_chars=_MAX_NAME_CHARS)} ({source})"]
    duration = between(report.started_at, report.completed_at)
    if duration:
        parts.append(f"in {duration}")
    if report.reason:
        parts.append(f"- {one_line(report.reason)}")
    return " ".join(parts)


def _job_rows(job: JobReport) -> list[_Row]:
    result = job.result
    name = one_line(job.name, max_chars=_MAX_NAME_CHARS)
    notes = [f"attempt {job.attempt}"] if job.attempt > 1 else []
    notes += [one_line(text) for text in (job.reason, result.error if result else None) if text]
    if result is None:
        return [_Row(conclusion=job.conclusion, name=name, time="", note="; ".join(notes))]
    notes += _annotation_counts(job)
    if job.conclusion is Conclusion.SUCCESS and result.conclusion is not Conclusion.SUCCESS:
        notes.append(f"{_verdict(result.conclusion)}, which continue-on-error allows")
    time = between(result.started_at, result.completed_at)
    head = _Row(conclusion=job.conclusion, name=name, time=time, note="; ".join(notes))
    return [head, *(_step_row(step) for step in result.steps)]


def _step_row(step: StepResult) -> _Row:
    notes: list[str] = []
    if step.error:
        notes.append(one_line(step.error))
    elif step.exit_code:
        notes.append(f"exit code {step.exit_code}")
    if step.outcome is not step.conclusion:
        notes.append(f"{_verdict(step.outcome)}, which continue-on-error allows")
    skipped = step.conclusion is Conclusion.SKIPPED
    return _Row(
        conclusion=step.conclusion,
        name=f"  {step.number} {one_line(step.name, max_chars=_MAX_NAME_CHARS)}",
        time="" if skipped else between(step.started_at, step.completed_at),
        note="; ".join(notes),
    )


def _annotation_counts(job: JobReport) -> list[str]:
    annotations = job.result.annotations if job.result else ()
    counted = [
        (sum(annotation.level is level for annotation in annotations), word)
        for level, word in ((AnnotationLevel.FAILURE, "error"), (AnnotationLevel.WARNING, "warning"))
    ]
    return [f"{count} {word}{'' if count == 1 else 's'}" for count, word in counted if count]


def _verdict(conclusion: Conclusion | None) -> str:
    return conclusion.value.replace("_", " ") if conclusion else _UNFINISHED


def _painted(text: str, conclusion: Conclusion | None, *, color: bool) -> str:
    code = _COLORS[conclusion] if conclusion else _YELLOW
    return f"\x1b[{code}m{text}\x1b[0m" if color else text


def _width(text: str) -> int:
    return sum(2 if east_asian_width(char) in "WF" else 1 for char in text)
