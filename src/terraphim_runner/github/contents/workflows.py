"""The workflow files of one commit, read from the object store; nothing is checked out."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from terraphim_runner.github.contents.git import MIB, Git, OutputTooLargeError, failure
from terraphim_runner.workflow.linking import CalledFile

FOLDER: Final = ".github/workflows"
MAX_FILES: Final = 100
MAX_FILE_BYTES: Final = MIB
NO_SUCH_FILE: Final = "there is no such file"
_MAX_LISTING_BYTES: Final = MIB
_TOO_LONG: Final = f"the folder's listing has over {_MAX_LISTING_BYTES} bytes"


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkflowFile:
    """One file; ``error`` says why its text could not be had (then ``text`` is empty): to be told, not dropped."""

    path: str
    text: str
    error: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entry:
    path: str
    mode: str
    sha: str
    size_bytes: int

    @property
    def fault(self) -> str | None:
        if self.mode not in {"100644", "100755"}:
            return "it is not a regular file: symbolic links are not followed"
        if self.size_bytes > MAX_FILE_BYTES:
            return f"found {self.size_bytes} bytes, expected at most {MAX_FILE_BYTES}"
        return None


async def read_workflows(git: Git, git_dir: Path, sha: str) -> list[WorkflowFile]:
    """Return ``.github/workflows/*.yml`` and ``*.yaml`` of the commit, sorted by path; two processes, bounded.

    At most 100 files of at most 1 MiB; what is beyond that, not UTF-8 or not a regular file is an entry with an error.
    """
    try:
        entries = await _entries(git, git_dir, sha)
    except OutputTooLargeError:
        return [WorkflowFile(path=FOLDER, text="", error=_TOO_LONG)]
    files = await _read(git, git_dir, sorted(entries[:MAX_FILES], key=lambda entry: entry.path))
    if len(entries) > MAX_FILES:
        error = f"found {len(entries)} workflow files, expected at most {MAX_FILES}: the others are not read"
        files.append(WorkflowFile(path=FOLDER, text="", error=error))
    return files


async def read_workflow(git: Git, git_dir: Path, sha: str, path: str) -> CalledFile:
    """Return one of the commit's workflow files, or why there is none; two processes, bounded as above."""
    try:
        entries = await _entries(git, git_dir, sha)
    except OutputTooLargeError:
        return CalledFile(error=_TOO_LONG)
    found = next((entry for entry in entries if entry.path == path), None)
    if found is None:
        known = tuple(sorted(entry.path for entry in entries)[:MAX_FILES])
        return CalledFile(error=NO_SUCH_FILE, known=known)
    [file] = await _read(git, git_dir, [found])
    return CalledFile(text=file.text, sha=sha, error=file.error)


async def _entries(git: Git, git_dir: Path, sha: str) -> list[_Entry]:
    listing = await git.run(
        f"--git-dir={git_dir}", "ls-tree", "-z", "-l", sha, "--", f"{FOLDER}/", max_bytes=_MAX_LISTING_BYTES
    )
    if listing.code != 0:
        raise failure(f"list the workflows of commit {sha}", listing)
    return [entry for entry in map(_entry, listing.stdout.split(b"\0")) if entry is not None]


def _entry(line: bytes) -> _Entry | None:
    meta, _, name = line.partition(b"\t")
    if not name.endswith((b".yml", b".yaml")):
        return None
    mode, kind, sha, size = meta.decode("ascii").split()
    if kind == "tree":
        return None
    path = name.decode("utf-8", "backslashreplace")
    return _Entry(path=path, mode=mode, sha=sha, size_bytes=int(size) if size.isdigit() else 0)


async def _read(git: Git, git_dir: Path, entries: list[_Entry]) -> list[WorkflowFile]:
    wanted = [entry for entry in entries if entry.fault is None]
    contents: dict[str, bytes] = {}
    if wanted:
        request = "".join(f"{entry.sha}\n" for entry in wanted).encode()
        limit = sum(entry.size_bytes + 200 for entry in wanted)
        answer = await git.run(f"--git-dir={git_dir}", "cat-file", "--batch", stdin=request, max_bytes=limit)
        if answer.code != 0:
            raise failure("read the workflow files", answer)
        contents = _parse_batch(answer.stdout)
    return [_file(entry, contents.get(entry.sha)) for entry in entries]


def _parse_batch(output: bytes) -> dict[str, bytes]:
    """Read ``<sha> <type> <size>\\n<bytes>\\n`` records; ``<sha> missing`` has no bytes."""
    contents: dict[str, bytes] = {}
    at = 0
    while at < len(output):
        end = output.index(b"\n", at)
        words = output[at:end].split()
        at = end + 1
        if len(words) == 3:
            size = int(words[2])
            contents[words[0].decode("ascii")] = output[at : at + size]
            at += size + 1
    return contents


def _file(entry: _Entry, content: bytes | None) -> WorkflowFile:
    if entry.fault is not None:
        return WorkflowFile(path=entry.path, text="", error=entry.fault)
    if content is None:
        return WorkflowFile(path=entry.path, text="", error="the repository lacks the file's content")
    try:
        return WorkflowFile(path=entry.path, text=content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        return WorkflowFile(path=entry.path, text="", error=f"it is not UTF-8: byte {error.start} is {error.reason}")
