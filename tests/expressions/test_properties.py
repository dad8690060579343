"""What holds for any text and any value."""

import json
import math
import unicodedata
from collections.abc import Callable

from hypothesis import given, settings
from hypothesis import strategies as st

from terraphim_runner.expressions import (
    ANYTHING,
    EvaluationError,
    ExpressionError,
    Scope,
    equals,
    evaluate,
    from_json,
    mistakes,
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
from terraphim_runner.expressions.functions import ALL
from terraphim_runner.expressions.printing import to_source
from terraphim_runner.expressions.tree import (
    And,
    Call,
    Comparison,
    Context,
    Expression,
    Index,
    Literal,
    Node,
    Not,
    Operator,
    Or,
    Wildcard,
)
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

LITERALS = st.none() | st.booleans() | st.floats() | st.text(max_size=8) | st.sampled_from(["{0}{1}", "[[1],{}]", "a"])
PROPERTIES = st.sampled_from([Literal(name, 0) for name in ("a", "true", "b-c", "x y")])
PURE = [function for function in ALL if function.call]


@st.composite
def trees(draw: st.DrawFn, levels: int = 4) -> Node:
    """Return a tree as the parser makes it: a chain holds no chain of its own kind."""
    kinds: list[object] = [Literal, Context]
    if levels:
        kinds += [Call, Call, Index, "property", Wildcard, Not, Comparison, And, Or]
    kind = draw(st.sampled_from(kinds))
    below = trees(levels=levels - 1)
    if kind is Literal:
        return Literal(draw(LITERALS), 0)
    if kind is Context:
        return Context(draw(st.sampled_from(["github", "env", "vars"])), 0)
    if kind is Call:
        function = draw(st.sampled_from(PURE))
        count = draw(st.integers(function.minimum, min(function.maximum, function.minimum + 2)))
        count += function.odd and count % 2 == 0
        return Call(function.name, tuple(draw(below) for _ in range(count)), 0)
    if kind is Comparison:
        return Comparison(draw(st.sampled_from(Operator)), draw(below), draw(below), 0)
    if kind in (And, Or):
        operands = [draw(below.filter(lambda node: not isinstance(node, kind))) for _ in range(draw(st.integers(2, 3)))]
        return And(tuple(operands), 0) if kind is And else Or(tuple(operands), 0)
    if kind in (Index, "property"):
        return Index(draw(below), draw(below if kind is Index else PROPERTIES), 0)
    return Wildcard(draw(below), 0) if kind is Wildcard else Not(draw(below), 0)


def bare(node: object) -> object:
    """Return a tree without its offsets, and with NaN equal to itself."""
    if isinstance(node, tuple):
        return tuple(bare(item) for item in node)
    if not hasattr(node, "__dataclass_fields__"):
        return type(node), repr(node)
    names = [name for name in node.__dataclass_fields__ if name != "offset"]
    return type(node), *(bare(getattr(node, name)) for name in names)


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


@settings(max_examples=300)
@given(trees())
def test_tree_that_is_printed_parses_to_itself(tree: Node) -> None:
    assert bare(parse(to_source(tree), allowed=ANYTHING).root) == bare(tree)


@settings(max_examples=300)
@given(trees(), JSON, JSON)
def test_tree_has_a_value_or_a_told_reason_for_having_none(tree: Node, first: object, second: object) -> None:
    scope = Scope(contexts={"github": from_json([first, second]), "env": from_json({"a": first, "b": [second]})})
    error = mistake(lambda: to_json(evaluate(Expression(source="", root=tree), scope)))
    assert error is None or (isinstance(error, EvaluationError) and error.message)


LENIENT = st.sampled_from(
    [
        *"{}[],:'\"/*\\-+.09eExn \n\0é",
        "//",
        "/*",
        "*/",
        "true",
        "null",
        "NaN",
        "-Infinity",
        "\\u00e9",
        "a",
        '"a"',
        "0x1",
    ]
)


@given(st.lists(LENIENT, max_size=20).map("".join))
def test_any_text_is_json_or_is_told_not_to_be(text: str) -> None:
    scope = Scope(contexts={"env": from_json({"text": text})})
    error = mistake(lambda: evaluate(parse("fromJSON(env.text)", allowed=ANYTHING), scope))
    assert error is None or (isinstance(error, EvaluationError) and "fromJSON()" in error.message)


@given(JSON)
def test_json_with_loose_commas_and_comments_is_the_same_data(plain: object) -> None:
    strict = json.dumps(plain)
    loose = "  " + json.dumps([plain], indent=1)[:-1] + "/* end */ , // of it\n] and more"
    scope = Scope(contexts={"env": from_json({"strict": strict, "loose": loose})})
    values = [evaluate(parse(text, allowed=ANYTHING), scope) for text in STRICT_AND_LOOSE]
    assert values[0] == values[1]


STRICT_AND_LOOSE = ("toJSON(fromJSON(env.strict))", "toJSON(fromJSON(env.loose)[0])")


@given(st.lists(st.sampled_from(["${{ 1 }}", "${{ nope }}", "${{ 1 1 }}", "${{ }}", "{", "'", " x "]), max_size=8))
def test_every_broken_expression_of_a_text_is_told_in_order(pieces: list[str]) -> None:
    found = [error.offset for error in mistakes("".join(pieces), allowed=ANYTHING)]
    begins = [len("".join(pieces[:index])) for index in range(len(pieces))]
    column = {"${{ nope }}": 4, "${{ 1 1 }}": 6, "${{ }}": 0}
    assert found == [begin + column[piece] for begin, piece in zip(begins, pieces, strict=True) if piece in column]
