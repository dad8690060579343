"""What people are shown of an expression: its parts as text, their values, and never a secret."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from terraphim_runner.expressions import ANYTHING, ExpressionError, Scope, from_json, parse, parse_condition
from terraphim_runner.expressions.explanation import MAX_SHOWN, Part, Unknown, explain
from terraphim_runner.expressions.paths import paths_in
from terraphim_runner.expressions.printing import to_source
from terraphim_runner.expressions.tree import Node
from terraphim_runner.expressions.truth import certain
from terraphim_runner.model.secret import Secret

SCOPE = Scope(
    contexts={
        "github": from_json({"ref": "refs/heads/main", "event": {"title": "it's"}, "token": "t0ken"}),
        "secrets": from_json({"KEY": "hunter2"}),
        "vars": from_json({"LEAK": "x hunter2 y", "LIST": [1, 2]}),
    },
    functions={"success": lambda _: True, "always": lambda _: True},
)


def bare(node: object) -> object:
    """Return a tree without its offsets."""
    if isinstance(node, tuple):
        return tuple(bare(item) for item in node)
    if not hasattr(node, "__dataclass_fields__"):
        return repr(node)
    names = [name for name in node.__dataclass_fields__ if name != "offset"]
    return (type(node).__name__, *(bare(getattr(node, name)) for name in names))


def explained(text: str, **settings: object) -> Part:
    return explain(parse_condition(text, allowed=ANYTHING), SCOPE, **settings)


def flat(part: Part) -> list[tuple[str, str | None]]:
    return [(part.source, part.value), *(item for below in part.parts for item in flat(below))]


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("a&&b||c", None),
        ("(github.a || github.b) && !(github.c == 1)", "(github.a || github.b) && !(github.c == 1)"),
        ("github['a b'].*['x''y'][0].c-d", "github['a b'].*['x''y'][0].c-d"),
        ("(1<2)==(2<3)", "1 < 2 == 2 < 3"),
        ("1<(2==3)", "1 < (2 == 3)"),
        ("(1<2)<3", "1 < 2 < 3"),
        ("1<(2<3)", "1 < (2 < 3)"),
        ("!!github", "!!github"),
        ("('x').y", "('x').y"),
        ("Contains( GITHUB . Ref , 0x10 )", "contains(github.Ref, 16)"),
        ("0.1 == -Infinity || NaN", "0.1 == -Infinity || NaN"),
        ("null || true", "null || true"),
        ("fromJSON('{}').a", "fromJSON('{}').a"),
    ],
)
def test_expression_prints_in_one_spelling(text: str, printed: str | None) -> None:
    if printed is not None:
        assert to_source(parse(text, allowed=ANYTHING).root) == printed


WORDS = st.sampled_from(
    [
        *("github", "vars", ".ref", ".*", "[0]", "['a b']", "==", "!=", "<", ">=", "&&", "||", "!", "(", ")", ","),
        *("1", "0.1", "1e300", "1234567890123456789", "-0", "'it''s'", "null", "true", "contains(", "toJSON("),
    ]
)


@settings(max_examples=400)
@given(st.lists(WORDS, max_size=14).map(" ".join))
def test_expression_that_is_printed_parses_to_the_same_tree(text: str) -> None:
    try:
        root = parse(text, allowed=ANYTHING).root
    except ExpressionError:
        return
    assert bare(parse(to_source(root), allowed=ANYTHING).root) == bare(root)


def test_explanation_has_the_value_of_every_operand() -> None:
    assert flat(explained("github.ref == 'refs/heads/x' || !startsWith(github.event.title, 'it')")) == [
        ("success() && (github.ref == 'refs/heads/x' || !startsWith(github.event.title, 'it'))", "false"),
        ("success()", "true"),
        ("github.ref == 'refs/heads/x' || !startsWith(github.event.title, 'it')", "false"),
        ("github.ref == 'refs/heads/x'", "false"),
        ("github.ref", "'refs/heads/main'"),
        ("!startsWith(github.event.title, 'it')", "false"),
        ("startsWith(github.event.title, 'it')", "true"),
        ("github.event.title", "'it''s'"),
    ]


def test_explanation_marks_what_is_not_looked_at() -> None:
    part = explained("always() && github.no && github.ref")
    assert [(item.source, item.reached) for item in part.parts] == [
        ("always()", True),
        ("github.no", True),
        ("github.ref", False),
    ]
    part = explained("always() || github.ref")
    assert [item.reached for item in part.parts] == [True, False]


def test_explanation_of_an_open_part_says_what_is_certain_all_the_same() -> None:
    unknown = Unknown(contexts=frozenset({"needs"}))
    part = explained("needs.a.outputs.x && github.no", unknown=unknown)
    assert (part.value, part.truth) == (None, False)
    assert [(item.value, item.truth, item.reached) for item in part.parts] == [
        ("true", True, True),
        (None, None, True),
        ("null", False, True),
    ]
    assert explained("needs.a.result == 'x'", unknown=unknown).truth is None
    assert explained("always() || needs.a.outputs.x", unknown=unknown).truth is True


def test_explanation_of_a_part_without_a_value_says_why() -> None:
    part = explained("fromJSON('{')")
    assert part.value is None
    assert part.truth is None
    assert "is not JSON" in str(part.parts[1].problem)


def test_explanation_never_shows_a_secret() -> None:
    parts = ["format('{0}', secrets.KEY) == 'a'", "toJSON(secrets)", "toJSON(github)", "github.token", "vars.LEAK"]
    text = " || ".join([*parts, "secrets.*"])
    part = explained(text, secrets=[Secret("hunter2"), Secret("refs/heads/m'")])
    shown = repr(part.to_json())
    assert "hunter2" not in shown
    assert "t0ken" not in shown
    assert ("vars.LEAK", "'x *** y'") in flat(part)
    assert ("format('{0}', secrets.KEY)", "***") in flat(part)
    assert ("format('{0}', secrets.KEY) == 'a'", "false") in flat(part)


def test_explanation_cuts_long_values_and_stops_at_many_parts() -> None:
    part = explained(" || ".join(["github.ref == vars.LIST"] * 600))
    assert len(flat(part)) < 1000
    long = explain(
        parse("toJSON(vars.LONG)", allowed=ANYTHING), Scope(contexts={"vars": from_json({"LONG": "x" * 999})})
    )
    assert len(str(long.value)) == MAX_SHOWN


@pytest.mark.parametrize(
    ("text", "paths"),
    [
        ("github.event.Commits[0].message", [("github", "event", "commits", "*", "message")]),
        ("github['HEAD_ref']", [("github", "head_ref")]),
        ("github.event[vars.NAME].*", [("github", "event", "*", "*"), ("vars", "name")]),
        ("fromJSON(vars.A).b == needs.x", [("vars", "a"), ("needs", "x")]),
    ],
)
def test_paths_of_an_expression_are_whole_and_in_lower_case(text: str, paths: list[tuple[str, ...]]) -> None:
    assert [path for path, _ in paths_in(parse(text, allowed=ANYTHING).root)] == paths


@pytest.mark.parametrize(
    ("text", "truth"),
    [
        ("false && github.x", False),
        ("github.x && false", False),
        ("github.x || 1 == 1", True),
        ("github.x", None),
        ("!github.x", None),
        ("!(github.x && '')", True),
        ("always() || github.x", True),
        ("cancelled()", None),
        ("fromJSON('{')", None),
    ],
)
def test_truth_that_does_not_hang_on_contexts_is_certain(text: str, truth: bool | None) -> None:
    def nothing(_: Node) -> bool | None:
        return None

    assert certain(parse(text, allowed=ANYTHING).root, nothing) is truth
