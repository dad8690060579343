"""The core schema, and the way back from a scalar's content to the file."""

import math
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from terraphim_runner.workflow import nodes
from terraphim_runner.workflow.findings import Findings
from terraphim_runner.workflow.nodes import Node, Scalar, Sequence
from terraphim_runner.workflow.scalars import as_text, resolve
from terraphim_runner.workflow.text import SourceText
from terraphim_runner.workflow.unfolding import offsets_of
from terraphim_runner.workflow.yaml import load

TEXTS = [
    path.read_bytes().decode("utf-8-sig") for path in sorted((Path(__file__).parents[1] / "golden").glob("*/*.yml"))
]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *((text, None) for text in ("", "~", "null", "Null", "NULL")),
        *((text, True) for text in ("true", "True", "TRUE")),
        *((text, False) for text in ("false", "False", "FALSE")),
        *((text, text) for text in ("on", "off", "yes", "no", "y", "tRUE", "nULL", "NaN", "Infinity", "inf", "+")),
        *(
            (text, text)
            for text in ("12_345", "2026-01-02", "1:30", "0b1", "0x", "0xG", "-0x1", "+0o7", "0o8", "1e", ".")
        ),
        *((text, text) for text in ("1.2.3", "--1", "1 2", "٣", "v1", "1,5", "0X1")),
        ("0755", 755),
        ("0o17", 15),
        ("0xfF", 255),
        ("-1", -1),
        ("+1", 1),
        ("1.50", 1.5),
        (".5", 0.5),
        ("-.5e-1", -0.05),
        ("1.", 1.0),
        ("1e3", 1000.0),
        ("1e999", math.inf),
        (".inf", math.inf),
        ("-.INF", -math.inf),
        ("9007199254740993", 9007199254740992.0),
        ("9" * 500, math.inf),
        ("0x" + "f" * 500, math.inf),
    ],
)
def test_resolve_plain_scalar_yields_the_core_schema_value(text: str, value: object) -> None:
    found = resolve(text)
    assert found == value
    assert isinstance(found, bool) == isinstance(value, bool)


def test_resolve_nan_is_a_number() -> None:
    assert math.isnan(float(resolve(".nan") or 0))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("0755", "755"),
        ("1.10", "1.1"),
        ("1e21", "1E+21"),
        ("12345678901234567890", "1.23456789012346E+19"),
        ("TRUE", "true"),
    ],
)
def test_as_text_number_has_fifteen_digits_in_one_spelling(text: str, shown: str) -> None:
    assert as_text(Scalar(0, 0, text, "", resolve(text))) == shown


def scalars(node: Node | None) -> Iterator[Scalar]:
    if isinstance(node, Scalar):
        yield node
    elif isinstance(node, Sequence):
        for item in node.items:
            yield from scalars(item)
    elif isinstance(node, nodes.Mapping):
        for entry in node.entries.values():
            yield entry.key
            yield from scalars(entry.value)


@pytest.mark.parametrize("text", TEXTS)
def test_offsets_of_every_golden_scalar_are_found_in_ascending_order(text: str) -> None:
    for scalar in scalars(load(Findings("w.yml", SourceText(text)))):
        places = offsets_of(text, scalar)
        assert len(places) == len(scalar.text)
        assert places == sorted(places)
        assert all(scalar.start <= place < scalar.end for place in places)


words = st.text(alphabet="ab é'\"\\:#-|>{}[]\t", max_size=12)


@given(st.lists(words, min_size=1, max_size=6), st.sampled_from(["|", ">", "|-", ">+", "|2", ">1", "'", '"', ""]))
@settings(max_examples=600, deadline=None)
def test_offsets_of_random_scalar_name_the_very_characters(lines: list[str], style: str) -> None:
    match style:
        case "'":
            value = "'" + "\n  ".join(line.replace("'", "''") for line in lines) + "'"
        case '"':
            value = '"' + "\n  ".join(line.replace("\\", "\\\\").replace('"', '\\"') for line in lines) + '"'
        case "":
            value = "\n  ".join(lines)
        case _:
            value = style + "\n" + "".join(f"  {line}\n" for line in lines)
    text = f"key: {value}\nnext: x\n"
    for scalar in scalars(load(Findings("w.yml", SourceText(text)))):
        places = offsets_of(text, scalar)
        assert len(places) == len(scalar.text), (text, scalar)
        for char, place in zip(scalar.text, places, strict=True):
            assert text[place] == char or text[place] in "\n\\"
