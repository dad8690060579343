import base64
import json
import tracemalloc
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from terraphim_runner.execution.masks import Masks
from terraphim_runner.execution.output import LineAssembler
from terraphim_runner.model.secret import MASK

SECRET = "s3cr3t/with+signs & more"


def masks(*values):
    made = Masks()
    assert all(made.add(value) for value in values)
    return made


def test_apply_hides_every_occurrence_and_nothing_else():
    assert masks("abc").apply("xabcyabc z") == "x***y*** z"


def test_apply_with_overlapping_values_shows_no_part_of_either():
    assert masks("abcd", "cdef").apply("1abcdef2") == "1***2"


def test_apply_of_a_value_with_several_lines_hides_each_line():
    made = masks("first line\nsecond line\n")
    assert made.apply("first line") == "***"
    assert made.apply("a second line!") == "a ***!"


@pytest.mark.parametrize(
    "form",
    [
        SECRET,
        json.dumps(SECRET)[1:-1],
        quote(SECRET, safe=""),
        f"{SECRET}"[::1],
    ],
)
def test_apply_hides_the_forms_that_tools_print(form):
    assert masks(SECRET).apply(f"<{form}>") == "<***>"


@pytest.mark.parametrize("prefix", ["", "u", "us", "user:"])
def test_apply_hides_base64_at_every_alignment(prefix):
    encoded = base64.b64encode(f"{prefix}{SECRET}tail".encode()).decode()
    shown = masks(SECRET).apply(encoded)
    assert "***" in shown
    hidden = base64.b64encode(SECRET.encode()).decode()[4:20]
    assert hidden not in shown


def test_add_of_blank_values_hides_nothing():
    assert masks("", " ", "\n").apply("a b") == "a b"


def test_add_beyond_the_limit_is_refused():
    made = Masks(limit=2)
    assert not made.add("one-long-value")


@given(st.lists(st.text(min_size=1, max_size=6), max_size=5), st.text(max_size=60))
def test_apply_never_leaves_a_hidden_value(values, text):
    made = masks(*values)
    shown = made.apply(text)
    for value in values:
        # What stands between two masks is original text: no hidden value may be in it.
        assert not value.strip() or all(value not in part for part in shown.split("***")) or value in "***"


@given(
    st.text(st.characters(exclude_characters="\n\r", exclude_categories=["Cs"]), min_size=1, max_size=8),
    st.lists(st.binary(max_size=40), max_size=6),
    st.integers(min_value=1, max_value=16),
)
def test_line_assembler_with_endless_lines_never_tears_a_secret(secret, noise, limit):
    made = masks(secret)
    assembler = LineAssembler(made, limit_bytes=limit)
    data = secret.encode().join(piece.replace(b"\n", b"") for piece in noise)
    lines = []
    for index in range(0, len(data), 3):
        lines += assembler.feed(data[index : index + 3])
    lines += assembler.finish()
    shown = "".join(made.apply(line) for line in lines)
    assert not secret.strip() or "*" in secret or all(secret not in part for part in shown.split("***"))


@pytest.mark.parametrize("text", ["a" * 60_000, "ab" * 30_000])
def test_apply_to_text_where_all_values_overlap_everywhere_stays_quick(text):
    made = masks(*("a" * length for length in range(1, 200)))
    tracemalloc.start()
    try:
        shown = made.apply(text)
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
    finally:
        tracemalloc.stop()
    assert "a" not in shown


@given(st.lists(st.text("abc", min_size=1, max_size=4), max_size=4), st.text("abcd", max_size=30))
def test_apply_hides_exactly_the_positions_of_values(values, text):
    made = masks(*values)
    hidden = [
        any(text.startswith(form, start) for form in values for start in range(max(0, at - len(form) + 1), at + 1))
        for at in range(len(text))
    ]
    shown = "".join(
        MASK if hides else char
        for at, (hides, char) in enumerate(zip(hidden, text, strict=True))
        if not (hides and at and hidden[at - 1])
    )
    assert made.apply(text) == shown
