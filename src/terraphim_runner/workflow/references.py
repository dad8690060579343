"""What ``uses`` names, taken apart: an action of a step, a workflow of a job. Text only; nothing is fetched here."""

import re
from dataclasses import dataclass
from typing import Final

_OWNER: Final = r"[A-Za-z0-9_][A-Za-z0-9_.-]*"
_REPOSITORY: Final = r"(?!\.{1,2}(?:[/\\@]|$))[A-Za-z0-9_.-]+"
_PATH: Final = r"(?:[/\\][^@]*)?"
_REMOTE: Final = re.compile(rf"(?P<owner>{_OWNER})[/\\](?P<repository>{_REPOSITORY})(?P<path>{_PATH})@(?P<ref>[^\s@]+)")
_WITHOUT_REF: Final = re.compile(rf"{_OWNER}[/\\]{_REPOSITORY}{_PATH}@?")
_WORKFLOW_FILE: Final = re.compile(r"\.github/workflows/[^/]+\.ya?ml")
_DOCKER: Final = "docker://"
_LOCAL: Final = ("./", ".\\")
_SELF: Final = "$/"


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteAction:
    """``owner/repository/path@ref``. ``path`` is empty for an action at the repository's root."""

    owner: str
    repository: str
    ref: str
    path: str = ""

    @property
    def full_name(self) -> str:
        """``owner/repository``, as written; names compare without case."""
        return f"{self.owner}/{self.repository}"


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalAction:
    """A folder of the repository that the job checked out, relative to its root and without ``./``."""

    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SelfAction:
    """A folder of the repository whose file names it, at the commit that runs; nothing needs to be checked out.

    ``path`` is relative to the repository's root and without ``$/``. Source: GitHub's changelog of 2026-07-30.
    """

    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DockerAction:
    """An image, as a registry knows it."""

    image: str


ActionReference = RemoteAction | LocalAction | SelfAction | DockerAction


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteWorkflow:
    """A workflow file of another repository, or of the same one at some other commit."""

    owner: str
    repository: str
    path: str
    ref: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalWorkflow:
    """A workflow file of the same repository at the same commit, named with ``./`` or ``$/``."""

    path: str


WorkflowReference = RemoteWorkflow | LocalWorkflow


class ReferenceProblemError(Exception):
    """The text names nothing. ``message`` says what was expected, ``fix`` what to do."""

    def __init__(self, message: str, fix: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.fix = fix


def action_reference(text: str) -> ActionReference:
    """Return what a step's ``uses`` names. Raises ``ReferenceProblemError``."""
    if text.startswith(_DOCKER):
        image = text.removeprefix(_DOCKER)
        if not image or image != image.strip():
            raise ReferenceProblemError("expected an image after 'docker://', as in 'docker://alpine:3'")
        return DockerAction(image=image)
    if text.startswith(_LOCAL):
        return LocalAction(path=_path(text[2:]))
    if text.startswith(_SELF):
        return SelfAction(path=_inner_path(_without_ref(text.removeprefix(_SELF), "an action")))
    found = _REMOTE.fullmatch(text)
    if found is None:
        fix = None
        if _WITHOUT_REF.fullmatch(text):
            fix = "name a tag, a branch or a commit, as in 'actions/checkout@v4'"
        elif text.startswith(("../", "..\\")):
            fix = "begin the path of an action in this repository with '$/'"
        raise ReferenceProblemError("expected 'owner/repository@ref', '$/path', './path' or 'docker://image'", fix)
    path = _inner_path(found["path"])
    return RemoteAction(owner=found["owner"], repository=found["repository"], path=path, ref=found["ref"])


def workflow_reference(text: str) -> WorkflowReference:
    """Return what a job's ``uses`` names. Raises ``ReferenceProblemError``."""
    if text.startswith(("./", _SELF)):
        return LocalWorkflow(path=_workflow_path(_without_ref(text[2:], "a workflow")))
    found = _REMOTE.fullmatch(text)
    if found is None:
        without_ref = _WITHOUT_REF.fullmatch(text) is not None
        fix = "name a tag, a branch or a commit after the path, as in '….yml@v1'" if without_ref else None
        message = "expected 'owner/repository/.github/workflows/file.yml@ref' or '$/.github/workflows/file.yml'"
        raise ReferenceProblemError(message, fix)
    path = _workflow_path(_path(found["path"]))
    return RemoteWorkflow(owner=found["owner"], repository=found["repository"], path=path, ref=found["ref"])


def _path(text: str) -> str:
    """Return a path with forward slashes, without those at its ends."""
    return "/".join(part for part in text.replace("\\", "/").split("/") if part and part != ".")


def _inner_path(text: str) -> str:
    path = _path(text)
    if ".." in path.split("/"):
        raise ReferenceProblemError("expected a path inside of the action's repository, without '..'")
    return path


def _without_ref(path: str, what: str) -> str:
    if "@" in path:
        message = f"expected no '@ref': {what} of this repository is taken from the run's own commit"
        raise ReferenceProblemError(message, "drop the '@ref', or name the repository before the path")
    return path


def _workflow_path(path: str) -> str:
    if not _WORKFLOW_FILE.fullmatch(path):
        raise ReferenceProblemError("expected a '.yml' or '.yaml' file right below '.github/workflows/'")
    return path
