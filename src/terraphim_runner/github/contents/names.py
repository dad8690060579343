"""What a person's word for a commit means, as ``uses`` has it after the ``@``."""

from pathlib import Path

from terraphim_runner.github.contents.git import Git
from terraphim_runner.github.contents.repositories import Repositories
from terraphim_runner.github.names import BadNameError, checked_branch, checked_ref, checked_sha
from terraphim_runner.model.event import Repository
from terraphim_runner.ports import CheckoutError


async def commit_of(repositories: Repositories, git: Git, repository: Repository, name: str) -> str:
    """Return the commit that ``name`` means now: a full id, ``refs/…``, a tag or a branch.

    A tag wins over a branch of the same name, as GitHub documents it for reusable workflows. The beginning of an id
    means nothing, as on GitHub: whoever opens a pull request can make a commit that begins with the same digits. A
    mirror is brought up to date first, so that it takes one fetch, whatever the name is. Raises ``CheckoutError`` when
    it means nothing there.
    """
    try:
        sha = checked_sha(name.lower())
    except BadNameError:
        return await _named(repositories, git, repository, name)
    await repositories.ensure(repository, sha, "")
    return sha


async def _named(repositories: Repositories, git: Git, repository: Repository, name: str) -> str:
    try:
        refs = [checked_ref(name)] if name.startswith("refs/") else _candidates(checked_branch(name))
    except BadNameError as error:
        raise CheckoutError(str(error)) from None
    if name.startswith("refs/") and not name.startswith(("refs/heads/", "refs/tags/")):
        return await repositories.resolve(repository, name)
    git_dir = await repositories.refresh(repository)
    for ref in refs:
        sha = await _commit(git, git_dir, ref)
        if sha is not None:
            return sha
    raise CheckoutError(f"{name!r} is no tag, branch or full commit id of {repository.full_name!r}")


async def _commit(git: Git, git_dir: Path, name: str) -> str | None:
    answer = await git.run(
        f"--git-dir={git_dir}", "rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}"
    )
    return answer.stdout.decode("ascii").strip() if answer.code == 0 else None


def _candidates(name: str) -> list[str]:
    return [f"refs/tags/{name}", f"refs/heads/{name}"]
