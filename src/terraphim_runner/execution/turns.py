"""The order of a job's steps, each with its number. ``parallel`` is taken apart here: nobody after this knows of it."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from terraphim_runner.workflow.tree import CancelStep, ParallelStep, RunStep, Step, UsesStep, WaitStep


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One step when it is its turn. ``targets`` are the numbers of the steps that it waits for or cancels."""

    number: int
    step: Step
    targets: tuple[int, ...] = ()


def turns(steps: Iterable[Step]) -> tuple[Turn, ...]:
    """Return the steps in order, numbered from 1; ``parallel`` is its steps in the background, then a wait for them."""
    ordered: list[Turn] = []
    numbers: dict[str, int] = {}
    for step, group in _unfolded(steps):
        number = len(ordered) + 1
        names: tuple[str, ...] = ()
        if isinstance(step, WaitStep):
            names = tuple(target.step for target in step.targets)
        elif isinstance(step, CancelStep):
            names = (step.target.step,)
        targets = tuple(numbers[name] for name in names if name in numbers)
        # A wait that ends a group is for the steps right before it, which need not have ids.
        ordered.append(Turn(number=number, step=step, targets=targets or tuple(range(number - group, number))))
        if step.id is not None:
            numbers[step.id] = number
    return tuple(ordered)


def _unfolded(steps: Iterable[Step]) -> Iterator[tuple[Step, int]]:
    """Yield each step, and for the wait that ends a group how many steps the group has."""
    for step in steps:
        if not isinstance(step, ParallelStep):
            yield step, 0
            continue
        for member in step.steps:
            yield (replace(member, background=True) if isinstance(member, RunStep | UsesStep) else member), 0
        yield WaitStep(span=step.span, targets=()), len(step.steps)
