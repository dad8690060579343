"""``concurrency`` of a run, a job or a called workflow: its group, with the expressions evaluated.

Who may go on in a group is decided in ``concurrency``.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from terraphim_runner.expressions import Array, Object, Value, kind, to_string
from terraphim_runner.model.source import Diagnostic
from terraphim_runner.planning.evaluation import Contexts, Evaluator
from terraphim_runner.planning.graph import PlannedGroup
from terraphim_runner.workflow.tree import Concurrency, Queue, Workflow

MAX_NAME_LENGTH: Final = 400
_KEYS: Final = ("group", "cancel-in-progress", "queue")
_RULE: Final = "concurrency"


def run_group(workflow: Workflow, contexts: Mapping[str, Any]) -> PlannedGroup | tuple[Diagnostic, ...] | None:
    """Return the group of a whole run; None when it waits for nobody; diagnostics when it does not evaluate.

    ``contexts`` are the run-wide ones as JSON: ``github``, ``inputs`` and ``vars``.
    """
    evaluator = Evaluator(workflow.path, Contexts(contexts))
    group = planned_group(workflow.concurrency, evaluator)
    return tuple(evaluator.diagnostics) or group


def planned_group(concurrency: Concurrency | None, evaluator: Evaluator) -> PlannedGroup | None:
    """Return the group; None without one, and, with a diagnostic of the evaluator's, for one that is no group."""
    if concurrency is None:
        return None
    before = len(evaluator.diagnostics)
    found = evaluator.value("'concurrency'", concurrency.group, concurrency.group.span)
    cancel: Value = None
    if concurrency.cancel_in_progress is not None:
        cancel = evaluator.value("'cancel-in-progress'", concurrency.cancel_in_progress, concurrency.span)
    queue: Value = concurrency.queue.value
    if concurrency.queue_expression is not None:
        queue = evaluator.value("'queue'", concurrency.queue_expression, concurrency.queue_expression.span)
    if isinstance(found, Object):
        for name in found:
            if name.lower() not in _KEYS:
                known = ", ".join(map(repr, _KEYS))
                _problem(concurrency, evaluator, f"evaluates to an object with {name!r}; expected {known}")
        cancel = found.get("cancel-in-progress")
        queue = Queue.SINGLE.value if found.get("queue") is None else found.get("queue")
        found = found.get("group")
    if len(evaluator.diagnostics) > before:
        return None
    group = _checked(concurrency, evaluator, found, cancel, queue)
    return group if len(evaluator.diagnostics) == before else None


def _checked(
    concurrency: Concurrency, evaluator: Evaluator, name: Value, cancel: Value, queue: Value
) -> PlannedGroup | None:
    text = "" if isinstance(name, Array | Object) else to_string(name)
    if not text:
        found = f"a value of kind {kind(name)}" if isinstance(name, Array | Object) else "an empty string"
        _problem(concurrency, evaluator, f"has {found} as its group; expected a name")
    if len(text) > MAX_NAME_LENGTH:
        _problem(concurrency, evaluator, f"has a group of {len(text)} characters; expected at most {MAX_NAME_LENGTH}")
    if not isinstance(cancel, bool | None):
        _problem(concurrency, evaluator, f"has 'cancel-in-progress' of kind {kind(cancel)}; expected true or false")
    if queue not in tuple(Queue):
        _problem(concurrency, evaluator, f"has the queue {_shown(queue)}; expected 'single' or 'max'")
        return None
    if queue == Queue.MAX and cancel is True:
        _problem(concurrency, evaluator, "has 'queue: max' and 'cancel-in-progress: true'; expected one of them")
    return PlannedGroup(name=text, cancel_in_progress=cancel is True, queue=Queue(queue))


def _shown(value: Value) -> str:
    return f"of kind {kind(value)}" if isinstance(value, Array | Object) else repr(to_string(value)[:40])


def _problem(concurrency: Concurrency, evaluator: Evaluator, message: str) -> None:
    evaluator.problem(concurrency.group.span, _RULE, f"'concurrency' {message}")


def distinct(groups: Iterable[PlannedGroup | None]) -> tuple[PlannedGroup, ...]:
    """Return the groups that there are, each name once, as their names sort: everybody asks in the same order.

    Of two with one name the stricter rules count: whoever cancels what is in progress does so under either.
    """
    found: dict[str, PlannedGroup] = {}
    for group in groups:
        if group is None:
            continue
        known = found.get(group.name.casefold())
        if known is None or group.cancel_in_progress:
            found[group.name.casefold()] = group
    return tuple(found[name] for name in sorted(found))
