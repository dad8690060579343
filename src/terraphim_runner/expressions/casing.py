"""Comparison without case, the way the production runner's platform does it ("ordinal, ignore case").

Each character is mapped to its simple upper case, one to one: so "ß" stays, all three sigmas are the same, and "a"
sorts before "[". Python's ``str.upper`` differs in characters that expand, and in the two below.
"""

from typing import Final

_UNCHANGED: Final = frozenset({"\u0131", "\u017f"})
"""Dotless i and long s would become the ASCII letters I and S; the platform leaves them alone."""


class _UpperTable(dict[int, int]):
    """A table for ``str.translate`` that learns the characters it meets; it keeps those that change (some 1400)."""

    def __missing__(self, code: int) -> int:
        upper = ord(_upper(chr(code)))
        if upper != code:
            self[code] = upper
        return upper


_TABLE: Final = _UpperTable()


def _upper(char: str) -> str:
    if char in _UNCHANGED:
        return char
    upper = char.upper()
    if len(upper) > 1:
        # Greek letters with a subscript iota have a simple upper case, which Python calls their title case only.
        upper = char.title()
    return upper if len(upper) == 1 else char


def fold(text: str) -> str:
    """Return the text in upper case with its length unchanged; two texts are equal without case if these are equal."""
    return text.upper() if text.isascii() else text.translate(_TABLE)


def is_greater(left: str, right: str) -> bool:
    """Tell whether ``left`` sorts after ``right``, without case, by UTF-16 code units."""
    if left.isascii() and right.isascii():
        return left.upper() > right.upper()
    return _code_units(left) > _code_units(right)


def _code_units(text: str) -> bytes:
    return fold(text).encode("utf-16-be", "surrogatepass")
