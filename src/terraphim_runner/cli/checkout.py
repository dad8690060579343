"""What git says of a local directory. It only reads: no network, no hook, no program that the repository names."""

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from terraphim_runner.model.errors import UsageError

GIT_TIMEOUT_S: Final = 20.0
NO_COMMIT: Final = "0" * 40
"""What GitHub sends for a commit that is not there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalCheckout:
    """A directory's head, or what stands for it when the directory is no git repository or has no commit."""

    directory: Path
    is_git: bool
    full_name: str
    """``local/<directory's name>``, safe as two path components."""
    ref: str
    branch: str
    default_branch: str
    sha: str = NO_COMMIT
    parent_sha: str = NO_COMMIT
    head_commit: dict[str, Any] | None = None
    """The head in the shape of a push payload's ``head_commit``."""

    @property
    def url(self) -> str:
        return self.directory.as_uri()

    def changed_files(self, before: str, after: str) -> tuple[str, ...] | None:
        """Return the paths that differ between two commits; None when one of them is not here."""
        if not self.is_git or after == NO_COMMIT:
            return None
        if before == NO_COMMIT:
            listed = _git(self.directory, "ls-tree", "-r", "-z", "--name-only", "--full-tree", after)
        else:
            listed = _git(self.directory, *_DIFF, before, after)
        return None if listed is None else _paths(listed)

    def changed_since_fork(self, base: str, head: str) -> tuple[str, ...] | None:
        """Return the paths that differ since ``head`` left the branch ``base``; None when that cannot be told."""
        for branch in (f"refs/remotes/origin/{base}", f"refs/heads/{base}"):
            listed = _git(self.directory, *_DIFF, f"{branch}...{head}") if self.is_git else None
            if listed is not None:
                return _paths(listed)
        return None

    def tip(self, branch: str) -> str | None:
        """Return the commit that a branch is at, the remote's first; None when there is no such branch here."""
        for ref in (f"refs/remotes/origin/{branch}", f"refs/heads/{branch}"):
            found = self._commit(ref)
            if found is not None:
                return found
        return None

    def tagged(self, tag: str) -> str | None:
        """Return the commit that a tag is for; None when there is no such tag here."""
        return self._commit(f"refs/tags/{tag}")

    def parent(self, commit: str) -> str | None:
        """Return the first parent of a commit; None when it has none or is not here."""
        return self._commit(f"{commit}^1")

    def message(self, commit: str) -> str | None:
        """Return the message of a commit; None when it is not here."""
        if not self.is_git or commit == NO_COMMIT:
            return None
        return _git(self.directory, "log", "-1", "--no-show-signature", "--format=%B", commit)

    def _commit(self, name: str) -> str | None:
        found = _git(self.directory, "rev-parse", "--verify", "--quiet", f"{name}^{{commit}}") if self.is_git else None
        return found.strip() if found else None

    def fork_point(self) -> str:
        """Return the commit where the head left the default branch; the head itself when that cannot be told."""
        for branch in (f"refs/remotes/origin/{self.default_branch}", f"refs/heads/{self.default_branch}"):
            found = _git(self.directory, "merge-base", branch, self.sha) if self.is_git else None
            if found:
                return found.strip()
        return self.sha


def read_checkout(directory: Path) -> LocalCheckout:
    """Read the directory's head. Raises ``UsageError`` when it is no directory, or git finds its repository broken."""
    try:
        directory = directory.resolve(strict=True)
    except OSError as error:
        raise UsageError(f"cannot use repository {directory}: {error.strerror}") from error
    if not directory.is_dir():
        raise UsageError(f"repository {directory} is not a directory")
    full_name = f"local/{_safe_name(directory.name)}"
    if not (directory / ".git").exists():
        return LocalCheckout(
            directory=directory,
            is_git=False,
            full_name=full_name,
            ref="refs/heads/main",
            branch="main",
            default_branch="main",
        )
    _require_readable(directory)
    ref = _ref(directory)
    branch = ref.removeprefix("refs/heads/") if ref.startswith("refs/heads/") else ref.removeprefix("refs/tags/")
    head = (_git(directory, "rev-parse", "--verify", "--quiet", "HEAD^{commit}") or "").strip() or NO_COMMIT
    parent = (_git(directory, "rev-parse", "--verify", "--quiet", "HEAD^1^{commit}") or "").strip() or NO_COMMIT
    return LocalCheckout(
        directory=directory,
        is_git=True,
        full_name=full_name,
        ref=ref,
        branch=branch,
        default_branch=_default_branch(directory, branch),
        sha=head,
        parent_sha=parent,
        head_commit=_head_commit(directory) if head != NO_COMMIT else None,
    )


_DIFF: Final = ("diff", "--no-ext-diff", "--no-textconv", "--no-renames", "--name-only", "-z")


def _require_readable(directory: Path) -> None:
    finished = _run(directory, "rev-parse", "--git-dir")
    if finished.returncode:
        reason = finished.stderr.decode(errors="replace").strip().partition("\n")[0]
        raise UsageError(f"git cannot use the repository {directory}: {reason}")


def _ref(directory: Path) -> str:
    """A branch, else the tag that a detached head is at, else the branch ``HEAD``, which is how git calls it."""
    branch = _git(directory, "symbolic-ref", "--quiet", "HEAD")
    if branch:
        return branch.strip()
    tag = _git(directory, "describe", "--tags", "--exact-match", "HEAD")
    return f"refs/tags/{tag.strip()}" if tag else "refs/heads/HEAD"


def _default_branch(directory: Path, current: str) -> str:
    remote = _git(directory, "symbolic-ref", "--quiet", "refs/remotes/origin/HEAD")
    if remote:
        return remote.strip().removeprefix("refs/remotes/origin/")
    for name in ("main", "master"):
        if _git(directory, "rev-parse", "--verify", "--quiet", f"refs/heads/{name}"):
            return name
    return current


def _head_commit(directory: Path) -> dict[str, Any] | None:
    shown = _git(
        directory, "log", "-1", "--no-show-signature", "--format=%H%x00%T%x00%aI%x00%an%x00%ae%x00%cn%x00%ce%x00%B"
    )
    if shown is None:
        return None
    sha, tree, at, author, author_mail, committer, committer_mail, message = shown.split("\0", 7)
    return {
        "id": sha,
        "tree_id": tree,
        "distinct": True,
        "message": message.rstrip("\n"),
        "timestamp": at,
        "url": "",
        "author": {"name": author, "email": author_mail},
        "committer": {"name": committer, "email": committer_mail},
        "added": [],
        "removed": [],
        "modified": [],
    }


def _safe_name(name: str) -> str:
    safe = re.sub(r"[^A-Za-z0-9._-]+", "-", name)
    return safe if safe.strip(".-") else "repository"


def _paths(listed: str) -> tuple[str, ...]:
    return tuple(path for path in listed.split("\0") if path)


def _git(directory: Path, *arguments: str) -> str | None:
    """Return what git prints, or None when it says that there is no such thing."""
    finished = _run(directory, *arguments)
    return None if finished.returncode else finished.stdout.decode(errors="replace")


def _run(directory: Path, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    # The directory itself is meant, not a repository that it happens to lie in; and neither the user's own GIT_DIR
    # nor a monitor that the repository's settings name may answer in its place. The owner does not matter for reading.
    git = shutil.which("git")
    if git is None:
        raise UsageError("git is not installed; install the package 'git'")
    options = ["--no-pager", "-c", "core.fsmonitor=false", "-c", f"safe.directory={directory}", "-C", str(directory)]
    environment = {
        "PATH": os.defpath,
        "LC_ALL": "C",
        "GIT_CEILING_DIRECTORIES": str(directory.parent),
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_TERMINAL_PROMPT": "0",
    }
    command = [git, *options, *arguments]
    try:
        return subprocess.run(
            command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, timeout=GIT_TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise UsageError(f"git did not answer within {GIT_TIMEOUT_S:g} s in {directory}") from error
