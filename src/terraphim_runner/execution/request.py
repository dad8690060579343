"""What a job needs to run."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from terraphim_runner.execution.cancellation import Cancellation
from terraphim_runner.model.secret import Secret
from terraphim_runner.planning.graph import PlannedLeg
from terraphim_runner.ports import SourceTree
from terraphim_runner.workflow.tree import Job, Workflow

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class JobLimits:
    """Bounds on what a job may make the host keep.

    The annotation limits and the summary's size are GitHub's own (documentation: "Usage limits" of workflow commands
    and job summaries); the others are generous bounds that no honest job meets.
    """

    log_bytes: int = 256 * MIB
    line_bytes: int = 64 * 1024
    file_command_bytes: int = 16 * MIB
    summary_bytes: int = 1 * MIB
    annotations_per_level_and_step: int = 10
    annotations_per_job: int = 50
    masks: int = 5_000
    problem_matchers_s: float = 10.0
    """What the problem matchers may take for one step; their expressions are the repository's."""
    interrupt_grace_s: float = 7.5
    """From SIGINT to SIGTERM, as actions/runner waits."""
    terminate_grace_s: float = 2.5
    """From SIGTERM to SIGKILL."""
    cancel_deadline_s: float = 300.0
    """From the request to cancel to the end of everything, ``always()`` steps included: GitHub's five minutes.

    ``cancel-timeout-minutes`` of a job stands above it.
    """

    def cancel_s(self, leg: PlannedLeg) -> float:
        """Return what a leg may take to end once it was cancelled."""
        minutes = leg.cancel_timeout_minutes
        return self.cancel_deadline_s if minutes is None else minutes * 60


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRequest:
    """One leg, ready to run.

    ``contexts`` are the run-wide ones as plain JSON values (``github``, ``vars``, ``inputs``); ``secrets`` are handed
    to the ``secrets`` context and masked everywhere. ``environment`` comes below every ``env:`` of the workflow
    (the ``--env`` of the command line).
    """

    workflow: Workflow
    job: Job
    leg: PlannedLeg
    contexts: Mapping[str, Any]
    source: SourceTree
    cancellation: Cancellation
    needs: Mapping[str, Any] = field(default_factory=dict[str, Any])
    secrets: Mapping[str, Secret] = field(default_factory=dict[str, Secret])
    environment: Mapping[str, str] = field(default_factory=dict[str, str])
    runner_name: str = "terraphim"
    debug: bool = False
    limits: JobLimits = field(default_factory=JobLimits)
