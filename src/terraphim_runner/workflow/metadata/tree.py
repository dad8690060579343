"""The syntax tree of an action's metadata: all that running the action needs, and what its pages show.

Frozen; each part knows its place in the file. Text that may hold expressions is a ``Template``, parsed already.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from terraphim_runner.expressions import Template
from terraphim_runner.model.source import Span
from terraphim_runner.workflow.tree import Condition, RunStep, UsesStep

REGISTRY: Final = "docker://"


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionInput:
    """One of ``inputs``. ``name`` is as written; names compare without case.

    ``required`` is a promise to readers: GitHub runs the action without the input all the same.
    """

    name: str
    span: Span
    description: str | None = None
    required: bool = False
    default: Template | None = None
    """None means the empty string."""
    deprecation_message: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionOutput:
    """One of ``outputs``. ``value`` counts in a composite action only; other actions set their outputs themselves."""

    name: str
    span: Span
    description: str | None = None
    value: Template | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Branding:
    icon: str | None = None
    color: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CompositeRuns:
    """The steps run in the caller's job, one after the other; their ids are known among themselves only."""

    span: Span
    steps: tuple[RunStep | UsesStep, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeRuns:
    """Scripts for Node.js. ``using`` is one of ``NODE_RUNTIMES``.

    The conditions are as written, without an implied ``success()``; None means ``always()``.
    """

    span: Span
    using: str
    main: str
    pre: str | None = None
    pre_if: Condition | None = None
    post: str | None = None
    post_if: Condition | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DockerRuns:
    """A container: ``image`` is a Dockerfile's path within the action, or ``docker://…``.

    The conditions are as written, without an implied ``success()``; None means ``always()``.
    """

    span: Span
    image: str
    entrypoint: str | None = None
    args: tuple[Template, ...] = ()
    env: Mapping[str, Template] = field(default_factory=dict[str, Template])
    pre_entrypoint: str | None = None
    pre_if: Condition | None = None
    post_entrypoint: str | None = None
    post_if: Condition | None = None

    @property
    def registry_image(self) -> str | None:
        """The image as a registry knows it; None when it has to be built."""
        prefix = self.image[: len(REGISTRY)]
        return self.image[len(REGISTRY) :] if prefix.lower() == REGISTRY else None


@dataclass(frozen=True, slots=True, kw_only=True)
class PluginRuns:
    """What GitHub builds into its own runner; its first ``actions/checkout`` was one."""

    span: Span
    plugin: str


ActionRuns = CompositeRuns | NodeRuns | DockerRuns | PluginRuns

NODE_RUNTIMES: Final = ("node12", "node16", "node20", "node24")


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """One valid metadata file. Inputs and outputs are keyed by their names as written, in the file's order."""

    path: str
    source: str
    """The file's text, for excerpts in diagnostics."""
    runs: ActionRuns
    name: str | None = None
    description: str | None = None
    author: str | None = None
    inputs: Mapping[str, ActionInput] = field(default_factory=dict[str, ActionInput])
    outputs: Mapping[str, ActionOutput] = field(default_factory=dict[str, ActionOutput])
    branding: Branding | None = None
