"""The line of the source that a diagnostic shows."""

import pytest

from terraphim_runner.model.source import Diagnostic, Span


def shown(source: str, line: int, column: int, length: int = 1) -> list[str]:
    """Return what is rendered below the headline."""
    found = Diagnostic(path="w.yml", span=Span.at(line, column, length), rule="r", message="m")
    return found.render(source).split("\n")[1:]


@pytest.mark.parametrize("line_break", ["\n", "\r\n", "\r", "\x85", "\u2028", "\u2029"])
def test_excerpt_of_any_line_break_is_the_line_alone(line_break: str) -> None:
    assert shown(line_break.join(("first", "sec ond", "third", "")), 2, 5, 3) == [" 2 | sec ond", "   |     ^^^"]


def test_excerpt_after_the_last_line_is_left_out() -> None:
    assert shown("one\n", 2, 1) == []
    assert shown("one\n\n", 2, 1) == [" 2 | ", "   | ^"]
    assert shown("", 1, 1) == []


def test_excerpt_of_a_long_line_shows_what_is_around_the_place_only() -> None:
    line = "a" * 500_000 + "HERE" + "b" * 500_000
    text, caret = shown(f"x\n{line}\n", 2, 500_001, 4)
    assert len(text) + len(caret) < 600
    assert text.startswith(" 2 | …aaa")
    at = caret.index("^")
    assert text[at : at + 4] == "HERE"
    assert caret[at:] == "^^^^"


def test_excerpt_of_the_beginning_of_a_long_line_is_not_shifted() -> None:
    text, caret = shown("HERE" + "b" * 500_000, 1, 1, 400_000)
    assert text.startswith(" 1 | HEREbbb")
    assert (len(text), caret) == (405, "   | " + "^" * 400)
