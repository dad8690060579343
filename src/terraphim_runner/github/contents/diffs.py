"""Which files changed between two commits, as ``paths`` filters need to know it."""

from pathlib import Path
from typing import Final

from terraphim_runner.github.contents.git import MIB, Git, OutputTooLargeError

_MAX_NAMES_BYTES: Final = 16 * MIB


async def changed_files(
    git: Git, git_dir: Path, before: str, sha: str, *, since_merge_base: bool
) -> tuple[str, ...] | None:
    """Return the paths that differ, or None when that cannot be told; filters then let the workflow run.

    All of them, in git's order: how many count is for whoever judges. Past 16 MiB of names the answer is None. A
    rename is told as both its paths.
    """
    between = ["--merge-base"] if since_merge_base else []
    try:
        answer = await git.run(
            f"--git-dir={git_dir}",
            "diff-tree",
            *("-r", "-z", "--name-only", "--no-renames", "--no-ext-diff", *between, before, sha, "--"),
            max_bytes=_MAX_NAMES_BYTES,
        )
    except OutputTooLargeError:
        return None
    if answer.code != 0:
        return None
    return tuple(name.decode("utf-8", "backslashreplace") for name in answer.stdout.split(b"\0") if name)
