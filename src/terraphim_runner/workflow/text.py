"""The text of a workflow file: offsets to lines and columns, and back from a scalar's value to the file."""

import re
from bisect import bisect_right
from typing import Final

from terraphim_runner.model.source import Pos, Span
from terraphim_runner.workflow.nodes import Node, Scalar
from terraphim_runner.workflow.unfolding import offsets_of

# What libyaml takes for a line break; the last three are YAML 1.1's and come without surprises in practice.
_BREAK: Final = re.compile("\r\n|[\n\r\x85\u2028\u2029]")


class SourceText:
    """Answers where an offset of the text is; the table of lines is made once, when first asked."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._lines: list[int] | None = None
        self._unfolded: tuple[Scalar, list[int]] | None = None
        """Of the scalar that was asked for last: one may hold thousands of mistakes."""

    def pos(self, offset: int) -> Pos:
        """Return the line and column of an offset."""
        lines = self._starts()
        line = bisect_right(lines, offset)
        return Pos(line=line, column=offset - lines[line - 1] + 1)

    def offset(self, pos: Pos) -> int:
        """Return the offset of a line and column of this text."""
        return self._starts()[pos.line - 1] + pos.column - 1

    def _starts(self) -> list[int]:
        if self._lines is None:
            self._lines = [0, *(found.end() for found in _BREAK.finditer(self.text))]
        return self._lines

    def span(self, start: int, end: int) -> Span:
        """Return the span from one offset to another; it is at least one character wide on its line."""
        lines = self._starts()
        line = bisect_right(lines, start)
        before = lines[line - 1] - 1
        first = Pos(line=line, column=start - before)
        if line < len(lines) and end >= lines[line]:
            return Span(start=first, end=self.pos(end))
        return Span(start=first, end=Pos(line=line, column=max(end, start + 1) - before))

    def of(self, node: Node) -> Span:
        """Return the span of a node, without the blank lines and comments that libyaml counts to its end."""
        return self.span(node.start, node.end)

    def inside(self, scalar: Scalar, offset: int, length: int) -> Span:
        """Return the span of a part of a scalar's *content*.

        Exact in every style, escapes, folding and indentation considered. The scalar's own span should its content
        not be found in the file again.
        """
        if self._unfolded is None or self._unfolded[0] is not scalar:
            self._unfolded = scalar, offsets_of(self.text, scalar)
        places = self._unfolded[1]
        if not places:
            return self.of(scalar)
        first = places[min(offset, len(places) - 1)]
        if offset >= len(places):
            return self.span(first + 1, first + 2)
        last = places[min(offset + max(length, 1), len(places)) - 1]
        return self.span(first, last + 1)
