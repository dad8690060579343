"""libyaml's complaints in words for the author of a workflow."""

import re
from typing import Final

import yaml

_QUOTE_IT: Final = "quote the value if the character is part of it"

_NAMELESS: Final = "did not find expected alphabetic or numeric character"
_OPENED: Final = {
    "while parsing a flow sequence": "'['",
    "while parsing a flow mapping": "'{'",
    "while parsing a block mapping": "mapping",
    "while parsing a block collection": "sequence",
}
# libyaml's problem → what was found and expected, what to do. The scanner's own words stay searchable in the code.
_PROBLEMS: Final[dict[str, tuple[str, str | None]]] = {
    "mapping values are not allowed in this context": (
        "found a ':' where no key can end",
        "quote the value if ': ' is part of it, or check the indentation",
    ),
    "could not find expected ':'": (
        "found a line that is neither a 'key: value' nor part of the value before it",
        "add the ':', or indent the line so that it belongs to the value above",
    ),
    "did not find expected key": (
        "found something that is no key",
        "check the indentation: the keys of one mapping begin in the same column",
    ),
    "did not find expected '-' indicator": (
        "found something that is no '- item'",
        "check the indentation: the items of one sequence begin in the same column",
    ),
    "block sequence entries are not allowed in this context": (
        "found a '- item' where no sequence can begin",
        "begin the sequence on a line of its own",
    ),
    "block mapping entries are not allowed in this context": ("found a key where no mapping can begin", None),
    "mapping keys are not allowed in this context": ("found a '?' key where no mapping can begin", _QUOTE_IT),
    "did not find expected ',' or ']'": ("found no ',' or ']' after an item", "close the sequence"),
    "did not find expected ',' or '}'": ("found no ',' or '}' after an entry", "close the mapping"),
    _NAMELESS: (
        "found a '*' or '&' that begins an alias or an anchor without a name",
        "quote the value if the '*' or '&' is part of it, as in '*.js'",
    ),
    "found unknown escape character": (
        "found an unknown escape in a double-quoted string",
        "write '\\\\' for a backslash, or use single quotes",
    ),
    "did not find expected <document start>": ("found text after the end of the document", "check the indentation"),
    "did not find expected node content": ("found nothing where a value is expected", None),
    "found undefined tag handle": ("found a tag that nothing defines", "quote the value if the '!' is part of it"),
    "exceeded maximum nesting level": ("the document is nested too deeply", None),
}
_TAB: Final = ("found a tab where YAML allows only spaces", "indent with spaces")
_UNCLOSED: Final = re.compile(r"found unexpected end of stream|found unexpected document indicator")


def explain(error: yaml.YAMLError, text: str) -> tuple[int, str, str | None]:
    """Return the offset of libyaml's complaint in the text, what was found there, and what to do about it."""
    if not isinstance(error, yaml.MarkedYAMLError):
        reason = " ".join(str(error).split())[:200]
        return 0, f"the file is not readable as YAML: {reason}", None
    problem = error.problem or "unknown problem"
    place = _offset(error.problem_mark, _offset(error.context_mark, 0))
    place = min(place, max(0, len(text) - 1))
    if _UNCLOSED.search(problem):
        # Where the string began says more than where the file ended.
        return _offset(error.context_mark, place), "found a quoted string that is never closed", "add the closing quote"
    if problem == _NAMELESS:
        place = _offset(error.context_mark, place)
    here = text[place : place + 1]
    if "cannot start any token" in problem or "tab" in problem:
        if here == "\t" or "tab" in problem:
            return place, *_TAB
        return place, f"found {here!r}, which cannot begin a value", _QUOTE_IT
    message, fix = _PROBLEMS.get(problem, (f"broken YAML: {problem}", None))
    if error.context_mark is not None and error.context in _OPENED:
        message += f", in the {_OPENED[error.context]} of line {int(error.context_mark.line) + 1}"
    elif error.context and problem not in _PROBLEMS:
        message += f" ({error.context})"
    return place, message, fix


def _offset(mark: yaml.Mark | None, otherwise: int) -> int:
    return otherwise if mark is None else int(mark.index)
