"""``concurrency``: the group in which a run or a job waits for others, and what happens to those that wait."""

from typing import Final

from terraphim_runner.expressions import Availability
from terraphim_runner.model.source import Related
from terraphim_runner.workflow import nodes
from terraphim_runner.workflow.fields import Shape, expected, one_of
from terraphim_runner.workflow.findings import Findings
from terraphim_runner.workflow.nodes import Entry, Scalar, Sequence
from terraphim_runner.workflow.templates import boolean, expression, is_expression, template
from terraphim_runner.workflow.tree import Concurrency, Queue

_SHAPE: Final = Shape(what="'concurrency'", keys=("group", "cancel-in-progress", "queue"), required=("group",))


def parse_concurrency(findings: Findings, entry: Entry, allowed: Availability) -> Concurrency | None:
    """Return the group and its rules; None, noted, when there is no group."""
    node, span = entry.value, findings.source.of(entry.key)
    if isinstance(node, Sequence):
        expected(findings, node, "'concurrency' as a string or a mapping")
        return None
    if not isinstance(node, nodes.Mapping):
        group = template(findings, node, "'concurrency'", allowed, may_be_empty=False)
        return None if group is None else Concurrency(group=group, span=span)
    entries = _SHAPE.read(findings, node, place=entry.key) or {}
    cancel, queue = entries.get("cancel-in-progress"), entries.get("queue")
    cancels = boolean(findings, cancel.value, "'cancel-in-progress'", allowed) if cancel else None
    computed = expression(findings, queue.value, "'queue'", allowed) if queue and is_expression(queue.value) else None
    name = one_of(findings, queue.value, "'queue'", tuple(Queue)) if queue and not is_expression(queue.value) else None
    if cancel and queue and name == Queue.MAX and isinstance(cancel.value, Scalar) and cancel.value.value is True:
        related = Related(message="'cancel-in-progress' stands here", span=findings.source.of(cancel.key))
        message = "found 'queue: max' with 'cancel-in-progress: true', expected one of them"
        findings.error(queue.key, "concurrency-queue", message, related=(related,))
    if "group" not in entries:
        return None
    group = template(findings, entries["group"].value, "'group'", allowed, may_be_empty=False)
    if group is None:
        return None
    return Concurrency(
        group=group,
        span=span,
        cancel_in_progress=cancels,
        queue=Queue(name) if name in tuple(Queue) else Queue.SINGLE,
        queue_expression=computed,
    )
