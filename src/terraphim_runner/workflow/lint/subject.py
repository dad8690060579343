"""A workflow as the rules see it: every expression with its place in the file, found once and shared."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from functools import cache, cached_property
from typing import Final, cast

from terraphim_runner.expressions import Expression, Template
from terraphim_runner.expressions.paths import begin_of
from terraphim_runner.expressions.printing import to_source
from terraphim_runner.expressions.tree import Node
from terraphim_runner.model.ids import JobKey
from terraphim_runner.model.source import Related, Span
from terraphim_runner.workflow.lint.own_actions import OwnAction, own_actions
from terraphim_runner.workflow.metadata.linking import LinkedAction
from terraphim_runner.workflow.nodes import Scalar
from terraphim_runner.workflow.text import SourceText
from terraphim_runner.workflow.tree import Condition, Job, Step, Workflow, all_steps
from terraphim_runner.workflow.unfolding import offsets_of

_STYLE: Final = re.compile(r"(?:[&!]\S*\s+)*([|>'\"])")
"""A scalar's first character after its anchor and tag, where it is quoted or a block."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What a rule found; ``lint`` adds the path, the rule's id and the severity."""

    span: Span
    message: str
    fix: str | None = None
    related: tuple[Related, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Spot:
    """One expression. ``content`` is the text of the scalar at ``span`` that it stands in."""

    expression: Expression
    content: str
    span: Span


@dataclass(frozen=True, slots=True, kw_only=True)
class JobSpots:
    """A job's expressions: its own, and those of each step in order, the steps within ``parallel`` among them."""

    job: Job
    own: tuple[Spot, ...]
    steps: tuple[tuple[Step, tuple[Spot, ...]], ...]


class Subject:
    """The workflow, and what several rules ask of it. Computed when first asked for; never changes."""

    def __init__(self, workflow: Workflow, actions: Mapping[str, LinkedAction] | None = None) -> None:
        self.workflow = workflow
        self._actions = actions or {}
        self._located: tuple[Span, list[int]] | None = None

    @cached_property
    def events(self) -> frozenset[str]:
        """The events that trigger the workflow."""
        return frozenset(trigger.event for trigger in self.workflow.triggers)

    @cached_property
    def jobs(self) -> Mapping[JobKey, JobSpots]:
        return {key: _job_spots(job) for key, job in self.workflow.jobs.items()}

    @cached_property
    def env(self) -> tuple[Spot, ...]:
        """The expressions of the workflow's own ``env``."""
        return tuple(spots_in(self.workflow.env))

    @cached_property
    def own_actions(self) -> tuple[OwnAction, ...]:
        """The steps that use an action of the workflow's own repository, as far as its files are known."""
        return tuple(own_actions(self.workflow, self._actions))

    @cached_property
    def _source(self) -> SourceText:
        return SourceText(self.workflow.source)

    def place(self, spot: Spot, node: Node) -> Span:
        """Return where in the file a part of an expression stands."""
        offset = spot.expression.offset + begin_of(node)
        return self.inside(spot.span, spot.content, offset, len(to_source(node)))

    def inside(self, span: Span, content: str, offset: int, length: int) -> Span:
        """Return where a part of a scalar's content stands; the scalar's own span when that cannot be told."""
        places = self._places(span, content)
        if offset >= len(places):
            return span
        last = places[min(offset + max(length, 1), len(places)) - 1]
        return self._source.span(places[offset], last + 1)

    def _places(self, span: Span, content: str) -> list[int]:
        # A long script may have many findings: its characters are looked up once.
        if self._located is None or self._located[0] != span:
            source = self._source
            start, end = source.offset(span.start), source.offset(span.end)
            style = _STYLE.match(source.text, start, end)
            scalar = Scalar(start, end, content, style[1] if style else "", None)
            self._located = (span, offsets_of(source.text, scalar))
        return self._located[1]


def spots_in(part: object) -> Iterator[Spot]:
    """Yield every expression in a part of the tree, whatever keys it has."""
    if isinstance(part, Template):
        for expression in part.expressions:
            yield Spot(expression=expression, content=part.source, span=part.span)
    elif isinstance(part, Condition):
        yield Spot(expression=part.expression, content=part.source, span=part.span)
    elif isinstance(part, Mapping):
        for item in cast("Mapping[object, object]", part).values():
            yield from spots_in(item)
    elif isinstance(part, tuple):
        for item in cast("tuple[object, ...]", part):
            yield from spots_in(item)
    elif is_dataclass(part) and not isinstance(part, Span):
        for name in _names(type(part)):
            yield from spots_in(getattr(part, name))


@cache
def _names(kind: type) -> tuple[str, ...]:
    return tuple(field.name for field in fields(kind))


def _job_spots(job: Job) -> JobSpots:
    own = [spot for name in _names(type(job)) if name != "steps" for spot in spots_in(getattr(job, name))]
    return JobSpots(
        job=job, own=tuple(own), steps=tuple((step, tuple(spots_in(step))) for step in all_steps(job.steps))
    )
