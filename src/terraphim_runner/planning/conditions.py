"""A job's ``if``, with the status functions as they are for jobs: they look at ancestors, not at steps."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from terraphim_runner.expressions import EvaluationError, Scope, Value, evaluate, is_truthy, to_string
from terraphim_runner.model.ids import JobKey
from terraphim_runner.model.source import Diagnostic
from terraphim_runner.model.states import Conclusion
from terraphim_runner.planning.evaluation import Contexts
from terraphim_runner.workflow.tree import Job, Workflow


@dataclass(frozen=True, slots=True, kw_only=True)
class JobState:
    """What a job's ``if`` can see. ``ancestors`` are the results of all direct and indirect needs."""

    contexts: Contexts
    ancestors: Mapping[JobKey, Conclusion]
    cancelled: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Whether the condition holds; it does not when it cannot be evaluated, and ``diagnostics`` say why."""

    holds: bool
    diagnostics: tuple[Diagnostic, ...] = ()


def judge(workflow: Workflow, job: Job, state: JobState) -> Verdict:
    """Evaluate the job's ``if``; without one it is ``success()``."""
    if job.condition is None:
        return Verdict(holds=_Status(state).success([]) is True)
    try:
        with state.contexts.allowance.budget() as budget:
            value = evaluate(job.condition.expression, scope_of(state), budget=budget)
    except EvaluationError as error:
        message = f"the 'if' of job {job.key!r} does not evaluate: {error.message}"
        found = Diagnostic(path=workflow.path, span=job.condition.span, rule="expression-evaluation", message=message)
        return Verdict(holds=False, diagnostics=(found,))
    return Verdict(holds=is_truthy(value))


def scope_of(state: JobState) -> Scope:
    """Return what names mean in the ``if`` of a job that sees this."""
    status = _Status(state)
    functions: Mapping[str, Callable[[list[Value]], Value]] = {
        "success": status.success,
        "failure": status.failure,
        "cancelled": lambda _: state.cancelled,
        "always": lambda _: True,
    }
    return Scope(contexts=state.contexts, functions=functions)


class _Status:
    """``success`` and ``failure`` over a job's ancestors, or over those that are named."""

    def __init__(self, state: JobState) -> None:
        self._state = state

    def success(self, names: Sequence[Value]) -> Value:
        results = self._results("success", names)
        return not self._state.cancelled and all(result is Conclusion.SUCCESS for result in results)

    def failure(self, names: Sequence[Value]) -> Value:
        return Conclusion.FAILURE in self._results("failure", names)

    def _results(self, function: str, names: Sequence[Value]) -> list[Conclusion]:
        if not names:
            return list(self._state.ancestors.values())
        known = {key.lower(): result for key, result in self._state.ancestors.items()}
        results: list[Conclusion] = []
        for position, name in enumerate(names, 1):
            result = known.get(to_string(name).lower())
            if result is None:
                raise EvaluationError(f"argument {position} of {function}() is no job that this one needs")
            results.append(result)
        return results
