import pytest
from hypothesis import given
from hypothesis import strategies as st

from terraphim_runner.execution.environment_files import (
    FileCommand,
    FileCommandError,
    decode,
    parse_pairs,
    parse_paths,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", {}),
        ("A=1\n", {"A": "1"}),
        ("A=1", {"A": "1"}),
        ("A=\n", {"A": ""}),
        ("A=b=c\n", {"A": "b=c"}),
        ("A=b<<c\n", {"A": "b<<c"}),
        ("A=1\n\n\nB=2\n", {"A": "1", "B": "2"}),
        ("A=1\nA=2\n", {"A": "2"}),
        ("A<<EOF\nx\ny\nEOF\n", {"A": "x\ny"}),
        ("A<<EOF\nEOF\n", {"A": ""}),
        ("A<<EOF\n\n  x\n\nEOF\nB=2\n", {"A": "\n  x\n", "B": "2"}),
        ("A<<EOF\nnot EOF\nEOF \nEOF", {"A": "not EOF\nEOF "}),
        ("A<<E=F\nx\nE=F\n", {"A": "x"}),
        ("A=\u2028x\n", {"A": "\u2028x"}),
        ("A=x\r\n", {"A": "x\r"}),
    ],
)
def test_parse_pairs_reads_every_form(text, expected):
    assert dict(parse_pairs(text, FileCommand.ENV)) == expected


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("A\n", "'A'"),
        ("=1\n", "without a name"),
        ("<<EOF\nx\nEOF\n", "without a name"),
        ("A<<\nx\n", "without a delimiter"),
        ("A<<EOF\nx\n", "'EOF'"),
        ("A=1\n \n", "' '"),
    ],
)
def test_parse_pairs_of_a_wrong_form_says_what_was_found(text, said):
    with pytest.raises(FileCommandError, match="output") as caught:
        list(parse_pairs(text, FileCommand.OUTPUT))
    assert said in str(caught.value)


@given(st.dictionaries(st.from_regex(r"[A-Z_]{1,8}", fullmatch=True), st.text(st.characters(exclude_characters="\n"))))
def test_parse_pairs_of_written_pairs_gives_them_back(pairs):
    text = "".join(f"{name}<<--\n{value}\n--\n" for name, value in pairs.items() if value != "--")
    assert dict(parse_pairs(text, FileCommand.ENV)) == {name: value for name, value in pairs.items() if value != "--"}


def test_parse_paths_skips_blank_lines_and_keeps_the_order():
    assert parse_paths("/a\n\n/b c\r\n") == ["/a", "/b c"]


def test_decode_of_bytes_that_are_not_utf8_is_refused():
    with pytest.raises(FileCommandError, match="UTF-8 at offset 1"):
        decode(b"a\xff", FileCommand.PATH)


def test_decode_drops_a_byte_order_mark():
    assert decode(b"\xef\xbb\xbfA=1", FileCommand.ENV) == "A=1"
