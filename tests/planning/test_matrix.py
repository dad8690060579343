"""Matrix expansion over plain values. The expected legs follow GitHub's documentation of matrix strategies."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from terraphim_runner.expressions import from_json
from terraphim_runner.planning.matrix import MAX_LEGS, MatrixError, expand


def legs(matrix: Any) -> list[dict[str, Any]]:
    return [combination.values for combination in expand(from_json(matrix))]


def words(matrix: Any) -> list[str]:
    return [", ".join(combination.words) for combination in expand(from_json(matrix))]


def test_vectors_are_multiplied_with_the_first_varying_slowest():
    assert legs({"os": ["linux", "mac"], "v": [1, 2]}) == [
        {"os": "linux", "v": 1},
        {"os": "linux", "v": 2},
        {"os": "mac", "v": 1},
        {"os": "mac", "v": 2},
    ]


def test_include_follows_the_documented_example():
    matrix = {
        "fruit": ["apple", "pear"],
        "animal": ["cat", "dog"],
        "include": [
            {"color": "green"},
            {"color": "pink", "animal": "cat"},
            {"fruit": "apple", "shape": "circle"},
            {"fruit": "banana"},
            {"fruit": "banana", "animal": "cat"},
        ],
    }
    assert legs(matrix) == [
        {"fruit": "apple", "animal": "cat", "color": "pink", "shape": "circle"},
        {"fruit": "apple", "animal": "dog", "color": "green", "shape": "circle"},
        {"fruit": "pear", "animal": "cat", "color": "pink"},
        {"fruit": "pear", "animal": "dog", "color": "green"},
        {"fruit": "banana"},
        {"fruit": "banana", "animal": "cat"},
    ]


def test_include_alone_makes_a_leg_of_each_entry():
    assert legs({"include": [{"a": 1}, {"a": 2, "b": 3}]}) == [{"a": 1}, {"a": 2, "b": 3}]


def test_exclude_matches_partially():
    matrix = {"os": ["linux", "mac"], "v": [1, 2], "exclude": [{"os": "mac", "v": 1}]}
    assert legs(matrix) == [{"os": "linux", "v": 1}, {"os": "linux", "v": 2}, {"os": "mac", "v": 2}]


def test_exclude_is_applied_before_include():
    matrix = {"os": ["linux", "mac"], "exclude": [{"os": "mac"}], "include": [{"os": "mac", "x": 1}]}
    assert legs(matrix) == [{"os": "linux"}, {"os": "mac", "x": 1}]


def test_exclude_compares_nested_values_leaf_by_leaf():
    matrix = {
        "image": [{"name": "debian", "tag": 12}, {"name": "debian", "tag": 13}, {"name": "alpine", "tag": 12}],
        "exclude": [{"image": {"name": "Debian", "tag": "12"}}],
    }
    assert legs(matrix) == [{"image": {"name": "debian", "tag": 13}}, {"image": {"name": "alpine", "tag": 12}}]


def test_exclude_of_a_list_compares_by_position():
    matrix = {"set": [["a", "b"], ["b", "a"], ["a"]], "exclude": [{"set": ["a", "b"]}]}
    assert legs(matrix) == [{"set": ["b", "a"]}, {"set": ["a"]}]


def test_exclude_of_everything_leaves_no_leg():
    assert legs({"a": [1], "exclude": [{"a": 1}]}) == []


def test_scalars_keep_their_kinds():
    assert legs({"v": [True, 1, 1.5, "1", "true"]}) == [{"v": True}, {"v": 1}, {"v": 1.5}, {"v": "1"}, {"v": "true"}]


def test_words_are_leaves_in_order_without_what_include_added():
    matrix = {
        "os": ["linux"],
        "opts": [{"flags": ["a", "b"], "deep": {"x": True}, "none": None, "empty": ""}],
        "include": [{"os": "linux", "secret": "no"}, {"os": "win", "extra": 3.0}],
    }
    assert words(matrix) == ["linux, a, b, true", "win, 3"]


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        ("text", "the matrix is a string; expected an object of vectors"),
        (None, "the matrix is null"),
        ({}, "the matrix is empty"),
        ({"include": []}, "the matrix is empty"),
        ({"a": []}, "matrix vector 'a' is empty"),
        ({"a": "x"}, "matrix vector 'a' is a string; expected a list"),
        ({"a": [1], "include": {"a": 2}}, "matrix 'include' is an object; expected a list of objects"),
        ({"a": [1], "include": [1]}, "matrix 'include' has a number in it"),
        ({"a": [1], "exclude": [{}]}, "matrix 'exclude' has an empty object in it"),
        ({"a": [1], "exclude": [{"b": 1}]}, "'exclude' names 'b'; expected one of the vectors: a"),
        ({"a": [float("nan")]}, "the matrix holds the number NaN"),
        ({"a": [{"b": [float("inf")]}]}, "the matrix holds the number Infinity"),
        ({"a": list(range(257))}, "more than 256 legs"),
        ({"include": [{"a": n} for n in range(300)]}, "more than 256 legs"),
        ({name: list(range(100)) for name in "abcdefgh"}, "combinations before 'exclude'"),
        ({"a": list(range(128)), "b": list(range(128)), "exclude": [{"a": 1}] * 100}, "too many 'include'"),
        ({"a": list(range(256)), "b": list(range(64)), "exclude": [{"b": [[]] * 100}]}, "too many 'include'"),
        ({"a": list(range(256)), "b": ["x" * 20_000]}, "legs hold more than 4194304 bytes"),
        ({"a": list(range(256)), "b": [[[]] * 2_000]}, "legs hold more than 4194304 bytes"),
        ({"a": list(range(256)), "b": [{"k" * 20_000: 1}]}, "legs hold more than 4194304 bytes"),
    ],
)
def test_matrix_without_a_meaning_is_a_clear_error(matrix: Any, message: str):
    with pytest.raises(MatrixError) as caught:
        legs(matrix)
    assert message in str(caught.value)


def test_matrix_of_exactly_the_limit_is_legal():
    assert len(legs({"a": list(range(16)), "b": list(range(16))})) == MAX_LEGS


scalars = st.one_of(st.booleans(), st.integers(-3, 3), st.sampled_from(["", "a", "B", "1"]))
vectors = st.dictionaries(st.sampled_from(["x", "y", "z"]), st.lists(scalars, min_size=1, max_size=3), min_size=1)


@given(vectors, st.lists(st.dictionaries(st.sampled_from(["x", "y", "z", "w"]), scalars, min_size=1), max_size=4))
def test_include_never_changes_an_original_value(matrix: dict[str, Any], include: list[dict[str, Any]]):
    plain = legs(matrix)
    extended = legs({**matrix, "include": include})

    assert [{name: leg[name] for name in matrix} for leg in extended[: len(plain)]] == plain
    assert len(extended) <= len(plain) + len(include)


@given(vectors, st.data())
def test_exclude_removes_exactly_what_matches(matrix: dict[str, Any], data: st.DataObject):
    plain = legs(matrix)
    chosen = data.draw(st.sampled_from(plain))

    left = legs({**matrix, "exclude": [chosen]})

    assert chosen not in [leg for leg in left if [*map(type, leg.values())] == [*map(type, chosen.values())]]
    assert all(leg in plain for leg in left)
