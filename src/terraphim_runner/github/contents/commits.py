"""Reading commits as they are stored, whatever a shallow repository hides of them."""

from pathlib import Path

from terraphim_runner.github.contents.git import Git, OutputTooLargeError, failure
from terraphim_runner.ports import CheckoutError


async def parents(git: Git, git_dir: Path, sha: str) -> tuple[str, ...]:
    """Return the parents that the commit itself names; they need not be in the repository."""
    header = (await _read(git, git_dir, sha))[0]
    lines = (line.split(b" ", 1) for line in header.split(b"\n"))
    return tuple(words[1].decode("ascii") for words in lines if words[0] == b"parent")


async def message(git: Git, git_dir: Path, sha: str) -> str:
    """Return the commit's message; bytes that are not UTF-8 are replaced."""
    return (await _read(git, git_dir, sha))[1].decode("utf-8", "replace")


async def _read(git: Git, git_dir: Path, sha: str) -> tuple[bytes, bytes]:
    try:
        answer = await git.run(f"--git-dir={git_dir}", "cat-file", "commit", sha)
    except OutputTooLargeError:
        raise CheckoutError(f"commit {sha} is too large to be read") from None
    if answer.code != 0:
        raise failure(f"read commit {sha}", answer)
    header, _, body = answer.stdout.partition(b"\n\n")
    return header, body
