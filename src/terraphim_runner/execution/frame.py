"""What every part of one job's execution shares."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from terraphim_runner.execution.cancellation import Cancellation
from terraphim_runner.execution.contexts import JobContexts
from terraphim_runner.execution.layout import Layout
from terraphim_runner.execution.masks import Masks
from terraphim_runner.execution.output import LogBudget, OutputProcessor
from terraphim_runner.execution.request import JobRequest
from terraphim_runner.execution.state import JobState
from terraphim_runner.execution.turns import Turn
from terraphim_runner.model.job import LogKind, LogLine
from terraphim_runner.ports import Clock, JobReporter, Session


@dataclass(frozen=True, slots=True, kw_only=True)
class JobFrame:
    """Belongs to one job. ``stop`` is requested when the job is cancelled or over its own time."""

    request: JobRequest
    session: Session
    reporter: JobReporter
    clock: Clock
    layout: Layout
    contexts: JobContexts
    masks: Masks
    budget: LogBudget
    turns: tuple[Turn, ...]
    stop: Cancellation = field(default_factory=Cancellation)
    state: JobState = field(default_factory=JobState)
    environment: dict[str, str] = field(default_factory=dict[str, str])
    """The request's own, then ``env:`` of workflow and job, evaluated; what ``GITHUB_ENV`` adds is in ``state``."""

    def output(self, step: int, environment: dict[str, str]) -> OutputProcessor:
        """Return the processor for one step's output."""
        return OutputProcessor(
            step=step,
            masks=self.masks,
            clock=self.clock,
            limits=self.request.limits,
            budget=self.budget,
            debug=self.request.debug,
            unsecure=environment.get("ACTIONS_ALLOW_UNSECURE_COMMANDS", "").lower() == "true",
            workspace=self.layout.workspace,
            matching=bool(self.state.matchers),
        )

    async def log(self, lines: Sequence[LogLine]) -> None:
        """Report lines that are masked already."""
        if lines:
            await self.reporter.log(lines)

    async def say(self, step: int, kind: LogKind, text: str) -> None:
        """Report the runner's own words, masked."""
        await self.log(self.output(step, {}).say(kind, text))
