"""For any graph and any outcomes: the run ends, with one verdict, and nothing starts too early or twice."""

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from terraphim_runner.expressions import ANYTHING, Template, parse_condition
from terraphim_runner.model.ids import JobKey
from terraphim_runner.model.source import Span
from terraphim_runner.model.states import Conclusion, Status
from terraphim_runner.planning.outcome import job_result, needs_are_complete
from terraphim_runner.workflow.tree import Condition, Job, Need, Strategy, Workflow

SPAN = Span.at(1, 1)
CONDITIONS = [None, "success()", "failure()", "always()", "cancelled()", "!cancelled()", "false", "fromJSON('{')"]
ENDS = st.sampled_from([item for item in Conclusion if item is not Conclusion.STARTUP_FAILURE])


def literal(value) -> Template:
    return Template.literal(value, SPAN)


@st.composite
def workflows(draw) -> Workflow:
    jobs: dict[JobKey, Job] = {}
    for number in range(draw(st.integers(1, 7))):
        key = JobKey(f"j{number}")
        needs = draw(st.lists(st.sampled_from(sorted(jobs)), unique=True, max_size=3)) if jobs else []
        text = draw(st.sampled_from(CONDITIONS))
        jobs[key] = Job(
            key=key,
            span=SPAN,
            runs_on=literal("x"),
            steps=(),
            needs=tuple(Need(job=JobKey(name), span=SPAN) for name in needs),
            condition=text and Condition(expression=parse_condition(text, allowed=ANYTHING), source=text, span=SPAN),
            strategy=draw(st.none() | strategies()),
            continue_on_error=draw(st.none() | st.just(literal(True))),
        )
    order = draw(st.permutations(list(jobs)))
    return Workflow(path="w.yml", source="", jobs={key: jobs[key] for key in order}, triggers=())


@st.composite
def strategies(draw) -> Strategy:
    size = draw(st.integers(1, 4))
    matrix: dict = {"x": tuple(literal(number) for number in range(size))}
    if draw(st.booleans()):
        matrix["exclude"] = ({"x": literal(0)},)
    return Strategy(
        span=SPAN,
        matrix=matrix,
        fail_fast=draw(st.none() | st.just(literal(False))),
        max_parallel=draw(st.none() | st.builds(literal, st.integers(1, 3))),
    )


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=300)
@given(workflow=workflows(), data=st.data())
def test_any_run_ends_with_one_verdict_and_starts_nothing_early(drive_of, workflow, data):
    run = drive_of(workflow)
    cancel_at = data.draw(st.none() | st.integers(0, 8))
    for moment in range(1000):
        run.cancelled = run.cancelled or moment == cancel_at
        before = len(run.started)
        run.settle()
        for key in run.started[before:]:
            job = workflow.jobs[run.leg(key).leg.job]
            assert needs_are_complete(job, run.snapshot)
        if run.conclusion is not None:
            break
        for job in run.jobs.values():
            active = [leg for leg in job.legs if leg.status in {Status.QUEUED, Status.IN_PROGRESS}]
            assert len(active) <= max([leg.leg.strategy["max-parallel"] for leg in job.legs], default=0)
        assert run.running, "a run that is not finished has something running"
        chosen = data.draw(st.sampled_from(run.running))
        if run.leg(chosen).status is Status.QUEUED and data.draw(st.booleans()):
            run.begin(chosen)
        else:
            run.complete(chosen, data.draw(ENDS))

    assert run.conclusion is not None
    assert len(run.started) == len(set(run.started))
    results = [job_result(run.jobs[key]) for key in workflow.jobs]
    assert None not in results
    if Conclusion.FAILURE in results:
        assert run.conclusion is Conclusion.FAILURE
    elif run.cancelled or Conclusion.CANCELLED in results:
        assert run.conclusion is Conclusion.CANCELLED
    else:
        assert run.conclusion is (Conclusion.SUCCESS if Conclusion.SUCCESS in results else Conclusion.SKIPPED)
