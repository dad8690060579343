"""A job → its planned legs: strategy, name, runs-on, timeout and continue-on-error evaluated, and checked."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any, Final

from terraphim_runner.expressions import Array, Object, Template, Value, kind, to_string
from terraphim_runner.model.ids import LegKey
from terraphim_runner.model.source import Diagnostic, Span
from terraphim_runner.planning.calls import call_inputs, input_bytes
from terraphim_runner.planning.evaluation import Contexts, Evaluator, first_span
from terraphim_runner.planning.graph import Planned, PlannedCall, PlannedLeg
from terraphim_runner.planning.groups import distinct, planned_group
from terraphim_runner.planning.matrix import Combination, MatrixError, expand
from terraphim_runner.planning.scopes import Scope, leg_key
from terraphim_runner.workflow.tree import CallJob, Job

DEFAULT_TIMEOUT_MINUTES: Final = 360.0
MAX_TIMEOUT_MINUTES: Final = 35 * 24 * 60.0
"""No run of GitHub's lives longer than 35 days; a longer timeout means this one."""

MAX_CANCEL_TIMEOUT_MINUTES: Final = 60.0
"""However long a workflow asks for: somebody who cancels waits for it."""

MAX_NAME_LENGTH: Final = 100
MAX_LABELS: Final = 64
MAX_LABEL_LENGTH: Final = 256
MAX_ENVIRONMENT_LENGTH: Final = 255

MAX_INPUT_BYTES: Final = 16 * 1024 * 1024
"""Of the inputs of all legs of one call together, roughly: each is stored with its own copy."""

_STRATEGY_KEYS: Final = ("matrix", "fail-fast", "max-parallel")
_UNPRINTABLE: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedLegs:
    """Either the legs, none when the matrix excludes everything, or why there cannot be any."""

    legs: tuple[Planned, ...] = ()
    diagnostics: tuple[Diagnostic, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Strategy:
    fail_fast: bool
    max_parallel: int
    combinations: tuple[Combination, ...] | None
    """None without a matrix."""


def plan_legs(scope: Scope, job: Job, contexts: Contexts) -> PlannedLegs:
    """Expand a job whose needs are complete. ``contexts`` hold ``github``, ``inputs``, ``vars`` and ``needs``.

    Leg keys are ``build`` without a matrix, ``build/0`` … with one. Never raises for what a workflow says: the
    diagnostics of the first leg that cannot be planned are all of that leg's.
    """
    workflow = scope.workflow
    evaluator = Evaluator(workflow.path, contexts)
    strategy = _strategy(job, evaluator)
    if evaluator.diagnostics:
        return PlannedLegs(diagnostics=tuple(evaluator.diagnostics))
    if strategy.combinations is None:
        combinations: tuple[Combination, ...] = (Combination(values={}, words=()),)
    else:
        combinations = strategy.combinations
    legs: list[Planned] = []
    size_bytes = 0
    for index, combination in enumerate(combinations):
        context = {
            "fail-fast": strategy.fail_fast,
            "job-index": index,
            "job-total": len(combinations),
            "max-parallel": strategy.max_parallel or len(combinations),
        }
        evaluator = Evaluator(workflow.path, contexts.with_(strategy=context, matrix=combination.values or None))
        part = _Part(
            scope=scope,
            job=job,
            key=leg_key(scope.key(job.key), None if strategy.combinations is None else index),
            combination=combination,
            strategy=context,
        )
        if isinstance(job, CallJob):
            leg = _call(part, job, evaluator)
            size_bytes += input_bytes(leg.inputs)
            if size_bytes > MAX_INPUT_BYTES:
                message = f"the inputs of all its legs have more than {MAX_INPUT_BYTES} bytes; expected less"
                evaluator.problem(job.uses_span, "call", message)
        else:
            leg = _leg(part, evaluator)
        if evaluator.diagnostics:
            return PlannedLegs(diagnostics=tuple(evaluator.diagnostics))
        legs.append(leg)
    return PlannedLegs(legs=tuple(legs))


def _strategy(job: Job, evaluator: Evaluator) -> _Strategy:
    strategy = job.strategy
    if strategy is None:
        return _Strategy(fail_fast=True, max_parallel=0, combinations=None)
    if strategy.whole is not None:
        return _computed_strategy(strategy.whole, evaluator)
    fail_fast = _boolean("fail-fast", strategy.fail_fast, evaluator, default=True)
    limit = _number("max-parallel", strategy.max_parallel, evaluator, default=0.0)
    combinations: tuple[Combination, ...] | None = None
    if strategy.matrix is not None:
        span = first_span(strategy.matrix, strategy.span)
        before = len(evaluator.diagnostics)
        matrix = evaluator.value("the matrix", strategy.matrix, span)
        if len(evaluator.diagnostics) == before:
            combinations = _combinations(matrix, span, evaluator)
    return _Strategy(fail_fast=fail_fast, max_parallel=_limit(limit), combinations=combinations)


def _computed_strategy(whole: Template, evaluator: Evaluator) -> _Strategy:
    """Return what one expression yields for all of ``strategy``; a null in it is a key that is not there."""
    span = whole.span
    found = _typed("strategy", whole, evaluator, Object, "an object")
    values = found if isinstance(found, Object) else Object({})
    for name in values:
        if name.lower() not in _STRATEGY_KEYS:
            known = ", ".join(map(repr, _STRATEGY_KEYS))
            evaluator.problem(span, "strategy", f"'strategy' evaluates to an object with {name!r}; expected {known}")
    fail_fast, limit, matrix = values.get("fail-fast"), values.get("max-parallel"), values.get("matrix")
    if not isinstance(fail_fast, bool | None):
        message = f"'fail-fast' evaluates to a value of kind {kind(fail_fast)}; expected true or false"
        evaluator.problem(span, "fail-fast", message)
    if limit is not None and not (isinstance(limit, float) and isfinite(limit)):
        message = f"'max-parallel' evaluates to a value of kind {kind(limit)}; expected a finite number"
        evaluator.problem(span, "max-parallel", message)
        limit = None
    return _Strategy(
        fail_fast=fail_fast is not False,
        max_parallel=_limit(limit if isinstance(limit, float) else 0.0),
        combinations=None if matrix is None else _combinations(matrix, span, evaluator),
    )


def _limit(number: float) -> int:
    """As with GitHub, no positive number means no limit."""
    return max(0, int(min(number, 1e6)))


def _combinations(matrix: Value, span: Span, evaluator: Evaluator) -> tuple[Combination, ...] | None:
    try:
        return expand(matrix)
    except MatrixError as error:
        evaluator.problem(span, "matrix", str(error))
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """One leg to be planned."""

    scope: Scope
    job: Job
    key: LegKey
    combination: Combination
    strategy: Mapping[str, Any]

    def name(self, evaluator: Evaluator) -> str:
        return f"{self.scope.title}{_name(self.job, self.combination, evaluator)}"


def _leg(part: _Part, evaluator: Evaluator) -> PlannedLeg:
    job = part.job
    return PlannedLeg(
        key=part.key,
        job=part.scope.key(job.key),
        name=part.name(evaluator),
        labels=_labels(job, evaluator),
        matrix=part.combination.values,
        strategy=part.strategy,
        timeout_minutes=_timeout(job, evaluator),
        continue_on_error=_boolean("continue-on-error", job.continue_on_error, evaluator, default=False),
        groups=distinct([planned_group(job.concurrency, evaluator)]),
        environment=_environment(job, evaluator),
        cancel_timeout_minutes=_cancel_timeout(job, evaluator),
    )


def _call(part: _Part, job: CallJob, evaluator: Evaluator) -> PlannedCall:
    """Plan a call; the groups of the called workflow are its, too, for it begins when they do."""
    called = part.scope.workflow.calls.get(job.key)
    inputs: dict[str, Any] = {}
    groups = [planned_group(job.concurrency, evaluator)]
    if called is None:
        evaluator.problem(job.uses_span, "call", f"the workflow {job.uses!r} was not fetched")
    else:
        inputs = call_inputs(job, called, evaluator)
        inner = Evaluator(called.path, part.scope.contexts.with_(inputs=inputs))
        groups.append(planned_group(called.concurrency, inner))
        evaluator.diagnostics += inner.diagnostics
    return PlannedCall(
        key=part.key,
        job=part.scope.key(job.key),
        name=part.name(evaluator),
        matrix=part.combination.values,
        strategy=part.strategy,
        inputs=inputs,
        groups=distinct(groups),
    )


def _environment(job: Job, evaluator: Evaluator) -> str | None:
    """Return the environment's name; an empty one means that there is none."""
    if job.environment is None:
        return None
    span = job.environment.name.span
    value = evaluator.value("'environment'", job.environment.name, span)
    if isinstance(value, Object):
        value = value.get("name")
    if isinstance(value, Array | Object):
        evaluator.problem(span, "environment", f"'environment' has a name of kind {kind(value)}; expected a string")
        return None
    name = to_string(value)
    if len(name) > MAX_ENVIRONMENT_LENGTH:
        message = f"'environment' has {len(name)} characters; expected at most {MAX_ENVIRONMENT_LENGTH}"
        evaluator.problem(span, "environment", message)
    return name or None


def _name(job: Job, combination: Combination, evaluator: Evaluator) -> str:
    """A name with expressions is used as it is; any other gets the leg's values appended."""
    written = to_string(evaluator.value("the name", job.name, job.name.span)) if job.name is not None else ""
    if job.name is not None and not job.name.is_literal and written.strip():
        name = written
    else:
        name = written if job.name is not None and job.name.is_literal and written.strip() else str(job.key)
        if combination.words:
            name = f"{name} ({', '.join(combination.words)})"
    name = _UNPRINTABLE.sub(" ", name).strip()
    return name if len(name) <= MAX_NAME_LENGTH else name[: MAX_NAME_LENGTH - 3] + "..."


def _labels(job: Job, evaluator: Evaluator) -> tuple[str, ...]:
    """A runner group becomes the label ``group:<name>``, so that only a host that carries it takes the job."""
    span = first_span(job.runs_on, job.span)
    before = len(evaluator.diagnostics)
    value = evaluator.value("'runs-on'", job.runs_on, span)
    if len(evaluator.diagnostics) > before:
        return ()
    group: Value = None
    if isinstance(value, Object):
        group, value = value.get("group"), value.get("labels")
    items = list(value) if isinstance(value, Array) else [] if value is None else [value]
    labels = [_label(item, span, evaluator) for item in items]
    if group is not None:
        labels.append(f"group:{_label(group, span, evaluator)}")
    if not labels:
        evaluator.problem(span, "runs-on", "'runs-on' names no label; expected at least one, such as 'ubuntu-latest'")
    if len(labels) > MAX_LABELS:
        evaluator.problem(span, "runs-on", f"'runs-on' names {len(labels)} labels; expected at most {MAX_LABELS}")
    return tuple(dict.fromkeys(labels))


def _label(value: Value, span: Span, evaluator: Evaluator) -> str:
    text = "" if isinstance(value, Array | Object) else to_string(value)
    if not text.strip():
        found = f"a value of kind {kind(value)}" if not isinstance(value, str) else "an empty label"
        evaluator.problem(span, "runs-on", f"'runs-on' has {found}; expected a label such as 'ubuntu-latest'")
    elif len(text) > MAX_LABEL_LENGTH:
        evaluator.problem(span, "runs-on", f"a label of 'runs-on' is longer than {MAX_LABEL_LENGTH} characters")
    return text


def _timeout(job: Job, evaluator: Evaluator) -> float:
    """As with a step's, zero and less means no limit of the job's own: the default stands."""
    minutes = _number("timeout-minutes", job.timeout_minutes, evaluator, default=DEFAULT_TIMEOUT_MINUTES)
    return min(minutes, MAX_TIMEOUT_MINUTES) if minutes > 0 else DEFAULT_TIMEOUT_MINUTES


def _cancel_timeout(job: Job, evaluator: Evaluator) -> float | None:
    if job.cancel_timeout_minutes is None:
        return None
    minutes = _number("cancel-timeout-minutes", job.cancel_timeout_minutes, evaluator, default=0.0)
    if minutes < 0:
        message = f"'cancel-timeout-minutes' is {to_string(minutes)}; expected 0 or more"
        evaluator.problem(job.cancel_timeout_minutes.span, "timeout-minutes", message)
    return min(minutes, MAX_CANCEL_TIMEOUT_MINUTES)


def _boolean(key: str, template: Template | None, evaluator: Evaluator, *, default: bool) -> bool:
    if template is None:
        return default
    value = _typed(key, template, evaluator, bool, "true or false")
    return value if isinstance(value, bool) else default


def _number(key: str, template: Template | None, evaluator: Evaluator, *, default: float) -> float:
    if template is None:
        return default
    value = _typed(key, template, evaluator, float, "a number")
    if not isinstance(value, float):
        return default
    if not isfinite(value):
        evaluator.problem(template.span, key, f"{key!r} is {to_string(value)}; expected a finite number")
        return default
    return value


def _typed(key: str, template: Template, evaluator: Evaluator, wanted: type, expected: str) -> Value:
    before = len(evaluator.diagnostics)
    value = evaluator.value(repr(key), template, template.span)
    if len(evaluator.diagnostics) == before and not isinstance(value, wanted):
        hint = "convert it with fromJSON(…)" if isinstance(value, str) else None
        message = f"{key!r} evaluates to a value of kind {kind(value)}; expected {expected}"
        evaluator.problem(template.span, key, message, hint)
    return value
