"""The actions that lie in a checkout beside its workflows, looked up for ``validate``.

Whoever wrote the repository is not trusted: no path and no link leads out of it, and what is read is bounded.
"""

import os
from dataclasses import replace
from pathlib import Path
from typing import Final

from terraphim_runner.cli.source_file import read_source
from terraphim_runner.model.source import Diagnostic, Severity
from terraphim_runner.workflow.findings import shown
from terraphim_runner.workflow.metadata import parse_action
from terraphim_runner.workflow.metadata.linking import (
    DOCKERFILES,
    FILE_NAMES,
    LinkedAction,
    find_circle,
    own_path,
    uses_of,
)
from terraphim_runner.workflow.tree import UsesStep, Workflow, all_steps

MAX_ACTIONS: Final = 1000
MAX_TEXT: Final = 4 * 1024 * 1024
"""Of one checkout. What lies beyond is not looked at, and nothing is said about it."""


def repository_of(workflow: Path) -> Path | None:
    """Return the root of the checkout that a workflow file lies in; None when it is not in ``.github/workflows``."""
    folder = Path(os.path.abspath(workflow)).parent
    return folder.parent.parent if is_workflow_folder(folder) else None


def is_workflow_folder(folder: Path) -> bool:
    """Tell whether GitHub takes the files in a folder for workflows, whatever they are called."""
    return Path(os.path.abspath(folder)).parts[-2:] == (".github", "workflows")


class LocalActions:
    """What the folders of one checkout hold; each is read once."""

    def __init__(self, root: Path) -> None:
        self._root = Path(os.path.realpath(root))
        self._found: dict[str, LinkedAction] = {}
        self._uses: dict[str, tuple[str, ...]] = {}
        self._length = 0

    def of(self, workflow: Workflow) -> dict[str, LinkedAction]:
        """Return the actions of the repository that the workflow's steps use, by the folders that they name."""
        steps = (step for job in workflow.jobs.values() for step in all_steps(job.steps))
        paths = (own_path(step.action) for step in steps if isinstance(step, UsesStep))
        wanted = tuple(dict.fromkeys(path for path in paths if path is not None))
        for path in wanted:
            self._follow(path)
        return {path: self._judged(path) for path in wanted}

    def _follow(self, start: str) -> None:
        """Read what the path leads to, and what that uses, as far as the limits go."""
        pending = [start]
        while pending:
            path = pending.pop()
            if path in self._found:
                continue
            self._found[path] = found = self._read(path)
            if found.action is not None:
                self._uses[path] = uses_of(found.action)
                pending.extend(self._uses[path])

    def _judged(self, path: str) -> LinkedAction:
        found = self._found[path]
        if path in self._uses and found.fault is None:
            circle = find_circle(path, self._uses)
            if circle:
                words = " → ".join(shown(f"./{folder}") for folder in (*circle[:8], circle[0]))
                self._found[path] = found = replace(found, fault=f"it uses itself, without an end: {words}")
        return found

    def _read(self, path: str) -> LinkedAction:
        if len(self._found) >= MAX_ACTIONS or self._length >= MAX_TEXT:
            return LinkedAction()
        folder = self._inside(self._root / path)
        if folder is None:
            return LinkedAction(absence="it leads out of the repository, where nothing is looked up")
        for name in FILE_NAMES:
            if os.path.lexists(folder / name):
                return self._metadata(folder / name)
        if any(os.path.lexists(folder / name) for name in DOCKERFILES):
            return LinkedAction()
        reason = "the folder holds no 'action.yml', 'action.yaml' or 'Dockerfile'"
        return LinkedAction(absence=reason if os.path.isdir(folder) else "the repository has no such folder")

    def _metadata(self, named: Path) -> LinkedAction:
        file = self._inside(named)
        if file is None:
            return LinkedAction(fault=f"'{named.name}' is a link that leads out of the repository")
        name = os.path.relpath(named, self._root)
        content = read_source(file, name)
        if isinstance(content, Diagnostic):
            return LinkedAction(fault=f"'{named.name}': {content.message}")
        self._length += len(content)
        parsed = parse_action(name, content, for_running=True)
        if parsed.action is not None:
            return LinkedAction(action=parsed.action)
        first = next(item for item in parsed.diagnostics if item.severity is Severity.ERROR)
        return LinkedAction(fault=f"{first.path}:{first.span.start}: {first.message}")

    def _inside(self, path: Path) -> Path | None:
        """Return where a path really leads, None when that is not below the root or cannot be told."""
        try:
            real = Path(os.path.realpath(path))
        except (OSError, ValueError):
            return None
        return real if real.is_relative_to(self._root) else None
