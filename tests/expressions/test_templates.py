"""Text with ``${{ }}``: its parts, its positions, and its value."""

import pytest

from terraphim_runner.expressions import (
    ANYTHING,
    Array,
    EvaluationError,
    Expression,
    ExpressionError,
    Object,
    Scope,
    Template,
    evaluate_tree,
    from_json,
    parse,
    parse_template,
    references,
    render,
    resolve,
    to_json,
)
from terraphim_runner.model.source import Span

SPAN = Span.at(3, 7)


def template(text: str) -> Template:
    return parse_template(text, allowed=ANYTHING, span=SPAN)


def test_text_without_an_expression_is_one_literal() -> None:
    parsed = template("npm ci # {{ }} $ { }}")
    assert parsed.parts == ("npm ci # {{ }} $ { }}",)
    assert parsed.is_literal
    assert parsed.span == SPAN
    assert template("").parts == ("",)


def test_expression_alone_keeps_the_kind_of_its_value() -> None:
    scope = Scope(contexts={"matrix": from_json({"versions": [1, 2]})})
    value = resolve(template("${{ matrix.versions }}"), scope)
    assert isinstance(value, Array)
    assert render(template("${{ matrix.versions }}"), scope) == "Array"


def test_several_parts_make_a_text() -> None:
    scope = Scope(contexts={"matrix": from_json({"os": "linux", "n": 3.10})})
    assert resolve(template("${{ matrix.os }}-${{ matrix.n }} "), scope) == "linux-3.1 "


def test_expressions_know_where_they_stand_in_the_text() -> None:
    parsed = template("a ${{  github.ref }} b ${{github.sha}}")
    assert [(item.source, item.offset) for item in parsed.expressions] == [("github.ref", 7), ("github.sha", 26)]
    assert parsed.source[7:].startswith("github.ref")


@pytest.mark.parametrize(
    ("text", "offset", "length"),
    [
        ("abc ${{ github. }}", 15, 1),
        ("abc ${{   nope }}", 10, 4),
        ("a ${{ 1 }} ${{ 1 1 }}", 17, 1),
        ("a ${{ }} b", 2, 6),
        ("a ${{ 1 b", 2, 3),
        ("${{ format('}}) }}", 0, 3),
        ("line\n${{ contains(1) }}", 9, 8),
    ],
)
def test_mistake_in_a_text_is_told_with_its_offset(text: str, offset: int, length: int) -> None:
    with pytest.raises(ExpressionError) as caught:
        template(text)
    assert (caught.value.offset, caught.value.length) == (offset, length)


def test_typed_literals_keep_their_kind() -> None:
    values = [resolve(Template.literal(value, SPAN), Scope()) for value in (5, True, None, 1.5, "x")]
    assert values == [5.0, True, None, 1.5, "x"]
    assert [type(value) for value in values] == [float, bool, type(None), float, str]
    assert render(Template.literal(5, SPAN), Scope()) == "5"
    assert render(Template.literal(-(10**400), SPAN), Scope()) == "-Infinity"


def test_tree_is_evaluated_leaf_by_leaf() -> None:
    tree = {
        "os": (template("linux"), template("${{ github.os }}")),
        "include": template("${{ fromJSON('[{\"a\": 1}]') }}"),
        "version": Template.literal(3.11, SPAN),
    }
    scope = Scope(contexts={"github": from_json({"os": "mac"})})
    value = evaluate_tree(tree, scope)
    assert isinstance(value, Object)
    assert to_json(value) == {"os": ["linux", "mac"], "include": [{"a": 1}], "version": 3.11}


def test_tree_item_that_yields_an_array_stands_for_its_items() -> None:
    more = template("${{ fromJSON(env.more) }}")
    tree = (template("x"), more, (more,), template("${{ env.empty }}"), template("a ${{ env.more }}"))
    scope = Scope(contexts={"env": from_json({"more": '["a", ["b"], null]', "empty": []})})
    items = ["a", ["b"], None]
    assert to_json(evaluate_tree(tree, scope)) == ["x", *items, items, 'a ["a", ["b"], null]']


def test_tree_of_one_array_inserted_often_ends_at_the_budget() -> None:
    scope = Scope(contexts={"env": from_json({"x": ["x"] * 10_000})})
    with pytest.raises(EvaluationError, match="bytes"):
        evaluate_tree(tuple(template("${{ env.x }}") for _ in range(2_000)), scope)


def test_tree_shares_one_budget() -> None:
    scope = Scope(contexts={"env": from_json({"x": "x" * 1_000_000})})
    tree = tuple(template("a ${{ env.x }}") for _ in range(20))
    with pytest.raises(EvaluationError, match="bytes"):
        evaluate_tree(tree, scope)


def test_references_tell_contexts_and_their_first_property() -> None:
    text = "needs.build.outputs.x && env[matrix.name] || contains(toJSON(github), secrets['TOKEN']) || steps.*.outcome"
    found = references(parse(text, allowed=ANYTHING))
    assert found == {
        ("needs", "build"),
        ("env", None),
        ("matrix", "name"),
        ("github", None),
        ("secrets", "TOKEN"),
        ("steps", None),
    }


def test_function_without_a_supplier_is_an_error_of_evaluation() -> None:
    parsed = template("${{ hashFiles('**') }}")
    assert all(isinstance(part, Expression) for part in parsed.parts)
    with pytest.raises(EvaluationError, match=r"hashFiles\(\) has no value here"):
        resolve(parsed, Scope())


def test_supplied_function_is_given_its_arguments_values() -> None:
    given: list[object] = []

    def hash_files(arguments: list[object]) -> str:
        given.extend(arguments)
        return "abc"

    assert render(template("k-${{ hashFiles('a', 1) }}"), Scope(functions={"hashFiles": hash_files})) == "k-abc"
    assert given == ["a", 1.0]


def test_data_that_is_not_json_is_refused() -> None:
    for plain in (b"x", {1, 2}, object()):
        with pytest.raises(TypeError, match="expected JSON data"):
            from_json(plain)


@pytest.mark.parametrize(
    ("beside", "within"),
    [
        # format('…{0}', 1) is 16 characters and what the text has: quotes and braces twice, what is beyond U+FFFF too.
        ("x" * 20_984, "1"),
        ("'" * 10_492, "1"),
        ("{}" * 5_246, "1"),
        ("😀" * 10_492, "1"),
        ("x" * 20_961, "'😀😀😀😀😀😀😀😀' == ''"),
    ],
)
def test_text_that_makes_an_expression_of_21000_characters_is_the_longest_legal_one(beside: str, within: str) -> None:
    text = f"{beside}${{{{ {within} }}}}"
    assert len(template(text).expressions) == 1
    with pytest.raises(ExpressionError, match="21001 characters long as the one expression that GitHub makes of it"):
        template("x" + text)
    assert template("x" * 30_000).is_literal


def test_expression_within_a_text_may_be_nested_one_level_less() -> None:
    assert render(template(f"${{{{ {'!' * 49}1 }}}}"), Scope()) == "false"
    assert render(template(f"x${{{{ {'!' * 48}1 }}}}"), Scope()) == "xtrue"
    with pytest.raises(ExpressionError, match="nested more than 49 levels deep in a text"):
        template(f"x${{{{ {'!' * 49}1 }}}}")


def test_text_with_254_expressions_is_legal_and_with_one_more_is_not() -> None:
    assert render(template("${{1}}" * 254), Scope()) == "1" * 254
    with pytest.raises(ExpressionError, match="more than 254 expressions in one text"):
        template("${{1}}" * 255)


def test_keys_that_are_expressions_are_evaluated_and_inserted_objects_join_the_mapping() -> None:
    tree = {
        "a-${{ vars.K }}": template("1"),
        "${{ insert }}": template("${{ vars.MORE }}"),
        "${{  insert}}": template("${{ vars.NONE }}"),
        "in": {"${{ vars.K }}": (template("x"),)},
    }
    scope = Scope(contexts={"vars": from_json({"K": "b", "MORE": {"c": 2}})})
    assert to_json(evaluate_tree(tree, scope)) == {"a-b": "1", "c": 2, "in": {"b": ["x"]}}


def test_inserted_value_that_is_no_object_is_an_error() -> None:
    with pytest.raises(EvaluationError, match="found a value of kind string under"):
        evaluate_tree({"${{ insert }}": template("text")}, Scope(contexts={}))
