"""What the expressions of one look at a run may cost together."""

import pytest

from terraphim_runner.expressions import ANYTHING, EvaluationError, parse_condition, parse_template
from terraphim_runner.model.source import Span
from terraphim_runner.planning.conditions import JobState, judge
from terraphim_runner.planning.evaluation import MAX_SPENT, Contexts, Evaluator
from terraphim_runner.workflow.tree import Condition, Job, Workflow

SPAN = Span.at(1, 1)
TOGETHER = "the run's expressions take too long together"


def spend_all(contexts: Contexts) -> None:
    for _ in range(MAX_SPENT // 2**20):
        with contexts.allowance.budget() as budget:
            budget.make(2**20)


def test_allowance_is_shared_by_all_contexts_of_a_run_and_ends() -> None:
    contexts = Contexts({"vars": {"A": "a"}})
    evaluator = Evaluator("w.yml", contexts.with_(matrix={}))
    template = parse_template("${{ vars.A }}", allowed=ANYTHING, span=SPAN)
    assert evaluator.value("the name", template, SPAN) == "a"
    spend_all(contexts)
    assert evaluator.value("the name", template, SPAN) is None
    assert [TOGETHER in item.message for item in evaluator.diagnostics] == [True]


def test_condition_of_a_job_counts_and_is_refused_when_nothing_is_left(job: Job, workflow_of_job: Workflow) -> None:
    contexts = Contexts({"vars": {}})
    state = JobState(contexts=contexts, ancestors={}, cancelled=False)
    assert judge(workflow_of_job, job, state).holds
    spend_all(contexts)
    verdict = judge(workflow_of_job, job, state)
    assert not verdict.holds
    assert TOGETHER in verdict.diagnostics[0].message


def test_evaluation_that_fails_has_spent_what_it_used() -> None:
    contexts = Contexts({})
    with pytest.raises(EvaluationError, match="more than"), contexts.allowance.budget() as budget:
        budget.make(2 * MAX_SPENT)
    with pytest.raises(EvaluationError, match=TOGETHER), contexts.allowance.budget():
        pass


@pytest.fixture
def job() -> Job:
    condition = Condition(expression=parse_condition("!vars.X", allowed=ANYTHING), source="!vars.X", span=SPAN)
    return Job(key="a", span=SPAN, runs_on=(), steps=(), condition=condition)


@pytest.fixture
def workflow_of_job(job: Job) -> Workflow:
    return Workflow(path="w.yml", source="", jobs={job.key: job}, triggers=())
