"""GitHub's filter patterns for branches, tags and paths.

``*`` matches anything but ``/``, ``**`` anything, ``?`` makes the character before it optional, ``+`` repeats it,
``[…]`` is one of some characters and ranges, ``\\`` takes the next character as it is, a leading ``!`` negates.
A pattern matches the whole name, with case. ``**/`` at the start of a segment matches no segment, too, as
``**/README.md`` does in the root of a repository.

Patterns come from repositories, names from whoever pushes: matching steps a set of positions (one integer) over the
name, in time proportional to its length, whatever the pattern. No regular expression engine is involved.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

MAX_PATTERN_LENGTH: Final = 1024


class PatternError(ValueError):
    """A pattern that means nothing: ``reason`` for people, ``offset`` into the pattern."""

    def __init__(self, reason: str, offset: int) -> None:
        self.reason = reason
        self.offset = offset
        super().__init__(reason)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pattern:
    """One compiled pattern; made by ``compile_pattern``."""

    text: str
    negative: bool
    _program: "_Program" = field(repr=False)

    def matches(self, name: str) -> bool:
        """Tell whether the whole name matches, the leading ``!`` left out of account."""
        return self._program.run(name)


def select(patterns: Iterable[str], name: str) -> bool:
    """Tell whether a list of patterns lets a name in: in order, the last one that matches decides.

    Raises ``PatternError`` for a pattern that ``compile_pattern`` would refuse.
    """
    return selector(patterns)(name)


def selector(patterns: Iterable[str]) -> Callable[[str], bool]:
    """Return what tells of many names whether a list of patterns lets them in; see ``select``."""
    compiled = tuple(map(compile_pattern, patterns))

    def lets_in(name: str) -> bool:
        chosen = False
        for pattern in compiled:
            # Only a pattern that would change the verdict needs to be matched.
            if chosen is pattern.negative and pattern.matches(name):
                chosen = not chosen
        return chosen

    return lets_in


@lru_cache(maxsize=1024)
def compile_pattern(text: str) -> Pattern:
    """Return the compiled pattern; raises ``PatternError``."""
    if len(text) > MAX_PATTERN_LENGTH:
        raise PatternError(f"the pattern is longer than {MAX_PATTERN_LENGTH} characters", 0)
    negative = text.startswith("!")
    if len(text) == negative:
        raise PatternError("the pattern is empty, expected at least one character", 0)
    return Pattern(text=text, negative=negative, _program=_Program(_atoms(text, 1 if negative else 0)))


@dataclass(frozen=True, slots=True)
class _Atom:
    """One step of a pattern: which character it takes, whether it may take none, whether it may take several.

    ``chars`` None takes any character, ``inverted`` all but those. A ``boundary`` takes none: it only lets on where
    a segment begins.
    """

    chars: frozenset[str] | None
    inverted: bool = False
    optional: bool = False
    repeats: bool = False
    boundary: bool = False

    def takes(self, char: str) -> bool:
        if self.boundary:
            return False
        return self.chars is None or (char in self.chars) is not self.inverted


_NOT_SLASH: Final = _Atom(frozenset("/"), inverted=True, optional=True, repeats=True)
_ANYTHING: Final = _Atom(None, optional=True, repeats=True)
_BOUNDARY: Final = _Atom(frozenset(), boundary=True)


def _atoms(text: str, at: int) -> list[_Atom]:
    atoms: list[_Atom] = []
    start = at
    while at < len(text):
        char = text[at]
        if char == "*":
            stars = len(text) - at - len(text[at:].lstrip("*"))
            segment_start = at == start or text[at - 1] == "/"
            at += stars
            if stars == 1:
                atoms.append(_NOT_SLASH)
            elif stars == 2 and segment_start and text.startswith("/", at):
                atoms += (_ANYTHING, _BOUNDARY)
                at += 1
            else:
                atoms.append(_ANYTHING)
        elif char in "?+":
            if not atoms or atoms[-1].boundary:
                raise PatternError(f"the {char!r} has nothing before it, expected a character or a '[…]'", at)
            before = atoms[-1]
            optional, repeats = before.optional or char == "?", before.repeats or char == "+"
            atoms[-1] = _Atom(before.chars, before.inverted, optional, repeats)
            at += 1
        elif char == "[":
            chars, at = _bracket(text, at)
            atoms.append(_Atom(chars))
        else:
            if char == "\\":
                at += 1
                if at == len(text):
                    raise PatternError("the pattern ends with a '\\', expected a character after it", at - 1)
            atoms.append(_Atom(frozenset(text[at])))
            at += 1
    return atoms


def _bracket(text: str, opening: int) -> tuple[frozenset[str], int]:
    closing = text.find("]", opening + 1)
    if closing < 0:
        raise PatternError("the '[' is never closed, expected a ']'", opening)
    if closing == opening + 1:
        raise PatternError("found '[]', expected characters or ranges between the brackets", opening)
    chars: set[str] = set()
    at = opening + 1
    while at < closing:
        if at + 2 < closing and text[at + 1] == "-":
            chars.update(_range(text[at], text[at + 2], at))
            at += 3
        else:
            chars.add(text[at])
            at += 1
    return frozenset(chars), closing + 1


def _range(first: str, last: str, at: int) -> Iterable[str]:
    same_kind = any(all(test(char) for char in (first, last)) for test in (str.isdigit, str.islower, str.isupper))
    if not (first + last).isascii() or not same_kind:
        raise PatternError(f"found the range '{first}-{last}', expected one within a-z, A-Z or 0-9", at)
    if first > last:
        raise PatternError(f"the range '{first}-{last}' runs backwards, expected '{last}-{first}'", at)
    return map(chr, range(ord(first), ord(last) + 1))


class _Program:
    """The atoms as bit masks: bit *i* of a set of positions says that the first *i* atoms are behind."""

    __slots__ = ("_atoms", "_boundary", "_final", "_masks", "_optional", "_repeats")

    _MAX_MASKS: Final = 256
    """Characters whose masks are kept from one name to the next."""

    def __init__(self, atoms: list[_Atom]) -> None:
        self._atoms = atoms
        self._masks: dict[str, int] = {}
        self._final = 1 << len(atoms)
        self._optional = _mask(atom.optional for atom in atoms)
        self._boundary = self._optional | _mask(atom.boundary for atom in atoms)
        self._repeats = _mask(atom.repeats for atom in atoms)

    def run(self, name: str) -> bool:
        masks = self._masks
        if len(masks) > self._MAX_MASKS:
            masks.clear()
        optional, boundary, repeats = self._optional, self._boundary, self._repeats
        positions = 1 | (((1 & boundary) + boundary) ^ boundary)
        for char in name:
            taking = masks.get(char)
            if taking is None:
                taking = masks[char] = _mask(atom.takes(char) for atom in self._atoms)
            # Forward by the atoms that take the character, and on the spot behind those that take it once more.
            positions = ((positions & taking) << 1) | (positions & ((taking & repeats) << 1))
            if not positions:
                return False
            # Atoms that may take nothing: adding carries each position through its run of them at once.
            free = boundary if char == "/" else optional
            positions |= ((positions & free) + free) ^ free
        return bool(positions & self._final)


def _mask(bits: Iterable[bool]) -> int:
    return sum(1 << index for index, bit in enumerate(bits) if bit)
