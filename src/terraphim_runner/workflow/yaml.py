"""YAML text to nodes with places, bounded against hostile documents.

libyaml's events do the scanning; aliases, keys, tags and values are ours, because GitHub's rules are (YAML 1.2's
core schema, keys that differ by case only are duplicates, no merge keys). Refused: more than one document, anything
deeper or larger (after the expansion of aliases) than the limits below.
"""

import re
from collections.abc import Callable
from typing import Any, Final, NoReturn

import yaml
from yaml import cyaml
from yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    StreamEndEvent,
)

from terraphim_runner.expressions.casing import fold
from terraphim_runner.model.source import Related, Span
from terraphim_runner.workflow.findings import Findings, shown
from terraphim_runner.workflow.nodes import Entry, Mapping, Node, Scalar, ScalarValue, Sequence
from terraphim_runner.workflow.scalars import SCALAR_TAGS, as_text, resolve, resolve_tagged
from terraphim_runner.workflow.yaml_errors import explain

MAX_BYTES: Final = 1024 * 1024
MAX_DEPTH: Final = 64
MAX_NODES: Final = 50_000
"""Nodes of the whole document, each alias counted as all that it stands for."""

MAX_TEXT: Final = 2 * MAX_BYTES
"""Characters of all values, counted in the same way."""

_FORBIDDEN: Final = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_CORE_TAG: Final = "tag:yaml.org,2002:"


def load(findings: Findings) -> Node | None:
    """Return the only document of the findings' text; None when there is none or it is broken.

    What is wrong is noted in ``findings``. Never raises, and takes time in proportion to the text.
    """
    text = findings.source.text
    if not _is_acceptable(text, findings):
        return None
    try:
        return _Loader(text, findings).document()
    except _BrokenError:
        return None
    except yaml.YAMLError as error:
        place, message, fix = explain(error, text)
        findings.error(findings.source.span(place, place), "yaml-syntax", message, fix=fix)
        return None


def _is_acceptable(text: str, findings: Findings) -> bool:
    start = Span.at(1, 1)
    # A character takes at most four bytes: only a text of doubtful length needs to be encoded to be measured.
    if len(text) > MAX_BYTES or (len(text) > MAX_BYTES // 4 and len(text.encode(errors="replace")) > MAX_BYTES):
        findings.error(start, "file-size", f"the file is larger than {MAX_BYTES // 1024} KiB, expected less")
        return False
    forbidden = _FORBIDDEN.search(text)
    if forbidden:
        place = findings.source.span(forbidden.start(), forbidden.end())
        message = f"found the control character {forbidden.group()!r}, expected printable text"
        findings.error(place, "yaml-syntax", message)
        return False
    return True


class _BrokenError(Exception):
    """Reading on makes no sense; what is wrong has been noted."""


def _events(text: str) -> Callable[[], Any]:
    """Return what yields libyaml's next event. The published types of PyYAML leave its C parser out."""
    parser: Any = vars(cyaml)["CParser"](text)
    return parser.get_event


class _Anchor:
    """A node that may be repeated: what it stands for, in nodes, characters and levels."""

    __slots__ = ("height", "length", "node", "weight")

    def __init__(self, node: Node, *, weight: int, length: int, height: int) -> None:
        self.node = node
        self.weight = weight
        self.length = length
        self.height = height


class _Loader:
    def __init__(self, text: str, findings: Findings) -> None:
        self._next = _events(text)
        self._findings = findings
        self._anchors: dict[str, _Anchor | None] = {}
        """None while the anchored node itself is being read."""
        self._count = 0
        self._length = 0
        self._deepest = 0

    def document(self) -> Node | None:
        self._next()  # the stream's start
        event = self._next()  # a document's start, or the stream's end
        if type(event) is StreamEndEvent:
            self._findings.error(Span.at(1, 1), "yaml-syntax", f"the file is empty, expected {self._findings.document}")
            return None
        root = self._node(self._next(), 1)
        self._next()  # the document's end
        following = self._next()
        if type(following) is DocumentStartEvent:
            message = f"found a second document, expected one {self._findings.kind} in a file"
            self._stop(following, "yaml-documents", message)
        return root

    def _node(self, event: Any, depth: int) -> Node:
        self._count += 1
        if depth > self._deepest:
            self._deepest = depth
        if self._count > MAX_NODES or depth > MAX_DEPTH:
            self._too_large(event)
        if type(event) is AliasEvent:
            return self._alias(event, depth)
        anchor = event.anchor
        if anchor is not None:
            return self._anchored(event, anchor, depth)
        if type(event) is ScalarEvent:
            return self._scalar(event)
        return self._mapping(event, depth) if type(event) is MappingStartEvent else self._sequence(event, depth)

    def _scalar(self, event: Any) -> Scalar:
        text: str = event.value
        style: str = event.style or ""
        start: int = event.start_mark.index
        end: int = event.end_mark.index
        self._length += len(text)
        value: ScalarValue = text
        if event.tag is not None:
            value = self._tagged(event)
        elif not style:
            value = resolve(text)
        return Scalar(start, end, text, style, value)

    def _tagged(self, event: Any) -> ScalarValue:
        tag: str = event.tag
        name = tag.removeprefix(_CORE_TAG)
        if tag == "!":
            return event.value
        if name == tag or name not in SCALAR_TAGS:
            self._unknown_tag(event, "a scalar", "!!str, !!int, !!float, !!bool or !!null")
            return event.value
        try:
            return resolve_tagged(event.value, name)
        except ValueError:
            self._error(event, "yaml-tag", f"found {shown(event.value)} with the tag !!{name}, expected such a value")
            return event.value

    def _sequence(self, start: Any, depth: int) -> Sequence:
        if start.tag is not None and start.tag not in (_CORE_TAG + "seq", "!"):
            self._unknown_tag(start, "a sequence", "no tag")
        items: list[Node] = []
        event = self._next()
        while type(event) is not SequenceEndEvent:
            items.append(self._node(event, depth + 1))
            event = self._next()
        return Sequence(start.start_mark.index, self._end(event, items[-1] if items else None), tuple(items))

    def _mapping(self, start: Any, depth: int) -> Mapping:
        if start.tag is not None and start.tag not in (_CORE_TAG + "map", "!"):
            self._unknown_tag(start, "a mapping", "no tag")
        entries: dict[str, Entry] = {}
        folded: dict[str, Scalar] = {}
        last: Node | None = None
        event = self._next()
        while type(event) is not MappingEndEvent:
            key = self._node(event, depth + 1)
            last = self._node(self._next(), depth + 1)
            if isinstance(key, Scalar):
                name = key.text if type(key.value) is str else as_text(key)
                first = folded.setdefault(fold(name), key)
                if first is not key:
                    self._duplicate(key, first)
                if name != "<<" or not self._is_merge(key, last):
                    # A second key that differs by case is kept, so that what is wrong below it is told, too.
                    entries.setdefault(name, Entry(key, last))
            else:
                message = "found a sequence or a mapping as a key, expected a string"
                self._findings.error(key, "yaml-key", message)
            event = self._next()
        return Mapping(start.start_mark.index, self._end(event, last), entries)

    def _end(self, event: Any, last: Node | None) -> int:
        # A block collection's end mark is where the next thing begins; flow collections really end there.
        if event.end_mark.index > event.start_mark.index or last is None:
            return event.end_mark.index
        return last.end

    def _anchored(self, event: Any, anchor: str, depth: int) -> Node:
        before, length = self._count - 1, self._length
        deepest = self._deepest
        self._deepest = depth
        self._anchors[anchor] = None
        event.anchor = None
        self._count -= 1
        node = self._node(event, depth)
        self._anchors[anchor] = _Anchor(
            node, weight=self._count - before, length=self._length - length, height=self._deepest - depth
        )
        self._deepest = max(deepest, self._deepest)
        return node

    def _alias(self, event: Any, depth: int) -> Node:
        name: str = event.anchor
        if name not in self._anchors:
            known = ", ".join(sorted(self._anchors)[:10]) or "none"
            message = f"the alias {shown('*' + name)} has no anchor before it; known anchors: {known}"
            fix = "quote the value if the '*' is part of it"
            self._stop(event, "yaml-alias", message, fix=fix)
        anchor = self._anchors[name]
        if anchor is None:
            self._stop(event, "yaml-alias", f"the alias {shown('*' + name)} stands inside of its own anchor")
        self._count += anchor.weight - 1
        self._length += anchor.length
        self._deepest = max(self._deepest, depth + anchor.height)
        if self._count > MAX_NODES or self._length > MAX_TEXT or depth + anchor.height > MAX_DEPTH:
            self._too_large(event)
        return anchor.node

    def _duplicate(self, key: Scalar, first: Scalar) -> None:
        related = Related(message="first defined here", span=self._findings.source.of(first))
        message = f"the key {shown(key)} is defined already"
        if key.text != first.text:
            message += f", as {shown(first)}: keys are compared without case"
        self._findings.error(key, "duplicate-key", message, related=(related,))

    def _is_merge(self, key: Scalar, value: Node) -> bool:
        """Tell whether the author means YAML 1.1's merge, which GitHub does not do; noted when so."""
        items = value.items if isinstance(value, Sequence) else (value,)
        if key.style or not items or not all(isinstance(item, Mapping) for item in items):
            return False
        fix = "write the keys out, or use the alias for the whole mapping"
        message = f"merge keys ('<<') are not supported in {self._findings.kind}s"
        self._findings.error(key, "yaml-merge-key", message, fix=fix)
        return True

    def _unknown_tag(self, event: Any, what: str, expected: str) -> None:
        message = f"found the tag {shown(event.tag)} on {what}, expected {expected}"
        is_accident = not event.tag.startswith(_CORE_TAG)
        fix = "quote the value if the '!' is part of it, as in '!cancelled()'" if is_accident else None
        self._error(event, "yaml-tag", message, fix=fix)

    def _too_large(self, event: Any) -> NoReturn:
        if self._count > MAX_NODES:
            message = f"the document has more than {MAX_NODES} values, aliases expanded"
        elif self._length > MAX_TEXT:
            message = f"the document's values have more than {MAX_TEXT} characters, aliases expanded"
        else:
            message = f"the document is nested deeper than {MAX_DEPTH} levels, aliases expanded"
        self._stop(event, "yaml-size", message)

    def _error(self, event: Any, rule: str, message: str, *, fix: str | None = None) -> None:
        place = self._findings.source.span(event.start_mark.index, event.end_mark.index)
        self._findings.error(place, rule, message, fix=fix)

    def _stop(self, event: Any, rule: str, message: str, *, fix: str | None = None) -> NoReturn:
        self._error(event, rule, message, fix=fix)
        raise _BrokenError
