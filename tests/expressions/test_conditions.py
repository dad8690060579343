"""``if:``: what GitHub adds to a condition, and when."""

import pytest

from terraphim_runner.expressions import (
    ANYTHING,
    Availability,
    ExpressionError,
    Scope,
    evaluate,
    from_json,
    is_truthy,
    parse_condition,
)

JOB_IF = Availability(
    contexts=frozenset({"github", "needs", "vars", "inputs"}),
    functions=frozenset({"success", "failure", "cancelled", "always"}),
    where="jobs.<id>.if",
    status_arguments=255,
)


def holds(text: str, *, success: bool, allowed: Availability = ANYTHING) -> bool:
    scope = Scope(
        contexts={"github": from_json({"ref": "main", "empty": ""})},
        functions={
            "success": lambda _arguments: success,
            "failure": lambda _arguments: not success,
            "cancelled": lambda _arguments: False,
            "always": lambda _arguments: True,
        },
    )
    return is_truthy(evaluate(parse_condition(text, allowed=allowed), scope))


@pytest.mark.parametrize(
    ("text", "after_success", "after_failure"),
    [
        ("true", True, False),
        ("${{ true }}", True, False),
        ("github.ref == 'main'", True, False),
        ("${{ github.ref == 'other' }}", False, False),
        ("false || true", True, False),
        ("always()", True, True),
        ("${{ always() }}", True, True),
        ("ALWAYS ( )", True, True),
        ("failure()", False, True),
        ("!success()", False, True),
        ("!cancelled()", True, True),
        ("!cancelled() && github.ref == 'main'", True, True),
        ("github.ref == 'main' || failure()", True, True),
        ("contains('always()', 'always')", True, False),
        ("github.always", False, False),
        # Text around makes it a text, which holds.
        ("${{ false }} ", True, False),
        ("${{ false }}\n", True, False),
        ("${{ github.ref }} == 'other'", True, False),
        ("x ${{ failure() }}", True, True),
        ("{0} ${{ false }} {{", True, False),
        ("${{ github.empty }}${{ github.empty }}", False, False),
    ],
)
def test_condition_holds_as_with_github(text: str, after_success: bool, after_failure: bool) -> None:
    assert (holds(text, success=True), holds(text, success=False)) == (after_success, after_failure)


def test_condition_where_success_is_not_available_gets_nothing_added() -> None:
    snapshot_if = Availability(contexts=frozenset({"github"}), where="jobs.<id>.snapshot.if")
    assert holds("github.ref == 'main'", success=False, allowed=snapshot_if)


def test_status_function_with_job_keys_is_legal_in_a_jobs_condition_only() -> None:
    assert holds("success('build', 'test')", success=True, allowed=JOB_IF)
    step_if = Availability(contexts=frozenset({"github"}), functions=JOB_IF.functions, where="jobs.<id>.steps.if")
    with pytest.raises(ExpressionError, match=r"found 1 arguments of success\(\), expected none"):
        parse_condition("success('build')", allowed=step_if)


@pytest.mark.parametrize(
    ("text", "message", "offset"),
    [
        (
            "env.X == 1",
            "context 'env' is not available in jobs.<id>.if, expected one of github, inputs, needs, vars",
            0,
        ),
        ("${{ true && secrets.X }}", "context 'secrets' is not available in jobs.<id>.if", 12),
        ("hashFiles('x') == ''", "function 'hashFiles' is not available in jobs.<id>.if", 0),
        ("${{ }}", "found an empty expression", 0),
        ("github.ref = 'x'", "found '=', expected '=='", 11),
    ],
)
def test_condition_with_a_mistake_tells_what_and_where(text: str, message: str, offset: int) -> None:
    with pytest.raises(ExpressionError) as caught:
        parse_condition(text, allowed=JOB_IF)
    assert message in caught.value.message
    assert caught.value.offset == offset
