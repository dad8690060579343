"""``advance`` driven to the end of runs, against GitHub's rules."""

from collections.abc import Callable

import pytest

from terraphim_runner.model.ids import JobKey
from terraphim_runner.model.states import Conclusion, Status

SUCCESS, FAILURE, CANCELLED, SKIPPED, TIMED_OUT = (
    Conclusion.SUCCESS,
    Conclusion.FAILURE,
    Conclusion.CANCELLED,
    Conclusion.SKIPPED,
    Conclusion.TIMED_OUT,
)


def jobs(**described: str) -> str:
    """A workflow of one-step jobs; each value is further keys of the job, one a line."""
    lines = ["on: push", "jobs:"]
    for key, more in described.items():
        lines += [f"  {key}:", "    runs-on: ubuntu-latest", "    steps: [{run: 'true'}]"]
        lines += [f"    {line}" for line in more.splitlines() if line.strip()]
    return "\n".join(lines) + "\n"


CHAIN = jobs(a="", b="needs: a", c="needs: b")

SCENARIOS = {
    "all succeed": (CHAIN, {}, SUCCESS, "a b c", ""),
    "a failure skips what depends on it": (CHAIN, {"a": FAILURE}, FAILURE, "a", "b c"),
    "a timeout is a failure": (CHAIN, {"a": TIMED_OUT}, FAILURE, "a", "b c"),
    "a cancelled job skips what depends on it": (CHAIN, {"a": CANCELLED}, CANCELLED, "a", "b c"),
    "failure beats cancelled": (jobs(a="", b=""), {"a": CANCELLED, "b": FAILURE}, FAILURE, "a b", ""),
    "an independent job runs on": (jobs(a="", b="needs: a", c=""), {"a": FAILURE}, FAILURE, "a c", "b"),
    "all skipped is skipped": (jobs(a="if: false", b="needs: a"), {}, SKIPPED, "", "a b"),
    "one of two skipped is a success": (jobs(a="if: false", b=""), {}, SUCCESS, "b", "a"),
    "a plain condition does not survive a failed need": (
        jobs(a="", b="needs: a\nif: true"),
        {"a": FAILURE},
        FAILURE,
        "a",
        "b",
    ),
    "always runs after a failure": (jobs(a="", b="needs: a\nif: always()"), {"a": FAILURE}, FAILURE, "a b", ""),
    "always runs after a skipped job": (jobs(a="if: false", b="needs: a\nif: always()"), {}, SUCCESS, "b", "a"),
    "failure() is false after success": (jobs(a="", b="needs: a\nif: failure()"), {}, SUCCESS, "a", "b"),
    "failure() looks at every ancestor": (
        jobs(a="", b="needs: a", c="needs: b\nif: failure()"),
        {"a": FAILURE},
        FAILURE,
        "a c",
        "b",
    ),
    "failure() is no reaction to a skipped need": (
        jobs(a="if: false", b="needs: a\nif: failure()"),
        {},
        SKIPPED,
        "",
        "a b",
    ),
    "failure() does not see jobs that are no ancestors": (
        jobs(x="", a="", b="needs: a\nif: failure()"),
        {"x": FAILURE},
        FAILURE,
        "x a",
        "b",
    ),
    "success() is false below a skipped ancestor that a need ran in spite of": (
        jobs(a="if: false", b="needs: a\nif: always()", c="needs: b"),
        {},
        SUCCESS,
        "b",
        "a c",
    ),
    "not cancelled is the cure for that": (
        jobs(a="if: false", b="needs: a\nif: always()", c="needs: b\nif: ${{ !cancelled() && !failure() }}"),
        {},
        SUCCESS,
        "b c",
        "a",
    ),
    "success() may name the jobs that it asks for": (
        jobs(a="", b="", c="needs: [a, b]\nif: success('B')"),
        {"a": FAILURE},
        FAILURE,
        "a b c",
        "",
    ),
    "failure() may name the jobs that it asks for": (
        jobs(a="", b="", c="needs: [a, b]\nif: failure('b')"),
        {"a": FAILURE},
        FAILURE,
        "a b",
        "c",
    ),
    "needs results are readable": (
        jobs(a="", b="needs: a\nif: always() && needs.a.result == 'failure'"),
        {"a": TIMED_OUT},
        FAILURE,
        "a b",
        "",
    ),
    "a skipped need has the result skipped": (
        jobs(a="if: false", b="needs: a\nif: always() && needs.a.result == 'skipped'"),
        {},
        SUCCESS,
        "b",
        "a",
    ),
    "a job that may fail counts as a success": (
        jobs(a="continue-on-error: true", b="needs: a", c="needs: a\nif: needs.a.result == 'success'"),
        {"a": FAILURE},
        SUCCESS,
        "a b c",
        "",
    ),
    "a job that may fail and is cancelled stays cancelled": (
        jobs(a="continue-on-error: true", b="needs: a"),
        {"a": CANCELLED},
        CANCELLED,
        "a",
        "b",
    ),
    "outputs decide about the next job": (
        jobs(a="", b="needs: a\nif: needs.a.outputs.go == 'yes'", c="needs: a\nif: needs.a.outputs.go != 'yes'"),
        {"a": {"go": "yes"}},
        SUCCESS,
        "a b",
        "c",
    ),
    "an empty matrix counts as skipped": (
        jobs(a="strategy: {matrix: {x: [1], exclude: [{x: 1}]}}", b="needs: a", c="needs: a\nif: always()"),
        {},
        SUCCESS,
        "c",
        "b",
    ),
    "a diamond waits for both sides": (
        jobs(a="", b="needs: a", c="needs: a", d="needs: [b, c]"),
        {},
        SUCCESS,
        "a b c d",
        "",
    ),
}


@pytest.mark.parametrize("name", SCENARIOS)
def test_run_ends_as_github_would_end_it(drive: Callable, name: str):
    text, outcomes, conclusion, started, skipped = SCENARIOS[name]

    run = drive(text).run(outcomes)

    assert run.conclusion is conclusion
    assert run.started == started.split()
    assert set(run.skipped) == set(skipped.split())


def test_jobs_start_as_soon_as_their_own_needs_are_done(drive: Callable):
    run = drive(jobs(slow="", quick="", after="needs: quick"))
    run.settle()
    run.complete("quick", SUCCESS)
    run.settle()

    assert run.started == ["slow", "quick", "after"]
    assert run.leg("slow").status is Status.QUEUED


def test_needs_context_has_the_direct_needs_only(drive: Callable):
    run = drive(CHAIN).run({"a": {"x": "1"}, "b": {"y": "2"}})

    assert run.needs_seen["a"] == {}
    assert run.needs_seen["c"] == {"b": {"result": "success", "outputs": {"y": "2"}}}


def test_matrix_outputs_are_the_last_finished_that_are_not_empty(drive: Callable):
    run = drive(jobs(a="strategy: {matrix: {x: [1, 2, 3]}}", b="needs: a"))
    run.settle()
    run.complete("a/2", SUCCESS, {"v": "third", "only": "c"})
    run.complete("a/0", SUCCESS, {"v": "first", "only": "", "none": ""})
    run.complete("a/1", SUCCESS, {"v": ""})
    run.settle()

    assert run.needs_seen["b"]["a"]["outputs"] == {"v": "first", "only": "c", "none": ""}


def test_matrix_is_expanded_from_the_outputs_of_needs(drive: Callable):
    text = jobs(a="", b="needs: a\nstrategy: {matrix: '${{ fromJSON(needs.a.outputs.m) }}'}")

    run = drive(text).run({"a": {"m": '{"os": ["linux", "mac"], "include": [{"os": "mac", "fast": true}]}'}})

    assert run.started == ["a", "b/0", "b/1"]
    assert run.leg("b/1").leg.matrix == {"os": "mac", "fast": True}
    assert run.names("b") == ["b (linux)", "b (mac)"]


@pytest.mark.parametrize("output", ["", "{", "[]", '{"x": []}'])
def test_matrix_that_does_not_evaluate_rejects_the_job(drive: Callable, output: str):
    text = jobs(a="", b="needs: a\nstrategy: {matrix: '${{ fromJSON(needs.a.outputs.m) }}'}", c="needs: b")

    run = drive(text).run({"a": {"m": output}})

    assert list(run.rejected) == ["b"]
    assert run.conclusion is FAILURE
    assert list(run.skipped) == ["c"]


def test_rejected_job_is_a_failure_to_what_follows(drive: Callable):
    text = jobs(a="if: fromJSON('{')", b="needs: a\nif: failure()")

    run = drive(text).run()

    assert "does not evaluate" in run.rejected[JobKey("a")][0]
    assert run.started == ["b"]
    assert run.needs_seen["b"]["a"] == {"result": "failure", "outputs": {}}
    assert run.conclusion is FAILURE


def test_status_function_with_a_foreign_job_rejects(drive: Callable):
    run = drive(jobs(a="", b="if: success('a')")).run()

    assert run.rejected[JobKey("b")] == (
        "the 'if' of job 'b' does not evaluate: argument 1 of success() is no job that this one needs",
    )


MATRIX = "strategy:\n  matrix: {x: [1, 2, 3]}\n"


def test_fail_fast_cancels_the_siblings(drive: Callable):
    run = drive(jobs(a=MATRIX + "  max-parallel: 2"))
    run.settle()
    assert run.started == ["a/0", "a/1"]
    run.begin("a/1")
    run.complete("a/0", FAILURE)
    run.settle()

    assert run.leg("a/1").cancelling
    assert run.leg("a/2").conclusion is CANCELLED
    assert run.cancel_reasons == dict.fromkeys(["a/1", "a/2"], "fail-fast: 'a (1)' failed")
    assert run.conclusion is None
    run.complete("a/1", CANCELLED)
    run.settle()
    assert run.conclusion is FAILURE
    assert run.started == ["a/0", "a/1"]


def test_fail_fast_may_be_switched_off(drive: Callable):
    run = drive(jobs(a=MATRIX + "  fail-fast: false")).run({"a/0": FAILURE})

    assert run.started == ["a/0", "a/1", "a/2"]
    assert run.cancel_reasons == {}
    assert run.conclusion is FAILURE


def test_fail_fast_spares_the_siblings_of_a_leg_that_may_fail(drive: Callable):
    text = jobs(a=MATRIX + "continue-on-error: ${{ matrix.x == 1 }}", b="needs: a")

    run = drive(text).run({"a/0": FAILURE})

    assert run.started == ["a/0", "a/1", "a/2", "b"]
    assert run.conclusion is SUCCESS


def test_fail_fast_of_a_leg_that_may_not_fail_cancels_one_that_may(drive: Callable):
    run = drive(jobs(a=MATRIX + "continue-on-error: ${{ matrix.x == 3 }}"))
    run.settle()
    run.complete("a/0", FAILURE)
    run.settle()

    assert run.conclusion is FAILURE
    assert set(run.cancel_reasons) == {"a/1", "a/2"}


def test_max_parallel_bounds_what_runs_together(drive: Callable):
    run = drive(jobs(a=MATRIX + "  max-parallel: 1"))
    run.settle()
    assert run.running == ["a/0"]
    run.begin("a/0")
    run.settle()
    assert run.running == ["a/0"]
    run.complete("a/0", SUCCESS)
    run.settle()
    assert run.running == ["a/1"]


def test_cancelled_run_stops_running_and_waiting_legs(drive: Callable):
    run = drive(jobs(a=MATRIX + "  max-parallel: 2", b="needs: a"))
    run.settle()
    run.begin("a/0")
    run.cancelled = True
    run.settle()

    assert run.leg("a/0").cancelling
    assert [run.leg(key).conclusion for key in ("a/1", "a/2")] == [CANCELLED, CANCELLED]
    run.complete("a/0", CANCELLED)
    run.settle()
    assert run.skipped == {"b": "the run was cancelled"}
    assert run.conclusion is CANCELLED


def test_cancelled_run_still_starts_always_and_cancelled_jobs(drive: Callable):
    text = jobs(
        a="",
        cleanup="needs: a\nif: always()",
        told="needs: a\nif: cancelled()",
        plain="needs: a",
        failed="needs: a\nif: failure()",
        unless="needs: a\nif: ${{ !cancelled() }}",
        after="needs: cleanup",
    )
    run = drive(text)
    run.settle()
    run.begin("a")
    run.cancelled = True
    run.settle()
    run.complete("a", CANCELLED)
    run.settle()

    assert run.started == ["a", "cleanup", "told"]
    assert set(run.skipped) == {"plain", "failed", "unless"}
    run.run()
    assert set(run.skipped) == {"plain", "failed", "unless", "after"}
    assert run.conclusion is CANCELLED


def test_cancelled_run_lets_a_running_always_job_go_on(drive: Callable):
    run = drive(jobs(a="if: always()", b=""))
    run.settle()
    run.begin("a")
    run.begin("b")
    run.cancelled = True
    run.settle()

    assert not run.leg("a").cancelling
    assert run.leg("b").cancelling


def test_cancelled_run_with_a_failed_job_is_a_failure(drive: Callable):
    run = drive(jobs(a="", b=""))
    run.settle()
    run.complete("a", FAILURE)
    run.cancelled = True

    assert run.run().conclusion is FAILURE


def test_cancelled_run_is_no_success_though_its_last_leg_succeeded(drive: Callable):
    run = drive(jobs(a=""))
    run.settle()
    run.begin("a")
    run.cancelled = True
    run.settle()
    run.complete("a", SUCCESS)
    run.settle()

    assert run.conclusion is CANCELLED


def test_run_cancelled_before_anything_started_runs_nothing(drive: Callable):
    run = drive(CHAIN)
    run.cancelled = True

    assert run.run().conclusion is CANCELLED
    assert run.started == []


def test_leg_that_is_completed_without_a_conclusion_counts_as_failed(drive: Callable):
    run = drive(jobs(a="", b="needs: a"))
    run.settle()
    run.complete("a", None)
    run.settle()

    assert run.conclusion is FAILURE


@pytest.mark.parametrize(
    ("text", "outcomes", "job", "reason"),
    [
        (CHAIN, {"a": FAILURE}, "b", "it needs 'a', which failed"),
        (jobs(a="if: false", b="needs: a"), {}, "b", "it needs 'a', which was skipped"),
        (CHAIN, {"a": CANCELLED}, "b", "it needs 'a', which was cancelled"),
        (jobs(a="if: 1 == 2"), {}, "a", "its 'if' is false: 1 == 2"),
        (
            jobs(a="if: false", b="needs: a\nif: always()", c="needs: b"),
            {},
            "c",
            "'a', which its needs need, was skipped",
        ),
    ],
)
def test_skipped_job_says_why(drive: Callable, text: str, outcomes: dict, job: str, reason: str):
    assert drive(text).run(outcomes).skipped[JobKey(job)] == reason


def test_contexts_reach_conditions_and_legs(drive: Callable):
    text = jobs(a="if: github.ref == 'refs/heads/main' && vars.on == 'y'\nname: n ${{ inputs.who }}")

    run = drive(text, github={"ref": "refs/heads/main"}, vars={"on": "y"}, inputs={"who": "me"})

    assert run.run().names("a") == ["n me"]
