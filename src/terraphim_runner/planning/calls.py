"""Calls of reusable workflows: what is handed down, and what comes back.

https://docs.github.com/en/actions/reference/workflows-and-actions/reusable-workflows
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any, Final

from terraphim_runner.expressions import (
    Array,
    EvaluationError,
    Object,
    Template,
    evaluate_tree,
    kind,
    to_json,
    to_string,
)
from terraphim_runner.expressions import Scope as Names
from terraphim_runner.model.errors import InfrastructureError
from terraphim_runner.model.ids import JobKey
from terraphim_runner.model.secret import Secret
from terraphim_runner.model.source import Span
from terraphim_runner.model.states import Conclusion
from terraphim_runner.planning.evaluation import Evaluator
from terraphim_runner.planning.graph import Conclude, LegSnapshot, PlannedCall, RunSnapshot
from terraphim_runner.planning.outcome import (
    MAX_OUTPUT_BYTES,
    job_outputs,
    job_result,
    needs_context,
    run_conclusion,
)
from terraphim_runner.planning.scopes import Scope, local_key, locate, path_to, scope_of_run
from terraphim_runner.workflow.signature import CallInput, InputType, signature
from terraphim_runner.workflow.tree import CallJob, Job, Workflow

TOKEN: Final = "GITHUB_TOKEN"  # noqa: S105 - the name of a secret
"""The one secret that every called workflow sees."""

MAX_INPUT_BYTES: Final = 4 * 1024 * 1024
"""Of the inputs of one call, roughly: they are stored with it, and may be as many as its workflow declares."""

_RULE: Final = "call"

__all__ = ["JobScope", "call_inputs", "conclude", "job_scope", "locate", "visible_secrets"]


@dataclass(frozen=True, slots=True, kw_only=True)
class JobScope:
    """What a job of a run sees: the workflow it is written in, the run-wide contexts there, and its ``needs``."""

    workflow: Workflow
    job: Job
    contexts: Mapping[str, Any]
    needs: Mapping[str, Any]


def job_scope(workflow: Workflow, run: RunSnapshot, key: JobKey) -> JobScope:
    """Return what a job of the run sees. Its needs must be complete. Raises ``KeyError`` for a job there is not."""
    scope = root = scope_of_run(workflow, run)
    for outer, leg in path_to(root, key):
        scope = outer.below(leg) or scope
    job = scope.workflow.jobs[local_key(key)]
    return JobScope(workflow=scope.workflow, job=job, contexts=scope.run.contexts, needs=needs_context(job, scope.run))


def visible_secrets(
    workflow: Workflow, run: RunSnapshot, key: JobKey, secrets: Mapping[str, Secret]
) -> dict[str, Secret]:
    """Return what a job of the run sees of the run's secrets: for a called workflow's, what was handed down to it.

    As documented for ``secrets: inherit``, only a workflow of the same owner inherits; that two organizations are of
    one enterprise is not known here. Another owner's gets what it is given by name.

    Raises ``InfrastructureError`` when what is handed down does not evaluate, ``KeyError`` for a job there is not.
    """
    visible = dict(secrets)
    token = {name: secret for name, secret in secrets.items() if name.upper() == TOKEN}
    for scope, leg in path_to(scope_of_run(workflow, run), key):
        job = scope.workflow.jobs[local_key(leg.leg.job)]
        if isinstance(job, CallJob) and not (job.inherits_secrets and _is_of_one_owner(scope, job)):
            visible = {**token, **_handed_down(scope, job, leg, visible)}
    return visible


def _is_of_one_owner(scope: Scope, job: CallJob) -> bool:
    """Tell whether a workflow and the one that its job calls are of repositories of one owner."""
    called = scope.workflow.calls[job.key].origin
    if called is None:
        # Of the run's own repository, at its commit; so is whoever calls it by its path alone.
        return scope.workflow.origin is None
    origin = scope.workflow.origin
    github: Mapping[str, Any] = scope.run.contexts.get("github") or {}
    own = origin.repository if origin is not None else str(github.get("repository") or "")
    return own.partition("/")[0].lower() == called.repository.partition("/")[0].lower()


def _handed_down(scope: Scope, job: CallJob, leg: LegSnapshot, secrets: Mapping[str, Secret]) -> dict[str, Secret]:
    names = Names(
        contexts=scope.contexts.with_(
            needs=needs_context(job, scope.run),
            matrix=leg.leg.matrix,
            strategy=leg.leg.strategy,
            secrets={name: secret.reveal() for name, secret in secrets.items()},
        )
    )
    found: dict[str, Secret] = {}
    for name, template in job.secrets.items():
        try:
            value = to_string(evaluate_tree(template, names))
        except EvaluationError as error:
            raise InfrastructureError(
                doing=f"hand the secret {name!r} to the workflow that job {job.key!r} calls", reason=error.message
            ) from None
        if value:
            found[name] = Secret(value)
    return found


def call_inputs(job: CallJob, called: Workflow, evaluator: Evaluator) -> dict[str, Any]:
    """Return the ``inputs`` context of a call as JSON; what does not fit is a diagnostic of the evaluator's.

    The evaluator sees what ``with`` sees. Any scalar is taken for a string; nothing else is converted. What has more
    than ``MAX_INPUT_BYTES`` together does not fit either.
    """
    takes = signature(called)
    if takes is None:
        evaluator.problem(job.uses_span, _RULE, f"{job.uses!r} cannot be called: it has no 'on: workflow_call'")
        return {}
    given = {name.lower(): (name, template) for name, template in job.with_.items()}
    values: dict[str, Any] = {}
    size_bytes = 0
    for wanted in takes.inputs.values():
        _, template = given.pop(wanted.name.lower(), (wanted.name, None))
        if template is not None:
            values[wanted.name] = _typed(wanted, template, f"the input {wanted.name!r}", template.span, evaluator)
        elif wanted.required:
            message = f"{job.uses!r} requires the input {wanted.name!r}; expected it in 'with'"
            evaluator.problem(job.uses_span, _RULE, message)
        elif wanted.default is not None:
            what = f"the default of the input {wanted.name!r}"
            values[wanted.name] = _typed(wanted, wanted.default, what, job.uses_span, evaluator)
        else:
            values[wanted.name] = _EMPTY[wanted.type]
        size_bytes += input_bytes({wanted.name: values.get(wanted.name)})
        if size_bytes > MAX_INPUT_BYTES:
            message = f"the inputs of {job.uses!r} have more than {MAX_INPUT_BYTES} bytes; expected less"
            evaluator.problem(job.uses_span, _RULE, message)
            return {}
    known = ", ".join(map(repr, takes.inputs)) or "none"
    for name, template in given.values():
        evaluator.problem(template.span, _RULE, f"found the input {name!r}; {job.uses!r} takes {known}")
    return values


def input_bytes(inputs: Mapping[str, Any]) -> int:
    """Return what the inputs of a call take, roughly."""
    return sum(16 + len(name) + (len(value) if isinstance(value, str) else 0) for name, value in inputs.items())


_EMPTY: Final = {InputType.STRING: "", InputType.BOOLEAN: False, InputType.NUMBER: 0}


def _typed(wanted: CallInput, template: Template, what: str, span: Span, evaluator: Evaluator) -> Any:
    before = len(evaluator.diagnostics)
    value = evaluator.value(what, template, span)
    if len(evaluator.diagnostics) > before:
        return None
    match wanted.type:
        case InputType.STRING if not isinstance(value, Array | Object):
            return to_string(value)
        case InputType.BOOLEAN if isinstance(value, bool):
            return value
        case InputType.NUMBER if isinstance(value, float) and isfinite(value):
            return to_json(value)
        case _:
            fix = "convert it with fromJSON(…)" if isinstance(value, str) and value else None
            message = f"{what} is a value of kind {kind(value)}; expected a {wanted.type}"
            evaluator.problem(span, _RULE, message, fix)
            return None


def conclude(scope: Scope, call: PlannedCall) -> Conclude:
    """Return how a call ended whose jobs are all complete; ``scope`` is that of the called workflow.

    It failed when an output does not evaluate, or the outputs are larger than a job's may be.
    """
    conclusion = run_conclusion(scope.run.jobs, cancelled=scope.run.cancelled)
    takes = signature(scope.workflow)
    wanted: Mapping[str, Template] = takes.outputs if takes is not None else {}
    jobs = {
        key: {"result": str(job_result(job) or Conclusion.FAILURE), "outputs": job_outputs(job)}
        for key, job in scope.run.jobs.items()
    }
    evaluator = Evaluator(scope.workflow.path, scope.contexts.with_(jobs=jobs))
    outputs: dict[str, str] = {}
    size_bytes = 0
    for name, template in wanted.items():
        outputs[name] = to_string(evaluator.value(f"the output {name!r}", template, template.span))
        # As it is counted of a job's own outputs: the size of their JSON.
        size_bytes += len(json.dumps({name: outputs[name]}))
        if size_bytes > MAX_OUTPUT_BYTES:
            message = f"the outputs of the workflow have more than {MAX_OUTPUT_BYTES} bytes; expected less"
            evaluator.problem(template.span, _RULE, message)
            break
    if evaluator.diagnostics:
        return Conclude(leg=call.key, conclusion=Conclusion.FAILURE, diagnostics=tuple(evaluator.diagnostics))
    return Conclude(leg=call.key, conclusion=conclusion, outputs=outputs)
