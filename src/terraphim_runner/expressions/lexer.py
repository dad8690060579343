"""Text to tokens. A number or a name is whatever runs on to the next boundary: ``1a`` and ``a$b`` are one bad token."""

import re
from collections.abc import Mapping
from math import isnan
from typing import Final, NamedTuple

from terraphim_runner.expressions.coercion import WHITESPACE, parse_number
from terraphim_runner.expressions.errors import ExpressionError

MAX_LENGTH: Final = 21_000
"""How many characters an expression may have: GitHub's limit, in UTF-16 code units."""

NAME: Final = "name"
STRING: Final = "string"
NUMBER: Final = "number"
END: Final = "end"
BAD: Final = "bad"
"""What is no token; the last of its text. Whoever reads on to it tells the mistake, so that an earlier one is told."""


class Token(NamedTuple):
    """``kind`` is one of the constants above, or the operator or bracket itself.

    ``value`` is what a literal means, and, of a bad token, the message where there is more to say than that it was
    found.
    """

    kind: str
    text: str
    offset: int
    value: str | float = ""

    def __str__(self) -> str:
        if self.kind == END:
            return "the end of the expression"
        return repr(self.text) if len(self.text) <= 60 else f"{self.text[:60]!r}…"


_BOUNDARY: Final = rf"{WHITESPACE}()\[\],!<>=&|"
_RUN: Final = rf"[^{_BOUNDARY}]*+"
_TOKEN: Final = re.compile(
    rf"[{WHITESPACE}]*+(?:"
    rf"(?P<name>[A-Za-z_][A-Za-z0-9_-]*+)(?![^{_BOUNDARY}.])"
    r"|(?P<string>'(?:[^']++|'')*'(?!'))"
    rf"|(?P<number>[0-9+-]{_RUN})"
    r"|(?P<symbol>==|!=|<=|>=|&&|\|\||[()\[\],.*!<>])"
    r"|(?P<end>\Z))"
)
_RUN_ON: Final = re.compile(_RUN)
_WORD: Final = re.compile(rf"'|[^{_BOUNDARY}.]++|.", re.DOTALL)

_BEFORE_VALUE: Final = frozenset({"", ",", "(", "[", "!", "==", "!=", "<", "<=", ">", ">=", "&&", "||"})
"""After these (or at the beginning) a point begins a number such as ``.5``; elsewhere it asks for a property."""

_ADVICE: Final[Mapping[str, str]] = {
    "=": "'=='",
    "&": "'&&'",
    "|": "'||'",
    '"': "text in single quotes ('…')",
    "'": "a closing quote (' inside of text is written '')",
    "$": "the expression without '${{'",
}


def length_of(text: str) -> int:
    """Return how many characters GitHub counts: one beyond U+FFFF is two."""
    return len(text) if text.isascii() else len(text.encode("utf-16-le", "surrogatepass")) // 2


def tokenize(text: str) -> list[Token]:
    """Return the tokens, the last of kind ``END`` or ``BAD``. Raises ``ExpressionError`` when the text is too long."""
    if 2 * len(text) > MAX_LENGTH and (length := length_of(text)) > MAX_LENGTH:
        message = f"found an expression of {length} characters, expected at most {MAX_LENGTH}: split it up"
        raise ExpressionError(message, offset=0, length=len(text))
    tokens: list[Token] = []
    match_at = _TOKEN.match
    position = 0
    before = ""
    while True:
        match = match_at(text, position)
        if match is None or match.lastgroup is None:
            return [*tokens, _mistake(text, position)]
        kind = match.lastgroup
        offset, position = match.span(kind)
        written = match[kind]
        if kind in (NAME, END):
            token = Token(kind, written, offset)
        elif kind == STRING:
            token = Token(kind, written, offset, written[1:-1].replace("''", "'"))
        elif kind == NUMBER:
            token = _number(written, offset)
        elif written == "." and before in _BEFORE_VALUE:
            token = _number(_RUN_ON.findall(text, offset)[0], offset)
            position = offset + len(token.text)
        else:
            token = Token(written, written, offset)
        tokens.append(token)
        before = token.kind
        if token.kind in (END, BAD):
            return tokens


def _number(written: str, offset: int) -> Token:
    number = parse_number(written)
    return Token(BAD, written, offset) if isnan(number) else Token(NUMBER, written, offset, number)


def _mistake(text: str, position: int) -> Token:
    offset = len(text) - len(text[position:].lstrip(WHITESPACE))
    word = _WORD.match(text, offset)
    found = word[0] if word else ""
    if found == "'":
        message = (
            f"found text that begins with a quote at character {offset + 1} and does not end, expected {_ADVICE[found]}"
        )
        return Token(BAD, text[offset:], offset, message)
    usual = "an operator, a name, a number or text in single quotes"
    if found[:1].isalpha() or found[:1] == "_":
        usual = "a name of the letters a to z, digits, '-' and '_'"
    advice = _ADVICE.get(found[:1], usual)
    return Token(BAD, found, offset, f"found {found[:60]!r}, expected {advice}")
