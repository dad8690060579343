"""Action metadata (``action.yml``): text to a tree with places, every mistake at once."""

from terraphim_runner.workflow.metadata.action import ParsedAction, parse_action
from terraphim_runner.workflow.metadata.tree import (
    Action,
    ActionInput,
    ActionOutput,
    ActionRuns,
    Branding,
    CompositeRuns,
    DockerRuns,
    NodeRuns,
    PluginRuns,
)

__all__ = [
    "Action",
    "ActionInput",
    "ActionOutput",
    "ActionRuns",
    "Branding",
    "CompositeRuns",
    "DockerRuns",
    "NodeRuns",
    "ParsedAction",
    "PluginRuns",
    "parse_action",
]
