"""What repositories hold: mirrors of them, their workflow files, their diffs, and trees for jobs."""

from terraphim_runner.github.contents.mirror import Mirror
from terraphim_runner.github.contents.settling import changes, settle
from terraphim_runner.github.contents.workflows import WorkflowFile
from terraphim_runner.github.contents.working_tree import WorkingTree

__all__ = ["Mirror", "WorkflowFile", "WorkingTree", "changes", "settle"]
