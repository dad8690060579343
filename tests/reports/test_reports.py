"""Reports of runs."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from terraphim_runner.model.job import Annotation, AnnotationLevel, JobResult, StepResult
from terraphim_runner.model.states import Conclusion
from terraphim_runner.reports import JobReport, RunReport, render_summaries, render_text
from terraphim_runner.reports.durations import between

START = datetime(2024, 1, 1, tzinfo=UTC)


def step(number: int, name: str, conclusion: Conclusion = Conclusion.SUCCESS, **changed: object) -> StepResult:
    settings = {"id": None, "outcome": conclusion, "started_at": START, "completed_at": START + timedelta(seconds=0.4)}
    return StepResult(number=number, name=name, conclusion=conclusion, **{**settings, **changed})  # type: ignore[arg-type]


def job(name: str, *steps: StepResult, conclusion: Conclusion = Conclusion.SUCCESS, **changed: object) -> JobReport:
    end = START + timedelta(seconds=65)
    result = JobResult(conclusion=conclusion, started_at=START, completed_at=end, steps=steps, **changed)  # type: ignore[arg-type]
    return JobReport(name=name, conclusion=conclusion, result=result)


def run(*jobs: JobReport, conclusion: Conclusion | None = Conclusion.FAILURE, **changed: object) -> RunReport:
    settings = {"workflow": "CI", "event": "push", "ref": "refs/heads/main", "sha": "a" * 40}
    return RunReport(conclusion=conclusion, jobs=jobs, **{**settings, **changed})  # type: ignore[arg-type]


def test_text_of_a_run_tells_every_job_and_step():
    report = run(
        job(
            "build (linux)",
            step(1, "Checkout"),
            step(2, "Test", Conclusion.FAILURE, exit_code=3),
            conclusion=Conclusion.FAILURE,
        ),
        JobReport(name="deploy", conclusion=Conclusion.SKIPPED, reason="needs 'build', which failed"),
        started_at=START,
        completed_at=START + timedelta(hours=1, seconds=65),
    )
    assert render_text(report).splitlines() == [
        "failure  CI (push main aaaaaaa) in 1h 01m 05s",
        "  failure  build (linux)  1m 05s",
        "  success    1 Checkout     0.4s",
        "  failure    2 Test         0.4s  exit code 3",
        "  skipped  deploy                 needs 'build', which failed",
    ]


def test_text_of_a_failure_that_was_allowed_tells_both():
    allowed = step(1, "Lint", outcome=Conclusion.FAILURE, exit_code=1)
    late = step(2, "Slow", Conclusion.FAILURE, error="it ran over its timeout of 1 minute")
    lines = render_text(run(job("a", allowed, late))).splitlines()
    assert lines[2].endswith("exit code 1; failure, which continue-on-error allows")
    assert lines[3].endswith("it ran over its timeout of 1 minute")


def test_text_of_a_job_counts_annotations_and_attempts():
    annotations = tuple(
        Annotation(level=level, message="m", step=1)
        for level in (AnnotationLevel.WARNING, AnnotationLevel.WARNING, AnnotationLevel.FAILURE, AnnotationLevel.NOTICE)
    )
    told = job("a", annotations=annotations, error="the machine stopped answering")
    line = render_text(run(JobReport(name="a", conclusion=None, result=told.result, attempt=2))).splitlines()[1]
    assert (
        line.split()
        == "not finished a 1m 05s attempt 2; the machine stopped answering; 1 error, 2 warnings".replace(
            "error, 2", "error; 2"
        ).split()
    )


def test_text_of_a_run_that_was_never_planned_says_why():
    report = run(conclusion=Conclusion.STARTUP_FAILURE, reason="ci.yml:3:1: no jobs")
    assert render_text(report) == "startup failure  CI (push main aaaaaaa) - ci.yml:3:1: no jobs"


def test_text_in_color_is_the_same_text():
    report = run(job("a", step(1, "b")))
    colored = render_text(report, color=True)
    assert "\x1b[31mfailure\x1b[0m" in colored
    plain = colored
    for code in ("\x1b[31m", "\x1b[32m", "\x1b[0m"):
        plain = plain.replace(code, "")
    assert plain == render_text(report)


@given(st.text(max_size=300), st.text(max_size=300))
def test_text_with_hostile_names_cannot_steer_a_terminal(name, error):
    text = render_text(
        run(job(name, step(1, name, Conclusion.FAILURE, error=error)), workflow=name, ref=name, event=name)
    )
    assert len(text.split("\n")) == 3
    assert all(char.isprintable() for char in text.replace("\n", ""))
    assert all(len(line) < 700 for line in text.split("\n"))


def test_text_with_wide_characters_stays_aligned():
    lines = render_text(run(job("試験"), job("test"))).splitlines()
    assert lines[1].index("1m") + 2 == lines[2].index("1m")


@pytest.mark.parametrize(
    ("seconds", "told"),
    [(0, "0.0s"), (59.94, "59.9s"), (59.96, "1m 00s"), (119.6, "2m 00s"), (3599.7, "1h 00m 00s"), (-5, "0.0s")],
)
def test_duration_is_rounded_and_never_negative(seconds, told):
    assert between(START, START + timedelta(seconds=seconds)) == told


def test_duration_without_an_end_is_empty():
    assert between(START, None) == ""


def test_summaries_are_grouped_by_job_and_names_are_literal():
    report = run(
        job(
            "a *b* <img src=x> @team",
            step(1, "x", summary="# One\r\n\x1b[2J| a |\n"),
            step(2, "y"),
            step(3, "z", summary="two"),
        ),
        job("silent", step(1, "x", summary="\n \n")),
    )
    assert render_summaries(report) == "## a \\*b\\* \\<img src\\=x\\> \\@team\n\n# One\n[2J| a |\n\ntwo\n"


def test_summaries_of_none_are_empty():
    assert render_summaries(run(job("a", step(1, "b")))) == ""


@given(st.text(max_size=200))
def test_summaries_have_no_control_characters(summary):
    text = render_summaries(run(job("a", step(1, "b", summary=summary))))
    assert all(char in "\n\t" or ord(char) >= 32 for char in text)
    assert "\u202e" not in text
