"""``unknown-step``: ``steps.<id>`` names a step that the job does not have, or that has not run yet.

GitHub makes nothing of it: the value is empty. A step sees those before it; a job's outputs see all of its steps.
"""

from collections.abc import Iterator, Mapping
from typing import Final

from terraphim_runner.expressions.paths import ANY, paths_in
from terraphim_runner.expressions.printing import to_source
from terraphim_runner.model.source import Related
from terraphim_runner.workflow.fields import MAX_DEFINED, guess
from terraphim_runner.workflow.lint.subject import Finding, JobSpots, Spot, Subject
from terraphim_runner.workflow.tree import Step

ID: Final = "unknown-step"
SUMMARY: Final = "a reference to a step that does not exist or comes later"


def check(subject: Subject) -> Iterator[Finding]:
    """Look at each expression of each job."""
    for item in subject.jobs.values():
        yield from _job(subject, item)


def _job(subject: Subject, item: JobSpots) -> Iterator[Finding]:
    ids = {step.id.lower(): step for step, _ in item.steps if step.id is not None}
    for spot in item.own:
        yield from _judge(subject, spot, ids, ids)
    before: dict[str, Step] = {}
    for step, spots in item.steps:
        for spot in spots:
            yield from _judge(subject, spot, ids, before)
        if step.id is not None:
            before[step.id.lower()] = step


def _judge(subject: Subject, spot: Spot, ids: Mapping[str, Step], before: Mapping[str, Step]) -> Iterator[Finding]:
    for path, node in paths_in(spot.expression.root):
        if path[0] != "steps" or len(path) < 2 or path[1] == ANY or path[1] in before:
            continue
        span = subject.place(spot, node)
        later = ids.get(path[1])
        if later is not None:
            message = f"found {to_source(node)!r}, but that step has not run yet: the value is empty"
            yield Finding(span=span, message=message, related=(Related(message="the step", span=later.span),))
            continue
        nearest = guess(path[1], [str(step.id) for step in ids.values()], most=MAX_DEFINED)
        yield Finding(span=span, message=f"found {to_source(node)!r}, but no step of the job has that id{nearest}")
