"""``hashFiles()``: one digest over the files that match, computed where the files are.

Runs inside a job's machine as a program (patterns as JSON on stdin, the digest on stdout, for the working directory)
and is imported by ``eval``. Standard library only.

Owns GitHub's patterns: ``*``, ``?`` and ``[…]`` stay inside of one path segment, ``**`` crosses them, a directory
stands for all below it, a leading ``!`` takes away what earlier patterns found. Nothing outside of the directory is
read, also not through a symbolic link.
"""

import errno
import hashlib
import json
import os
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import translate
from pathlib import Path, PurePosixPath
from typing import Final

MAX_VISITED: Final = 1_000_000
"""How many files and directories one pattern may look at."""

_FOLLOW: Final = "--follow-symbolic-links"
_NO_FILE: Final = frozenset({errno.ENOENT, errno.ELOOP, errno.ENOTDIR, errno.ENAMETOOLONG})
"""What vanished, a link to nothing or to itself, and a name that cannot be: there is no file."""

_GLOB: Final = re.compile(r"[*?\[]")


class HashFilesError(Exception):
    """A pattern is not legal, or a file cannot be read; the text says which."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pattern:
    """One line of a pattern argument. A segment is None for ``**``, else what one name has to match."""

    segments: tuple[re.Pattern[str] | None, ...]
    literal: tuple[str, ...]
    """The names that every match begins with: where to look."""
    excludes: bool
    only_below: bool
    """It ended in ``/``: the match itself has to be a directory."""

    def matches(self, names: Sequence[str]) -> bool:
        """Tell whether the path, or a directory above it, matches. Time is bounded by path times pattern."""
        last = len(self.segments)
        states = self._skip_any({0})
        if last in states:
            return True
        for index, name in enumerate(names):
            following: set[int] = set()
            for state in states:
                segment = self.segments[state]
                if segment is None:
                    following.add(state)
                elif segment.match(name):
                    following.add(state + 1)
            states = self._skip_any(following)
            if last in states:
                if not self.only_below or index + 1 < len(names):
                    return True
                states.discard(last)
        return False

    def _skip_any(self, states: set[int]) -> set[int]:
        """Add the states behind each ``**``, which may stand for no segment at all."""
        reached = set(states)
        for state in states:
            following = state
            while following < len(self.segments) and self.segments[following] is None:
                following += 1
                reached.add(following)
        return reached


def parse_patterns(arguments: Iterable[str], root: Path) -> list[Pattern]:
    """Return the patterns, one per line of each argument; blank lines and ``#`` comments are left out.

    Absolute patterns have to lie below ``root``. Raises ``HashFilesError``.
    """
    lines = (line.strip() for argument in arguments for line in argument.splitlines())
    return [_parse_pattern(line, root) for line in lines if line and not line.startswith("#")]


def _parse_pattern(line: str, root: Path) -> Pattern:
    body = line.lstrip("!")
    excludes = (len(line) - len(body)) % 2 == 1
    body = body.strip()
    if body.startswith("/"):
        inside = body.removeprefix(str(root))
        if inside == body or not inside.startswith("/"):
            raise HashFilesError(f"found the pattern {line!r} of hashFiles(), expected one inside of the workspace")
        body = inside
    names = [name for name in body.split("/") if name not in {"", "."}]
    if ".." in names:
        raise HashFilesError(f"found '..' in the pattern {line!r} of hashFiles(), expected one inside of the workspace")
    literal: list[str] = []
    for name in names:
        if _GLOB.search(name):
            break
        literal.append(name)
    return Pattern(
        segments=tuple(None if name == "**" else _segment(name) for name in names),
        literal=tuple(literal),
        excludes=excludes,
        only_below=body.endswith("/"),
    )


def _segment(name: str) -> re.Pattern[str]:
    return re.compile(translate(name.replace("[^", "[!")))


def hash_files(root: Path, arguments: Sequence[str]) -> str:
    """Return the SHA-256, in hexadecimal, of the SHA-256 digests of all matching files in sorted path order.

    '' when no file matches. ``--follow-symbolic-links`` as the first argument also enters directories that are links.
    Raises ``HashFilesError``: a pattern that leaves the root, or a file that cannot be read.
    """
    follow = bool(arguments) and arguments[0] == _FOLLOW
    if "\0" in "".join((str(root), *arguments)):
        raise HashFilesError("found a NUL character in the workspace or a pattern of hashFiles(), expected a path")
    root = Path(os.path.realpath(root))
    patterns = parse_patterns(arguments[1:] if follow else arguments, root)
    total = hashlib.sha256()
    count = 0
    for path in _matching(root, patterns, follow=follow):
        count += 1
        total.update(_digest(path))
    return total.hexdigest() if count else ""


def _matching(root: Path, patterns: Sequence[Pattern], *, follow: bool) -> list[Path]:
    starts = {pattern.literal for pattern in patterns if not pattern.excludes}
    found: set[PurePosixPath] = set()
    for start in starts:
        for relative in _files(root, PurePosixPath(*start), follow=follow):
            wanted = False
            for pattern in patterns:
                if pattern.excludes is wanted and pattern.matches(relative.parts):
                    wanted = not wanted
            if wanted:
                found.add(relative)
    return [root / relative for relative in sorted(found, key=str)]


def _files(root: Path, start: PurePosixPath, *, follow: bool) -> Iterator[PurePosixPath]:
    """Yield the files at and below ``start`` whose real place is inside of the root; never enters a circle of links."""
    pending: list[tuple[PurePosixPath, frozenset[Path]]] = [(start, frozenset())]
    visited = 0
    while pending:
        relative, above = pending.pop()
        visited += 1
        if visited > MAX_VISITED:
            raise HashFilesError(f"hashFiles() looked at more than {MAX_VISITED} files: use a narrower pattern")
        path = root / relative
        try:
            real = Path(os.path.realpath(path, strict=True))
            if not real.is_relative_to(root):
                continue
            if path.is_file():
                yield relative
            elif path.is_dir() and real not in above and (follow or not path.is_symlink()):
                below = above | {real}
                pending.extend((relative / entry.name, below) for entry in path.iterdir())
        except PermissionError as error:
            raise HashFilesError(f"hashFiles() cannot read {str(relative)!r}: {error.strerror}") from None
        except OSError as error:
            if error.errno not in _NO_FILE:
                raise HashFilesError(f"hashFiles() cannot read {str(relative)!r}: {error.strerror}") from None


def _digest(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").digest()
    except OSError as error:
        raise HashFilesError(f"hashFiles() cannot read {path.name!r}: {error.strerror}") from None


def main() -> int:
    """Print the digest; exit 1 with a message on stderr when it cannot be had."""
    try:
        sys.stdout.write(hash_files(Path.cwd(), json.load(sys.stdin)))
    except HashFilesError as error:
        sys.stderr.write(str(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
