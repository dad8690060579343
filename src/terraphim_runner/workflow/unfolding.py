"""Where in the file each character of a scalar's content was written.

Needed only for mistakes inside of scalars, so it reads the scalar a second time, in YAML's own terms, and proves
itself: content that does not come out as libyaml had it yields nothing, never a wrong place.
"""

import re
from collections.abc import Iterable
from typing import Final

from terraphim_runner.workflow.nodes import Scalar

_PROPERTIES: Final = re.compile(r"(?:[&!][^\s]*\s+)*")
_BREAK: Final = re.compile("\r\n|[\n\r\x85\u2028\u2029]")
_ESCAPE: Final = re.compile(r"\\(?:x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|\r\n|.)", re.DOTALL)
_SIMPLE_ESCAPES: Final = {
    "0": "\0",
    "a": "\a",
    "b": "\b",
    "t": "\t",
    "\t": "\t",
    "n": "\n",
    "v": "\v",
    "f": "\f",
    "r": "\r",
    "e": "\x1b",
    "N": "\x85",
    "_": "\xa0",
    "L": "\u2028",
    "P": "\u2029",
}


def offsets_of(text: str, scalar: Scalar) -> list[int]:
    """Return the offset in ``text`` of each character of the scalar's content; empty when it cannot be told."""
    match = _PROPERTIES.match(text, scalar.start, scalar.end)
    start = match.end() if match else scalar.start
    if text[start : scalar.end] == scalar.text:
        return list(range(start, scalar.end))
    content, places = (_block_scalar if scalar.style in ("|", ">") else _flow)(text, start, scalar)
    if content[: len(scalar.text)] == scalar.text:
        return places[: len(scalar.text)]
    return []


class _Content:
    """Characters that were read, each with its place; blanks are held back until it is known that they count."""

    def __init__(self) -> None:
        self.chars: list[str] = []
        self.places: list[int] = []
        self._blanks: list[tuple[str, int]] = []
        self._breaks: list[int] = []

    def add(self, char: str, place: int) -> None:
        self.flush()
        self.chars.append(char)
        self.places.append(place)

    def blank(self, char: str, place: int) -> None:
        if not self._breaks:
            self._blanks.append((char, place))

    def line_break(self, place: int) -> None:
        self._blanks.clear()
        self._breaks.append(place)

    def flush(self) -> None:
        """Fold what was held back: one break becomes a space, more become one line feed fewer."""
        held = self._blanks
        if len(self._breaks) == 1:
            held = [(" ", self._breaks[0])]
        elif self._breaks:
            held = [("\n", place) for place in self._breaks[1:]]
        for char, place in held:
            self.chars.append(char)
            self.places.append(place)
        self._blanks.clear()
        self._breaks.clear()

    def result(self) -> tuple[str, list[int]]:
        return "".join(self.chars), self.places


def _flow(text: str, start: int, scalar: Scalar) -> tuple[str, list[int]]:
    content = _Content()
    at = start + (1 if scalar.style else 0)
    end = scalar.end - (1 if scalar.style else 0)
    while at < end:
        char = text[at]
        line_end = _BREAK.match(text, at, end)
        if line_end:
            content.line_break(at)
            at = line_end.end()
        elif char in " \t":
            content.blank(char, at)
            at += 1
        elif char == "\\" and scalar.style == '"':
            at = _escape(text, at, end, content)
        else:
            content.add(char, at)
            at += 2 if char == "'" and scalar.style == "'" else 1
    content.flush()
    return content.result()


def _escape(text: str, at: int, end: int, content: _Content) -> int:
    found = _ESCAPE.match(text, at, end)
    if not found:
        return end
    code = found.group()[1:]
    if _BREAK.match(code):
        content.flush()
        at = found.end()
        while at < end and text[at] in " \t":
            at += 1
        return at
    if code[0] in "xuU" and len(code) > 1:
        number = int(code[1:], 16)
        content.add(chr(number) if number < 0x110000 else "?", at)
    else:
        content.add(_SIMPLE_ESCAPES.get(code, code), at)
    return found.end()


def _block_scalar(text: str, start: int, scalar: Scalar) -> tuple[str, list[int]]:
    header = _BREAK.search(text, start)
    if not header:
        return "", []
    lines = _lines(text, header.end(), scalar.end)
    written = _margin(line for _, line in lines)
    # What the content has less of it than the file is the indentation, given by an indicator or not.
    indent = max(0, written - _margin(_BREAK.split(scalar.text)))
    return _block(lines, indent, folded=scalar.style == ">")


def _margin(lines: Iterable[str]) -> int:
    """Return how many blanks the first line with text begins with, or the longest of lines of blanks alone."""
    longest = 0
    for line in lines:
        blanks = len(line) - len(line.lstrip(" "))
        if blanks < len(line):
            return blanks
        longest = max(longest, blanks)
    return longest


def _lines(text: str, start: int, end: int) -> list[tuple[int, str]]:
    lines: list[tuple[int, str]] = []
    while start < end:
        found = _BREAK.search(text, start, end)
        stop = found.start() if found else end
        lines.append((start, text[start:stop]))
        start = found.end() if found else end
    return lines


def _block(lines: list[tuple[int, str]], indent: int, *, folded: bool) -> tuple[str, list[int]]:
    chars: list[str] = []
    places: list[int] = []
    breaks: list[int] = []
    was_blank = True
    for at, line in lines:
        rest = line[indent:]
        if not rest:
            breaks.append(at + len(line))
            continue
        is_blank = rest[0] in " \t"
        if folded and breaks and chars and not was_blank and not is_blank:
            folds = [(" ", breaks[0])] if len(breaks) == 1 else [("\n", place) for place in breaks[1:]]
        else:
            folds = [("\n", place) for place in breaks]
        for char, place in folds:
            chars.append(char)
            places.append(place)
        chars.extend(rest)
        places.extend(range(at + indent, at + len(line)))
        was_blank = is_blank
        breaks = [at + len(line)]
    chars.extend("\n" for _ in breaks)
    places.extend(breaks)
    return "".join(chars), places
