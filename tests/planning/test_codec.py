"""Stored legs."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from terraphim_runner.planning import StoredLegError, leg_from_json, leg_to_json
from terraphim_runner.planning.graph import PlannedLeg

plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)
legs = st.builds(
    PlannedLeg,
    key=st.text(),
    job=st.text(),
    name=st.text(),
    labels=st.lists(st.text()).map(tuple),
    matrix=st.dictionaries(st.text(), plain),
    strategy=st.dictionaries(st.text(), plain),
    timeout_minutes=st.floats(allow_nan=False),
    continue_on_error=st.booleans(),
)


@given(legs)
def test_leg_survives_being_stored(leg: PlannedLeg):
    assert leg_from_json(json.loads(json.dumps(leg_to_json(leg)))) == leg


LEG = {
    "key": "a",
    "job": "a",
    "name": "a",
    "labels": ["x"],
    "matrix": {},
    "strategy": {},
    "timeout_minutes": 1,
    "continue_on_error": False,
}


@pytest.mark.parametrize(
    ("stored", "message"),
    [
        ([], "is an object, not list"),
        ({}, "has no 'key'"),
        ({**LEG, "labels": "x"}, "'labels' is str; expected a list of strings"),
        ({**LEG, "labels": [1]}, "'labels' is list; expected a list of strings"),
        ({**LEG, "matrix": None}, "'matrix' is NoneType; expected an object"),
        ({**LEG, "timeout_minutes": True}, "'timeout_minutes' is bool; expected a number"),
        ({**LEG, "continue_on_error": 1}, "'continue_on_error' is int; expected true or false"),
    ],
)
def test_stored_leg_of_another_shape_is_refused(stored: object, message: str):
    with pytest.raises(StoredLegError) as caught:
        leg_from_json(stored)
    assert message in str(caught.value)
