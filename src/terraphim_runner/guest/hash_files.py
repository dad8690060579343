"""``hashFiles()``: one digest over the files that match, computed where the files are.

Runs inside a job's machine as a program (patterns as JSON on stdin, the digest on stdout, for the working directory)
and is imported by ``eval``. Standard library only.

Owns GitHub's patterns: ``*``, ``?`` and ``[…]`` stay inside of one path segment, ``**`` crosses them, ``\\`` takes the
next character as it is, a directory stands for all below it, a leading ``!`` takes away what earlier patterns found.
The order of the files is GitHub's, too, for the digest depends on it. Nothing outside of the directory is read, also
not through a symbolic link. Source: the runner's ``hashFiles`` and its glob library.
"""

import errno
import hashlib
import json
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

MAX_VISITED: Final = 1_000_000
"""How many files and directories one call may look at."""

_FOLLOW: Final = "--follow-symbolic-links"
_NO_FILE: Final = frozenset({errno.ENOENT, errno.ELOOP, errno.ENOTDIR, errno.ENAMETOOLONG})
"""What vanished, a link to nothing or to itself, and a name that cannot be: there is no file."""


class HashFilesError(Exception):
    """A pattern is not legal, or a file cannot be read; the text says which."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Char:
    """What one character has to be: in one of the ranges, or, inverted, in none of them."""

    ranges: tuple[tuple[str, str], ...]
    inverted: bool = False

    def takes(self, char: str) -> bool:
        return any(low <= char <= high for low, high in self.ranges) is not self.inverted


_ANY: Final = _Char(ranges=(), inverted=True)

_Wild = tuple[_Char | None, ...]
"""A name with wildcards; None stands for ``*``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pattern:
    """One line of a pattern argument: of a whole path, so that it begins with the names of the root.

    A segment is None for ``**``, a text for one name, else a name with wildcards.
    """

    segments: tuple[str | _Wild | None, ...]
    excludes: bool
    only_below: bool
    """It ended in ``/``: the match itself has to be a directory."""

    @property
    def literal(self) -> tuple[str, ...]:
        """The names that every match begins with: where to look."""
        names: list[str] = []
        for segment in self.segments:
            if not isinstance(segment, str):
                break
            names.append(segment)
        return tuple(names)

    def matches(self, names: Sequence[str]) -> bool:
        """Tell whether the path, or a directory above it, matches. Time is bounded by path times pattern."""
        return self._walk(names)[0]

    def leads_to(self, names: Sequence[str]) -> bool:
        """Tell whether the path, or one below it, may match."""
        matched, states = self._walk(names)
        return matched or bool(states)

    def _walk(self, names: Sequence[str]) -> tuple[bool, set[int]]:
        last = len(self.segments)
        states = self._skip_any({0})
        for name in names:
            if last in states:
                # What matched has a name below it: it is a directory.
                return True, states
            following: set[int] = set()
            for state in states:
                segment = self.segments[state]
                if segment is None:
                    following.add(state)
                elif segment == name if isinstance(segment, str) else _is_match(segment, name):
                    following.add(state + 1)
            states = self._skip_any(following)
        return last in states and not self.only_below, states

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

    Relative patterns begin at ``root``. Raises ``HashFilesError``.
    """
    lines = (line.strip() for argument in arguments for line in argument.split("\n"))
    return [_parse_pattern(line, root) for line in lines if line and not line.startswith("#")]


def _parse_pattern(line: str, root: Path) -> Pattern:
    body = line.lstrip("!")
    excludes = (len(line) - len(body)) % 2 == 1
    body = body.strip()
    names = [name for name in body.split("/") if name]
    above = [] if body.startswith("/") else _names(root)
    if names[:1] == ["~"] and above:
        above = _names(Path.home())
        del names[0]
    elif names[:1] == ["."]:
        del names[0]
    if "." in names or ".." in names:
        message = f"found '.' or '..' in the pattern {line!r} of hashFiles(), expected none but a leading './'"
        raise HashFilesError(message)
    return Pattern(
        segments=(*above, *(None if name == "**" else _segment(name) for name in names)),
        excludes=excludes,
        only_below=body.endswith("/"),
    )


def _names(path: Path) -> list[str]:
    return [name for name in str(path).split("/") if name]


def _segment(text: str) -> str | _Wild:
    """Return what one name has to be: a text when there is no wildcard, also when escapes or ``[c]`` say so."""
    parts: list[_Char | None] = []
    at = 0
    while at < len(text):
        char = text[at]
        at += 1
        if char == "*":
            parts.append(None)
        elif char == "?":
            parts.append(_ANY)
        elif char == "[" and (found := _set(text, at)):
            taken, at = found
            parts.append(taken)
        else:
            if char == "\\" and at < len(text):
                char = text[at]
                at += 1
            parts.append(_Char(ranges=((char, char),)))
    literal = [part.ranges[0][0] for part in parts if part is not None and _is_one(part)]
    return "".join(literal) if len(literal) == len(parts) else tuple(parts)


def _is_one(part: _Char) -> bool:
    return not part.inverted and len(part.ranges) == 1 and part.ranges[0][0] == part.ranges[0][1]


def _set(text: str, at: int) -> tuple[_Char, int] | None:
    """Return the characters of a ``[…]`` and where it ends; None when it does not, so that ``[`` is itself."""
    inverted = text[at : at + 1] in {"!", "^"}
    at += inverted
    ranges: list[tuple[str, str]] = []
    first = at
    while at < len(text):
        char = text[at]
        if char == "]" and at > first:
            return _Char(ranges=tuple(ranges), inverted=inverted), at + 1
        if char == "\\" and at + 1 < len(text):
            at += 1
            char = text[at]
        if text[at + 1 : at + 2] == "-" and text[at + 2 : at + 3] not in {"", "]"}:
            ranges.append((char, text[at + 2]))
            at += 3
        else:
            ranges.append((char, char))
            at += 1
    return None


def _is_match(wild: _Wild, name: str) -> bool:
    """Tell whether the whole name matches, in time bounded by its length squared: only the last ``*`` tries again."""
    at = position = 0
    star, resume = -1, 0
    while position < len(name):
        part = wild[at] if at < len(wild) else _NOTHING
        if part is None:
            star, resume = at, position
            at += 1
        elif part.takes(name[position]):
            at += 1
            position += 1
        elif star >= 0:
            resume += 1
            at, position = star + 1, resume
        else:
            return False
    return all(part is None for part in wild[at:])


_NOTHING: Final = _Char(ranges=())


def hash_files(root: Path, arguments: Sequence[str]) -> str:
    """Return the SHA-256, in hexadecimal, of the SHA-256 digests of all matching files, one after the other.

    They come as GitHub meets them: the places that the patterns begin with in the order of the patterns, and within a
    directory the names in the order of their bytes, each directory with all that is below it. '' when no file matches.
    ``--follow-symbolic-links`` as the first argument also enters directories that are links. Raises
    ``HashFilesError``: a pattern or an option that is none, or a file that cannot be read.
    """
    option = arguments[0] if arguments and arguments[0].startswith("--") else None
    if option is not None and option.lower() != _FOLLOW:
        raise HashFilesError(f"found the option {option!r} of hashFiles(), expected {_FOLLOW!r}")
    if "\0" in "".join((str(root), *arguments)):
        raise HashFilesError("found a NUL character in the workspace or a pattern of hashFiles(), expected a path")
    root = Path(os.path.realpath(root))
    patterns = parse_patterns(arguments if option is None else arguments[1:], root)
    total = hashlib.sha256()
    count = 0
    for path in _matching(root, patterns, follow=option is not None):
        count += 1
        total.update(_digest(path))
    return total.hexdigest() if count else ""


def _matching(root: Path, patterns: Sequence[Pattern], *, follow: bool) -> Iterator[Path]:
    for relative in _Walk(root, patterns, follow=follow).files():
        names = (*_names(root), *relative.parts)
        wanted = False
        for pattern in patterns:
            if pattern.excludes is wanted and pattern.matches(names):
                wanted = not wanted
        if wanted:
            yield root / relative


class _Walk:
    """Goes where the patterns may find something, and enters no circle of links."""

    def __init__(self, root: Path, patterns: Sequence[Pattern], *, follow: bool) -> None:
        self._root = root
        self._above = _names(root)
        self._wanted = [pattern for pattern in patterns if not pattern.excludes]
        self._follow = follow
        self._visited = 0

    def files(self) -> Iterator[PurePosixPath]:
        """Yield the files whose real place is inside of the root, relative to it, in GitHub's order."""
        starts = list(dict.fromkeys(filter(None, map(self._start, self._wanted))))
        for start in starts:
            if not any(above in starts for above in start.parents):
                yield from self._below(start)

    def _start(self, pattern: Pattern) -> PurePosixPath | None:
        """Return where to look for the pattern; None when that is outside of the root."""
        literal = pattern.literal
        depth = len(self._above)
        if list(literal[:depth]) != self._above[: len(literal)]:
            return None
        return PurePosixPath(*literal[depth:])

    def _below(self, start: PurePosixPath) -> Iterator[PurePosixPath]:
        pending: list[tuple[PurePosixPath, frozenset[Path]]] = [(start, frozenset())]
        while pending:
            relative, above = pending.pop()
            self._visited += 1
            if self._visited > MAX_VISITED:
                raise HashFilesError(f"hashFiles() looked at more than {MAX_VISITED} files: use a narrower pattern")
            path = self._root / relative
            try:
                real = Path(os.path.realpath(path, strict=True))
                if not real.is_relative_to(self._root):
                    continue
                if path.is_file():
                    yield relative
                elif path.is_dir() and real not in above and (self._follow or not path.is_symlink()):
                    below = above | {real}
                    names = sorted(os.listdir(path), key=os.fsencode, reverse=True)
                    pending.extend((item, below) for name in names if self._leads_to(item := relative / name))
            except PermissionError as error:
                raise HashFilesError(f"hashFiles() cannot read {str(relative)!r}: {error.strerror}") from None
            except OSError as error:
                if error.errno not in _NO_FILE:
                    raise HashFilesError(f"hashFiles() cannot read {str(relative)!r}: {error.strerror}") from None

    def _leads_to(self, relative: PurePosixPath) -> bool:
        names = (*self._above, *relative.parts)
        return any(pattern.leads_to(names) for pattern in self._wanted)


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
