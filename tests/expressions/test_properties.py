"""What holds for any text and any value."""

import json
import math
import unicodedata
from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from terraphim_runner.expressions import (
    ANYTHING,
    EvaluationError,
    ExpressionError,
    Scope,
    equals,
    evaluate,
    from_json,
    parse,
    parse_condition,
    parse_template,
    render,
    to_json,
    to_number,
    to_string,
)
from terraphim_runner.expressions.casing import fold, is_greater
from terraphim_runner.expressions.coercion import exceeds
from terraphim_runner.model.source import Span

PIECES = st.sampled_from(
    [
        *("(", ")", "[", "]", ".", ",", "*", "!", "!=", "==", "<", "<=", ">", ">=", "&&", "||", "&", "|", "="),
        *("github", "env", "foo", "null", "true", "NaN", "Infinity", "success", "x-y", "_"),
        *("format", "contains", "fromJSON", "toJSON", "join", "case", "startsWith"),
        *("'", "'a'", "''", "'{0}'", "'[1,{\"a\":null}]'", "1", ".5", "-1", "+", "-", "0x1", "1e", "1e5", "${{", "}}"),
        *(" ", "\n", "\u2028", "\x00", "é", '"', "$", "\\", "`", "😀", "\ud800"),
    ]
)
HOSTILE = st.one_of(st.lists(PIECES, max_size=25).map("".join), st.lists(PIECES, max_size=25).map(" ".join), st.text())
JSON = st.recursive(
    st.none() | st.booleans() | st.floats(-1e300, 1e300) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
SCALARS = st.none() | st.booleans() | st.floats() | st.text()
SCOPE = Scope(
    contexts={"github": from_json({"a": [{"b": 1}, {"b": [None]}], "c": "é"})},
    functions={"success": lambda _arguments: True},
)


def mistake(attempt: Callable[[], object]) -> ExpressionError | EvaluationError | None:
    try:
        attempt()
    except (ExpressionError, EvaluationError) as error:
        return error
    return None


@given(HOSTILE)
def test_any_text_parses_and_evaluates_or_is_told_to_be_wrong(text: str) -> None:
    error = mistake(lambda: to_string(evaluate(parse(text, allowed=ANYTHING), SCOPE)))
    assert error is None or error.message
    if isinstance(error, ExpressionError):
        assert 0 <= error.offset <= len(text)
        assert error.length >= 1


@given(HOSTILE)
def test_any_template_and_condition_parses_or_is_told_to_be_wrong(text: str) -> None:
    for error in (
        mistake(lambda: parse_template(text, allowed=ANYTHING, span=Span.at(1, 1))),
        mistake(lambda: parse_condition(text, allowed=ANYTHING)),
    ):
        assert error is None or (isinstance(error, ExpressionError) and 0 <= error.offset <= len(text))


@given(st.text())
def test_quoted_text_evaluates_to_itself(text: str) -> None:
    quoted = "'" + text.replace("'", "''") + "'"
    assert evaluate(parse(quoted, allowed=ANYTHING), SCOPE) == text
    assert render(parse_template(f"${{{{ {quoted} }}}}", allowed=ANYTHING, span=Span.at(1, 1)), SCOPE) == text


@given(JSON)
def test_json_goes_there_and_back_unchanged(plain: object) -> None:
    scope = Scope(contexts={"env": from_json({"plain": plain})})
    assert to_json(from_json(plain)) == plain
    text = evaluate(parse("toJSON(env.plain)", allowed=ANYTHING), scope)
    assert isinstance(text, str)
    assert _rounded(json.loads(text)) == _rounded(plain)
    again = evaluate(parse("toJSON(fromJSON(toJSON(env.plain)))", allowed=ANYTHING), scope)
    assert again == text


def _rounded(plain: object) -> object:
    match plain:
        case bool() | str() | None:
            return plain
        case int() | float():
            return float(format(plain, ".15g"))
        case list():
            return [_rounded(item) for item in plain]
        case _:
            return {key: _rounded(item) for key, item in plain.items()}


@given(st.floats())
def test_number_as_text_is_the_number_again(number: float) -> None:
    text = to_string(number)
    assert text.isascii()
    again = to_number(text)
    assert again == float(format(number, ".15g")) or (math.isnan(again) and math.isnan(number))


@given(SCALARS, SCALARS)
def test_comparison_is_symmetric_and_exclusive(left: object, right: object) -> None:
    assert equals(left, right) == equals(right, left)
    assert [equals(left, right), exceeds(left, right), exceeds(right, left)].count(True) <= 1


@given(st.text(), st.text())
def test_texts_are_ordered_without_case(left: str, right: str) -> None:
    assert len(fold(left)) == len(left)
    assert fold(fold(left)) == fold(left)
    assert is_greater(left, right) == is_greater(fold(left), fold(right))
    assert equals(left, fold(left))
    assert is_greater(left, right) or is_greater(right, left) or equals(left, right)


def test_folding_is_the_simple_mapping_for_every_character() -> None:
    for code in range(0x110000):
        char = chr(code)
        upper = fold(char)
        assert len(upper) == 1
        if upper != char:
            assert unicodedata.category(char) in {"Ll", "Lt", "Mn", "Nl", "So"}
            assert fold(upper) == upper
    assert [fold(char) for char in "ıſİßŉǰΐﬀ"] == list("ıſİßŉǰΐﬀ")
