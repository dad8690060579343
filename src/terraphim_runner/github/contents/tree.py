"""Building a repository for a job in a private folder, by plain git, from objects that are on this host.

What is built is whole in itself: no alternates, no hooks, no path of this host, no credential. Smudge filters never
run: ``.gitattributes`` can only name a filter, its command would have to stand in a configuration, and git reads
none here but ours. The files themselves are never written: ``archive`` has git put them into a tar.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from terraphim_runner.github.contents.commits import parents
from terraphim_runner.github.contents.git import MIB, Git, OutputTooLargeError, failure
from terraphim_runner.ports import CheckoutError

MAX_TREE_BYTES: Final = 8 * 1024 * MIB
MAX_LISTING_BYTES: Final = 64 * MIB
"""Of names: about half a million files. A tree that names itself over and over ends here, before it is written."""

# The ownership of the source was judged when it was chosen (a placed repository, or git's own rule in a checkout).
_UPLOAD_PACK: Final = "--upload-pack=git -c safe.directory=* -c uploadpack.allowAnySHA1InWant=true upload-pack"

# What is built here is copied into an archive at once: a crash loses nothing that a disk would have to hold.
_WITHOUT_SYNC: Final = ("-c", "core.fsync=none")


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeSpec:
    """What to build. ``ref`` is full, or empty for a bare commit; ``tag_object`` is what a tag's ref points to.

    ``depth`` 0 is all history of all branches, with all tags; ``tags`` asks for those at other depths too.
    """

    git_dir: Path
    remote_url: str
    sha: str
    ref: str
    depth: int
    tags: bool = False
    tag_object: str | None = None


async def check_size(git: Git, git_dir: Path, sha: str) -> None:
    """Raise ``CheckoutError`` when the commit's files are more than a host can be asked to write."""
    try:
        listing = await git.run(
            f"--git-dir={git_dir}", "ls-tree", "-r", "-l", "-z", sha, "--", max_bytes=MAX_LISTING_BYTES
        )
    except OutputTooLargeError:
        raise CheckoutError(f"commit {sha} has too many files: their names fill {MAX_LISTING_BYTES} bytes") from None
    if listing.code != 0:
        raise failure(f"list the files of commit {sha}", listing)
    sizes = (line.partition(b"\t")[0].split()[-1:] for line in listing.stdout.split(b"\0"))
    total = sum(int(size[0]) for size in sizes if size and size[0].isdigit())
    if total > MAX_TREE_BYTES:
        raise CheckoutError(f"commit {sha} has {total} bytes of files, expected at most {MAX_TREE_BYTES}")


async def build_repository(git: Git, spec: TreeSpec, folder: Path) -> None:
    """Make ``folder/.git`` with the commit, its refs, ``HEAD`` and index, as ``actions/checkout`` leaves them.

    A branch is checked out by name and tracks ``origin``; a tag, a pull request or a bare commit is detached. There
    are no files: the index knows their contents but not their times, so git compares contents when it is first asked.
    """
    target = folder / ".git"
    for part in ("objects/info", "objects/pack", "refs/heads", "refs/tags", "info"):
        (target / part).mkdir(parents=True, exist_ok=True)
    branch = spec.ref.removeprefix("refs/heads/") if spec.ref.startswith("refs/heads/") else None
    (target / "HEAD").write_text(f"ref: {spec.ref}\n" if branch else f"{spec.sha}\n", encoding="utf-8")
    (target / "config").write_text(_config(spec, branch), encoding="utf-8")
    if spec.depth == 1 and not spec.tags:
        await _pack_commit(git, spec, target)
        # By hand, for it is the only writer there is: git reads a list of refs that was packed.
        refs = "".join(f"{value} {name}\n" for name, value in sorted(_refs(spec, branch).items()))
        (target / "packed-refs").write_text(refs, encoding="utf-8")
    else:
        await _fetch_history(git, spec, target)
        await _set_refs(git, spec, target, _refs(spec, branch))
    ended = await git.run(f"--git-dir={target}", "read-tree", spec.sha)
    if ended.code != 0:
        raise failure(f"make the index of commit {spec.sha}", ended)


async def copy_objects(git: Git, source: Path, target: Path, wanted: Sequence[str], *, name: str) -> None:
    """Copy what the lines name (see ``git pack-objects --revs``) as one pack; the source is not written to."""
    pack = target / "objects" / "pack" / f"pack-{name}.pack"
    # Not straight into the folder: git would make the pack inside of the source first, and move it over.
    with pack.open("xb") as file:
        packed = await git.run(
            f"--git-dir={source}",
            *("pack-objects", "--quiet", "--revs", "--stdout"),
            stdin="\n".join([*wanted, ""]).encode(),
            output=file.fileno(),
        )
    if packed.code != 0:
        raise failure("copy objects", packed)
    indexed = await git.run(f"--git-dir={target}", *_WITHOUT_SYNC, "index-pack", str(pack))
    if indexed.code != 0:
        raise failure("index copied objects", indexed)


async def _pack_commit(git: Git, spec: TreeSpec, target: Path) -> None:
    """Copy one commit without its history: a fetch of depth 1 in a third of its time."""
    wanted = [spec.sha, *([spec.tag_object] if spec.tag_object and spec.tag_object != spec.sha else [])]
    await copy_objects(git, spec.git_dir, target, [f"--shallow {spec.sha}", *wanted], name=spec.sha)
    if await parents(git, spec.git_dir, spec.sha):
        (target / "shallow").write_text(f"{spec.sha}\n", encoding="ascii")


async def _fetch_history(git: Git, spec: TreeSpec, target: Path) -> None:
    wanted = [spec.sha]
    if spec.tag_object and spec.tag_object != spec.sha:
        wanted.append(spec.tag_object)
    if spec.depth == 0:
        wanted.append("+refs/heads/*:refs/remotes/origin/*")
    if spec.depth == 0 or spec.tags:
        wanted.append("+refs/tags/*:refs/tags/*")
    depth = [f"--depth={spec.depth}"] if spec.depth else []
    ended = await git.run(
        f"--git-dir={target}",
        *_WITHOUT_SYNC,
        *("-c", "fetch.fsckObjects=false"),  # the objects were checked when they came to this host
        *("fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--update-shallow", *depth, _UPLOAD_PACK),
        *("--", str(spec.git_dir), *wanted),
    )
    if ended.code != 0:
        raise failure(f"copy commit {spec.sha}", ended)


async def _set_refs(git: Git, spec: TreeSpec, target: Path, refs: dict[str, str]) -> None:
    updates = "".join(f"update {name}\0{value}\0\0" for name, value in refs.items())
    if not updates:
        return
    ended = await git.run(f"--git-dir={target}", *_WITHOUT_SYNC, "update-ref", "--stdin", "-z", stdin=updates.encode())
    if ended.code != 0:
        raise failure(f"set the refs for {spec.ref!r}", ended)


def _refs(spec: TreeSpec, branch: str | None) -> dict[str, str]:
    if branch is not None:
        return {spec.ref: spec.sha, f"refs/remotes/origin/{branch}": spec.sha}
    if spec.ref.startswith("refs/tags/"):
        return {spec.ref: spec.tag_object or spec.sha}
    if spec.ref.startswith("refs/pull/"):
        return {f"refs/remotes/{spec.ref.removeprefix('refs/')}": spec.sha}
    return {}


def _config(spec: TreeSpec, branch: str | None) -> str:
    sha256 = len(spec.sha) == 64
    lines = [
        "[core]",
        f"\trepositoryformatversion = {int(sha256)}",
        "\tfilemode = true",
        "\tbare = false",
        "\tlogallrefupdates = true",
        *(["[extensions]", "\tobjectformat = sha256"] if sha256 else []),
        '[remote "origin"]',
        f"\turl = {_quoted(spec.remote_url)}",
        "\tfetch = +refs/heads/*:refs/remotes/origin/*",
        "[gc]",
        "\tauto = 0",
    ]
    if branch is not None:
        lines += [f"[branch {_quoted(branch)}]", "\tremote = origin", f"\tmerge = {_quoted(spec.ref)}"]
    return "\n".join(lines) + "\n"


def _quoted(value: str) -> str:
    # Neither URLs nor refs have control characters: their rules refuse them.
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
