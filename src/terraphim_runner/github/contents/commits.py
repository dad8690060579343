"""Reading commits as they are stored, whatever a shallow repository hides of them."""

from pathlib import Path

from terraphim_runner.github.contents.git import Git, failure


async def parents(git: Git, git_dir: Path, sha: str) -> tuple[str, ...]:
    """Return the parents that the commit itself names; they need not be in the repository."""
    answer = await git.run(f"--git-dir={git_dir}", "cat-file", "commit", sha)
    if answer.code != 0:
        raise failure(f"read commit {sha}", answer)
    header = answer.stdout.partition(b"\n\n")[0]
    lines = (line.split(b" ", 1) for line in header.split(b"\n"))
    return tuple(words[1].decode("ascii") for words in lines if words[0] == b"parent")


async def message(git: Git, git_dir: Path, sha: str) -> str:
    """Return the commit's message; bytes that are not UTF-8 are replaced."""
    answer = await git.run(f"--git-dir={git_dir}", "cat-file", "commit", sha)
    if answer.code != 0:
        raise failure(f"read commit {sha}", answer)
    return answer.stdout.partition(b"\n\n")[2].decode("utf-8", "replace")
