"""A workflow is a stranger's text: what it may cost is bounded, and every bound is a message."""

import re
import time
import tracemalloc
from pathlib import Path

import pytest

import terraphim_runner
from terraphim_runner.expressions import (
    ANYTHING,
    EvaluationError,
    ExpressionError,
    Scope,
    evaluate,
    from_json,
    is_truthy,
    kind,
    parse,
    parse_condition,
)
from terraphim_runner.expressions.parser import MAX_DEPTH

NOTHING = Scope()


def value_of(text: str, scope: Scope = NOTHING) -> object:
    return evaluate(parse(text, allowed=ANYTHING), scope)


def test_expression_of_21000_characters_is_legal_and_one_more_is_not() -> None:
    assert value_of("1".rjust(21_000)) == 1
    with pytest.raises(ExpressionError, match="21001 characters, expected at most 21000"):
        parse("1".rjust(21_001), allowed=ANYTHING)


def test_nesting_of_fifty_nodes_is_legal_and_one_more_is_not() -> None:
    assert value_of("!" * (MAX_DEPTH - 1) + "true") is False
    for text in (
        "!" * MAX_DEPTH + "true",
        "format(" * MAX_DEPTH + "1" + ")" * MAX_DEPTH,
        "github" + ".a" * MAX_DEPTH,
        "github[" * MAX_DEPTH + "1" + "]" * MAX_DEPTH,
        "1 == " * MAX_DEPTH + "1",
    ):
        with pytest.raises(ExpressionError, match="nested more than 50 levels"):
            parse(text, allowed=ANYTHING)


def test_brackets_alone_cost_no_depth() -> None:
    assert value_of("(" * 10_000 + "1" + ")" * 10_000) == 1


@pytest.mark.parametrize("operator", ["&&", "||"])
def test_long_chain_is_one_level_however_it_is_bracketed(operator: str) -> None:
    constant = "1" if operator == "&&" else "0"
    count = 2_000
    flat = operator.join([constant] * count) + f"{operator}7"
    leftwards = "(" * count + constant + f"{operator}{constant})" * count + f"{operator}7"
    rightwards = f"{constant}{operator}(" * count + "7" + ")" * count
    assert [value_of(text) for text in (flat, leftwards, rightwards)] == [7, 7, 7]


def test_condition_as_deep_as_allowed_takes_the_implied_success_too() -> None:
    condition = parse_condition("!" * (MAX_DEPTH - 1) + "false", allowed=ANYTHING)
    assert is_truthy(evaluate(condition, Scope(functions={"success": lambda _arguments: True})))


def test_nested_functions_that_multiply_their_output_hit_the_limit() -> None:
    text = "'0123456789'"
    for _ in range(20):
        text = f"format('{'{0}' * 30}', {text})"
    began = time.monotonic()
    with pytest.raises(EvaluationError, match="more than 10485760 bytes"):
        value_of(text)
    assert time.monotonic() - began < 5


def test_escapes_that_multiply_in_nested_json_hit_the_limit() -> None:
    with pytest.raises(EvaluationError, match="more than 10485760 bytes"):
        value_of("toJSON(" * 40 + '\'""""\'' + ")" * 40)


def test_separator_that_multiplies_in_join_hits_the_limit() -> None:
    scope = Scope(contexts={"env": from_json({"many": [0] * 10_000, "long": "x" * 10_000})})
    with pytest.raises(EvaluationError, match="more than 10485760 bytes"):
        value_of("join(env.many, env.long)", scope)


def test_json_of_many_small_values_hits_the_limit_before_they_are_made() -> None:
    scope = Scope(contexts={"env": from_json({"json": "[" + ",".join(["[]"] * 400_000) + "]"})})
    with pytest.raises(EvaluationError, match="more than 10485760 bytes"):
        value_of("fromJSON(env.json)", scope)


@pytest.mark.parametrize(
    "text",
    [
        " || ".join(["contains(env.many, 'ÿé')"] * 500),
        " || ".join(["env.long == env.other"] * 500),
        " || ".join(["contains(env.long, 'zz')"] * 500),
        " || ".join(["!env.objects.*.b[0]"] * 500),
        "!env.objects.*[env.long]",
        "!env.objects[*].a[env.long]",
    ],
)
def test_repeated_looks_at_large_data_hit_the_limit(text: str) -> None:
    data = {"many": ["é"] * 50_000, "objects": [{"a": 1}] * 50_000, "long": "ü" * 500_000, "other": "ü" * 499_999 + "x"}
    scope = Scope(contexts={"env": from_json(data)})
    began = time.monotonic()
    with pytest.raises(EvaluationError, match=r"too many steps|bytes of data"):
        value_of(f"!({text})", scope)
    assert time.monotonic() - began < 10


@pytest.mark.parametrize(
    "text",
    [
        "fromJSON(env.quoted)",
        "fromJSON(env.commented)",
        "fromJSON(env.commented).x || fromJSON(env.commented).y || fromJSON(env.commented).z",
        "fromJSON(env.keys).x || fromJSON(env.keys).y || fromJSON(env.keys).z || fromJSON(env.keys).zz",
        "fromJSON(env.broken)",
        "toJSON(env)",
        "join(env.many, env.long)",
        "toJSON(toJSON(toJSON(toJSON(toJSON(toJSON(env.quotes))))))",
        "toJSON(github.event.*.*.*)",
        "github.event.*.*.*.*[env.long]",
        "contains(env.many, env.long) || contains(env.long, env.quotes)",
        "format(format(format(env.braces)), env.long, env.long)",
    ],
)
def test_hostile_nest_ends_soon_in_little_memory_with_a_value_or_a_reason(text: str) -> None:
    objects = {f"k{number}": {"a": [1] * 5, "b": {"c": number}} for number in range(5_000)}
    data = {
        "quoted": "[" + "'a'," * 150_000 + "]",
        "commented": "[" + "/*a*/1," * 100_000 + "]",
        "keys": "{" + ",".join(f'"k{number}":{number}' for number in range(150_000)) + "}",
        "broken": "[" + "1," * 200_000 + "x",
        "many": ["y" * 100] * 5_000,
        "long": "ü" * 500_000,
        "quotes": '"' * 400_000,
        "braces": "{{" * 200_000,
    }
    scope = Scope(contexts={"env": from_json(data), "github": from_json({"event": [objects, data]})})
    tracemalloc.start()
    try:
        began = time.monotonic()
        try:
            value = kind(value_of(text, scope))
        except EvaluationError as error:
            value = error.message
        took = time.monotonic() - began
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (
        value in {"array", "boolean", "null", "string"}
        or "bytes of data" in value
        or "steps" in value
        or "JSON" in value
    )
    # Being watched, the program takes several times as long as else.
    assert took < 20
    assert peak < 100_000_000


@pytest.mark.parametrize("json", ["[" * 200 + "]" * 200, "[" * 100_000, '{"a":' * 5_000 + "1" + "}" * 5_000])
def test_json_that_is_nested_too_deep_is_an_error(json: str) -> None:
    scope = Scope(contexts={"env": from_json({"json": json})})
    with pytest.raises(EvaluationError, match=r"nested|not JSON|bytes"):
        value_of("fromJSON(env.json)", scope)


def test_context_that_is_nested_too_deep_is_an_error() -> None:
    plain: list[object] = []
    for _ in range(1_000):
        plain = [plain]
    with pytest.raises(EvaluationError, match="nested more than 128 levels"):
        from_json(plain)


def test_number_of_a_million_digits_is_converted_quickly() -> None:
    long = {"digits": "9" * 1_000_000, "octal": "0o" + "7" * 1_000_000, "json": "9" * 1_000_000}
    scope = Scope(contexts={"env": from_json(long)})
    began = time.monotonic()
    assert value_of("1 < env.digits && env.octal != 1", scope) is True
    with pytest.raises(EvaluationError, match="an integer of 1000000 digits, expected at most 380"):
        value_of("fromJSON(env.json)", scope)
    assert time.monotonic() - began < 2


def test_error_of_evaluation_does_not_tell_the_value() -> None:
    scope = Scope(contexts={"secrets": from_json({"token": "hunter2 {"})})
    for text in ("fromJSON(secrets.token)", "format(secrets.token)", "case(secrets.token, 1, 2)"):
        with pytest.raises(EvaluationError) as caught:
            value_of(text, scope)
        assert "hunter2" not in caught.value.message


def test_patterns_have_no_possessive_group_which_debian_12s_python_matches_wrongly() -> None:
    # gh-106052, fixed in Python 3.11.5. Possessive sets of characters, such as [^']++, are matched right everywhere.
    (package,) = terraphim_runner.__path__
    found = [
        f"{path.name}:{number}"
        for path in Path(package).rglob("*.py")
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if re.search(r"(?<!\\)\)[*+?]\+", line)
    ]
    assert found == []
