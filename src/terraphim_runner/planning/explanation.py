"""Why each job of a workflow runs or does not, before anything ran: the outline, and every part of each ``if``.

As in the outline, what runs is assumed to succeed. A job's ``if`` that reads ``needs`` is open as far as its other
parts leave it open: ``needs.build.outputs.go && github.ref == …`` is false already when the second part is.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from terraphim_runner.expressions.explanation import Part, Unknown, explain
from terraphim_runner.expressions.paths import paths_in
from terraphim_runner.expressions.printing import to_source
from terraphim_runner.expressions.tree import Call, Node, walk
from terraphim_runner.model.ids import JobKey
from terraphim_runner.model.secret import Secret
from terraphim_runner.model.states import Conclusion
from terraphim_runner.planning.conditions import JobState, scope_of
from terraphim_runner.planning.evaluation import Contexts
from terraphim_runner.planning.outcome import ancestors
from terraphim_runner.planning.plan import JobOutline, Outlook, PlanOutline, outline
from terraphim_runner.planning.scopes import local_key
from terraphim_runner.workflow.tree import Condition, Job, Workflow

_NEEDS: Final = frozenset({"needs"})


@dataclass(frozen=True, slots=True, kw_only=True)
class JobExplanation:
    """``reason`` is for people; ``condition`` is the ``if`` with its values; ``depends_on`` is what it waits for."""

    key: JobKey
    outlook: Outlook
    needs: tuple[JobKey, ...] = ()
    reason: str | None = None
    condition: Part | None = None
    depends_on: tuple[str, ...] = ()
    legs: int | None = None
    calls: tuple["ExplainedCall", ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the explanation as JSON values."""
        return {
            "key": self.key,
            "outlook": str(self.outlook),
            "needs": list(self.needs),
            "reason": self.reason,
            "condition": self.condition.to_json() if self.condition is not None else None,
            "depends_on": list(self.depends_on),
            "legs": self.legs,
            "calls": [call.to_json() for call in self.calls],
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplainedCall:
    """The jobs of the workflow that one leg calls; ``name`` is the leg's."""

    name: str
    path: str
    jobs: tuple[JobExplanation, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the call as JSON values."""
        return {"name": self.name, "path": self.path, "jobs": [job.to_json() for job in self.jobs]}


def explain_jobs(
    workflow: Workflow, event_name: str, contexts: Mapping[str, Any], *, secrets: Iterable[Secret] = ()
) -> tuple[JobExplanation, ...]:
    """Return one explanation per job, in the outline's order. ``contexts`` are those of ``outline``."""
    return _settle(workflow, Contexts(contexts), outline(workflow, event_name, contexts), tuple(secrets))


def _settle(
    workflow: Workflow, contexts: Contexts, plan: PlanOutline, secrets: tuple[Secret, ...]
) -> tuple[JobExplanation, ...]:
    settled: dict[JobKey, JobExplanation] = {}
    for told in plan.jobs:
        key = local_key(told.key)
        job = workflow.jobs[key]
        above = {name: settled[name].outlook for name in ancestors(workflow, job) if name in settled}
        settled[key] = replace(
            _explain(job, told, contexts, above, secrets),
            calls=tuple(
                ExplainedCall(
                    name=leg.name,
                    path=inner.path,
                    jobs=_settle(workflow.calls[key], contexts.with_(inputs=inner.inputs), inner, secrets),
                )
                for leg, inner in zip(told.legs or (), told.calls, strict=False)
            ),
        )
    return tuple(settled.values())


def _explain(
    job: Job,
    told: JobOutline,
    contexts: Contexts,
    above: Mapping[JobKey, Outlook],
    secrets: tuple[Secret, ...],
) -> JobExplanation:
    outlook, reason = told.outlook, told.reason or next((item.message for item in told.diagnostics), None)
    condition = _condition(job, contexts, above, secrets)
    if outlook is Outlook.UNKNOWN:
        outlook, reason = _sharpened(condition, above, reason)
    return JobExplanation(
        key=told.key,
        outlook=outlook,
        needs=told.needs,
        reason=reason,
        condition=condition,
        depends_on=_depends_on(job),
        legs=None if told.legs is None or outlook is Outlook.SKIPPED else len(told.legs),
    )


def _condition(
    job: Job, contexts: Contexts, above: Mapping[JobKey, Outlook], secrets: tuple[Secret, ...]
) -> Part | None:
    if job.condition is None:
        return None
    unknown = Unknown(contexts=_NEEDS, functions=_open_functions(job.condition, above))
    results = {key: _ASSUMED.get(known, Conclusion.SUCCESS) for key, known in above.items()}
    scope = scope_of(JobState(contexts=contexts, ancestors=results, cancelled=False))
    return explain(job.condition.expression, scope, unknown=unknown, secrets=secrets)


def _sharpened(
    condition: Part | None, above: Mapping[JobKey, Outlook], reason: str | None
) -> tuple[Outlook, str | None]:
    """Return what is certain of a job that the outline leaves open, and why."""
    stopped = next((f"{str(key)!r} does not run" for key, known in above.items() if known is Outlook.SKIPPED), None)
    if condition is None:
        return (Outlook.UNKNOWN, reason) if stopped is None else (Outlook.SKIPPED, stopped)
    if condition.truth is True:
        return Outlook.RUNS, None
    if condition.truth is False:
        because = "" if stopped is None else f" ({stopped})"
        return Outlook.SKIPPED, f"its 'if' is false whatever the jobs before it find out{because}"
    return Outlook.UNKNOWN, reason


def _open_functions(condition: Condition, above: Mapping[JobKey, Outlook]) -> frozenset[str]:
    """Return ``success`` where it hangs on jobs that may or may not run; that one fails is not assumed."""
    known = set(above.values())
    if Outlook.UNKNOWN not in known:
        return frozenset()
    # One job that does not run or fails makes success() false, but not when it asks about other jobs by name.
    named = any(
        isinstance(node, Call) and node.arguments for node in walk(condition.expression.root) if _is_success(node)
    )
    return frozenset() if not named and known & _ASSUMED.keys() else _SUCCESS


def _is_success(node: Node) -> bool:
    return isinstance(node, Call) and node.function in _SUCCESS


_SUCCESS: Final = frozenset({"success"})
_ASSUMED: Final = {Outlook.SKIPPED: Conclusion.SKIPPED, Outlook.REJECTED: Conclusion.FAILURE}


def _depends_on(job: Job) -> tuple[str, ...]:
    """Return what the ``if`` reads of ``needs``, each once, in the order it is written in."""
    if job.condition is None:
        return ()
    found = {to_source(node): None for path, node in paths_in(job.condition.expression.root) if path[0] == "needs"}
    return tuple(found)
