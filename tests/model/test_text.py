import pytest
from hypothesis import given
from hypothesis import strategies as st

from terraphim_runner.model.text import printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [("plain, äöü ☃", "plain, äöü ☃"), ("\x1b[2Jx", "?[2Jx"), ("a\r\nb\tc", "a??b?c"), ("\u202eabc\x00", "?abc?")],
)
def test_printable_replaces_what_could_steer_a_terminal(text, shown):
    assert printable(text) == shown


def test_printable_keeps_what_it_is_told_to():
    assert printable("a\nb\tc", instead=" ", keep="\n") == "a\nb c"


@given(st.text())
def test_printable_of_any_text_is_printable_and_as_long(text):
    assert printable(text).isprintable()
    assert len(printable(text)) == len(text)
