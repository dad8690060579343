"""User text on its way to a terminal or into Markdown."""

import re
import unicodedata
from typing import Final

_MARKDOWN: Final = re.compile(r"([\\`*_{}\[\]()<>#+!|~@&$^=-])")


def one_line(text: str, *, max_chars: int = 200) -> str:
    """Return the text as one line that cannot steer a terminal or turn its direction; longer text is cut with ``…``."""
    cut = text[: max_chars + 1]
    shown = "".join(char if char.isprintable() else " " if char in "\n\r\t" else "?" for char in cut).strip()
    return shown if len(text) <= max_chars else shown[: max_chars - 1] + "…"


def many_lines(text: str, *, max_chars: int) -> str:
    """Return the text with its line breaks and tabs and without any other control character; the rest is cut."""
    unified = text[:max_chars].replace("\r\n", "\n").replace("\r", "\n")
    return "".join(char for char in unified if char in "\n\t" or _is_visible(char))


def markdown_text(text: str) -> str:
    """Return the text so that Markdown shows it literally: no link, no mention, no HTML, no reference."""
    return _MARKDOWN.sub(r"\\\1", one_line(text))


def _is_visible(char: str) -> bool:
    # Cf holds the characters that turn the direction of text, but also the joiner of emoji and of several scripts.
    return char in "\u200c\u200d" or unicodedata.category(char) not in {"Cc", "Cf", "Cs"}
