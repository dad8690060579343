"""JSON text to plain Python data, the way the runner's library reads it, which takes more than JSON.

Quotes of either kind, keys without any, comments, a comma after the last item, line breaks in text, octal and
hexadecimal numbers, and whatever follows the value: all of that works with GitHub, and workflows rely on it. Text that
is plain JSON takes a short cut through the standard library.
"""

import json
import re
from math import isnan
from typing import Final

from terraphim_runner.expressions.coercion import WHITESPACE, parse_number
from terraphim_runner.expressions.errors import EvaluationError

MAX_DEPTH: Final = 64
"""How deep arrays and objects may be nested: the limit of the runner's library."""

_MAX_DIGITS: Final = 380
"""How many characters an integer may have, likewise."""

_MAX_INTEGER: Final = 2**64

_BLANK: Final = re.compile(rf"[{WHITESPACE}\x00]*+")
_NUMBER: Final = re.compile(r"[-+.0-9a-fA-FxX]*+")
_NAME: Final = re.compile(r"[\w$]++")
_PLAIN: Final = {"'": re.compile(r"[^'\\]*+"), '"': re.compile(r'[^"\\]*+')}
_CODE: Final = re.compile(r"[0-9a-fA-F]{4}")
_BLOCK_COMMENT: Final = re.compile(r"/\*(.*?)\*/", re.DOTALL)
_LINE_COMMENT: Final = re.compile(r"//([^\r\n]*+)")
_SEPARATORS: Final = frozenset(WHITESPACE) | {"", ",", "}", "]", "\0"}
_ESCAPES: Final = {"b": "\b", "t": "\t", "n": "\n", "f": "\f", "r": "\r"} | {char: char for char in "\\\"'/"}
_WORDS: Final[dict[str, object]] = {
    "true": True,
    "false": False,
    "null": None,
    # The library knows it, and the runner makes an empty text of what it does not.
    "undefined": "",
    "NaN": float("nan"),
    "Infinity": float("inf"),
    "-Infinity": float("-inf"),
}


def read_json(text: str) -> object:
    """Return the first value of the text, numbers as ``float``. Raises ``EvaluationError`` with the place."""
    try:
        return _DECODER.decode(text)
    except json.JSONDecodeError:
        return _Reader(text).read()
    except RecursionError:
        raise too_deep() from None


def too_deep() -> EvaluationError:
    """Return the error of JSON that is nested too deep."""
    return EvaluationError(f"the argument of fromJSON() is nested more than {MAX_DEPTH} levels deep")


def _integer(digits: str) -> float:
    if len(digits) > _MAX_DIGITS:
        message = f"the argument of fromJSON() has an integer of {len(digits)} digits, expected at most {_MAX_DIGITS}"
        raise EvaluationError(message)
    return float(digits)


_DECODER: Final = json.JSONDecoder(parse_int=_integer, strict=False)


class _Reader:
    """Recursive, as deep as ``MAX_DEPTH``. Errors tell the place and never the text, which may be a secret."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._position = 0

    def read(self) -> object:
        self._position = self._blank()
        if self._char() == "/":
            # The library returns a comment that stands first as a value, and the runner takes its text.
            return self._comment()
        return self._value(MAX_DEPTH)

    def _char(self) -> str:
        return self._text[self._position : self._position + 1]

    def _blank(self) -> int:
        match = _BLANK.match(self._text, self._position)
        return match.end() if match else self._position

    def _skip(self) -> str:
        """Go to what is no blank and no comment; return its first character, or nothing at the end."""
        while True:
            self._position = self._blank()
            if self._char() != "/":
                return self._char()
            self._comment()

    def _comment(self) -> str:
        begin = self._position
        comment = _BLOCK_COMMENT.match(self._text, begin) or _LINE_COMMENT.match(self._text, begin)
        if comment is None:
            raise self._mistake("a comment, '//' or '/*' up to '*/'")
        self._position = comment.end()
        return comment[1]

    def _value(self, depth: int) -> object:
        char = self._skip()
        if char in {"{", "["}:
            if depth == 0:
                raise too_deep()
            self._position += 1
            return self._object(depth - 1) if char == "{" else self._array(depth - 1)
        if char in _PLAIN:
            return self._quoted(char)
        if char == ",":
            # An item that is left out; the comma is read as the one after it.
            return ""
        for word, value in _WORDS.items():
            if self._text.startswith(word, self._position):
                self._position += len(word)
                self._separated()
                return value
        if char.isascii() and (char.isdigit() or char in {"-", "."}):
            return self._number()
        raise self._mistake("a value")

    def _separated(self) -> None:
        after = self._char()
        if after not in _SEPARATORS and not self._text.startswith(("/*", "//"), self._position):
            raise self._mistake("a value")

    def _object(self, depth: int) -> dict[str, object]:
        items: dict[str, object] = {}
        while self._skip() != "}":
            key = self._key()
            self._position = self._blank()
            if self._char() != ":":
                raise self._mistake("':' after the key")
            self._position += 1
            items[key] = self._value(depth)
            if self._skip() == ",":
                self._position += 1
            elif self._char() != "}":
                raise self._mistake("',' or '}' after the value")
        self._position += 1
        return items

    def _array(self, depth: int) -> list[object]:
        items: list[object] = []
        while self._skip() != "]":
            items.append(self._value(depth))
            if self._skip() == ",":
                self._position += 1
            elif self._char() != "]":
                raise self._mistake("',' or ']' after the value")
        self._position += 1
        return items

    def _key(self) -> str:
        char = self._char()
        if char in _PLAIN:
            return self._quoted(char)
        name = _NAME.match(self._text, self._position)
        if name is None:
            raise self._mistake("a key or '}'")
        self._position = name.end()
        return name[0]

    def _quoted(self, quote: str) -> str:
        begin = self._position
        pieces: list[str] = []
        self._position += 1
        while True:
            if match := _PLAIN[quote].match(self._text, self._position):
                pieces.append(match[0])
                self._position = match.end()
            char = self._char()
            self._position += 1
            if char == quote:
                return "".join(pieces)
            if not char:
                self._position = begin
                raise self._mistake(f"a text that ends with {quote}")
            pieces.append(self._escape())

    def _escape(self) -> str:
        char = self._char()
        self._position += 1
        if char == "u" and (code := _CODE.match(self._text, self._position)):
            self._position = code.end()
            return chr(int(code[0], 16))
        if char not in _ESCAPES:
            self._position -= 1
            raise self._mistake(r"an escape such as \n or \u00e9")
        return _ESCAPES[char]

    def _number(self) -> float:
        begin = self._position
        match = _NUMBER.match(self._text, begin)
        written = match[0] if match else ""
        self._position += len(written)
        self._separated()
        if written[:1] == "0" and len(written) > 1 and written[1] not in ".eE":
            number = self._prefixed(written)
        elif written.removeprefix("-").isdigit():
            return _integer(written)
        else:
            # A leading plus was refused before; hexadecimal and octal numbers begin with 0.
            number = parse_number(written)
        if isnan(number):
            self._position = begin
            raise self._mistake("a number")
        return number

    def _prefixed(self, written: str) -> float:
        """Return a hexadecimal number, or, with a zero before it, an octal one, of at most 64 bits with its sign."""
        radix = 16 if written[1] in "xX" else 8
        digits = written[2:] if radix == 16 else written
        if not digits.isalnum() or len(digits.lstrip("0")) > 22:
            return float("nan")
        try:
            number = int(digits, radix)
        except ValueError:
            return float("nan")
        if number >= _MAX_INTEGER:
            return float("nan")
        return float(number - _MAX_INTEGER if number >= _MAX_INTEGER // 2 else number)

    def _mistake(self, expected: str) -> EvaluationError:
        before = self._text[: self._position]
        place = f"line {before.count(chr(10)) + 1}, column {len(before) - before.rfind(chr(10))}"
        found = "the end" if self._position >= len(self._text) else "something else"
        return EvaluationError(f"the argument of fromJSON() is not JSON: expected {expected} at {place}, found {found}")
