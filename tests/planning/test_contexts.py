"""The ``github`` context, the default variables and the inputs of a run started by hand."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from terraphim_runner.model.event import Event, Repository
from terraphim_runner.model.secret import Secret
from terraphim_runner.planning import default_variables, dispatch_inputs, github_context

PAYLOAD = {
    "ref": "refs/heads/main",
    "repository": {
        "id": 186853002,
        "full_name": "Codertocat/Hello-World",
        "git_url": "git://github.com/Codertocat/Hello-World.git",
        "visibility": "public",
        "owner": {"login": "Codertocat", "id": 21031067},
    },
    "sender": {"login": "Codertocat", "id": 21031067},
}
EVENT = Event(
    name="push",
    action=None,
    repository=Repository(
        full_name="Codertocat/Hello-World",
        clone_url="https://github.com/Codertocat/Hello-World.git",
        default_branch="main",
    ),
    ref="refs/heads/feature/x",
    sha="6113728f27ae82c7b1a177c8d03f9e96e0adf246",
    payload=PAYLOAD,
)
TEXT = "name: CI\non: push\njobs: {a: {runs-on: x, steps: [{run: 'true'}]}}\n"


@pytest.fixture
def context(workflow: Callable) -> Callable[..., dict[str, Any]]:
    def make(event: Event = EVENT, text: str = TEXT, **more: Any) -> dict[str, Any]:
        return github_context(event, workflow=workflow(text), run_id="1234", run_number=7, run_attempt=2, **more)

    return make


def test_github_context_has_the_documented_values(context: Callable):
    github = context()

    assert {name: value for name, value in github.items() if name != "event"} == {
        "event_name": "push",
        "sha": "6113728f27ae82c7b1a177c8d03f9e96e0adf246",
        "ref": "refs/heads/feature/x",
        "ref_name": "feature/x",
        "ref_type": "branch",
        "ref_protected": False,
        "head_ref": "",
        "base_ref": "",
        "actor": "Codertocat",
        "actor_id": "21031067",
        "triggering_actor": "Codertocat",
        "repository": "Codertocat/Hello-World",
        "repository_id": "186853002",
        "repository_owner": "Codertocat",
        "repository_owner_id": "21031067",
        "repository_visibility": "public",
        "repositoryUrl": "git://github.com/Codertocat/Hello-World.git",
        "workflow": "CI",
        "workflow_ref": "Codertocat/Hello-World/.github/workflows/ci.yml@refs/heads/feature/x",
        "workflow_sha": "6113728f27ae82c7b1a177c8d03f9e96e0adf246",
        "run_id": "1234",
        "run_number": "7",
        "run_attempt": "2",
        "retention_days": "90",
        "server_url": "https://github.com",
        "api_url": "https://api.github.com",
        "graphql_url": "https://api.github.com/graphql",
        "secret_source": "Actions",
    }
    assert github["event"] == PAYLOAD
    json.dumps(github)


@pytest.mark.parametrize(
    ("ref", "name", "kind"),
    [("refs/tags/v1/2", "v1/2", "tag"), ("refs/pull/7/merge", "7/merge", "branch"), ("refs/heads/a", "a", "branch")],
)
def test_ref_has_a_short_name_and_a_type(context: Callable, ref: str, name: str, kind: str):
    github = context(replace(EVENT, ref=ref))

    assert (github["ref_name"], github["ref_type"]) == (name, kind)


def test_pull_request_has_head_and_base(context: Callable):
    github = context(replace(EVENT, name="pull_request", head_ref="topic", base_ref="main"))

    assert (github["head_ref"], github["base_ref"]) == ("topic", "main")


def test_enterprise_server_has_its_own_addresses(context: Callable):
    github = context(server_url="https://ghes.example/", api_url="https://ghes.example/api/v3/")

    assert github["server_url"] == "https://ghes.example"
    assert github["api_url"] == "https://ghes.example/api/v3"
    assert github["graphql_url"] == "https://ghes.example/api/graphql"


def test_workflow_without_a_name_is_called_by_its_path(context: Callable):
    assert context(text=TEXT.removeprefix("name: CI\n"))["workflow"] == ".github/workflows/ci.yml"


def test_token_is_there_only_when_given_and_in_no_variable(context: Callable):
    assert "token" not in context()
    github = context(token=Secret("ghs_x"))
    assert github["token"] == "ghs_x"
    assert "ghs_x" not in default_variables(github).values()


@pytest.mark.parametrize("payload", [{}, {"repository": 3, "sender": []}, {"repository": {"owner": "x", "id": [1]}}])
def test_payload_of_another_shape_leaves_values_empty(context: Callable, payload: dict):
    github = context(replace(EVENT, payload=payload))

    assert (github["repository_id"], github["repository_owner_id"], github["actor_id"]) == ("", "", "")
    assert github["repositoryUrl"] == EVENT.repository.clone_url


def test_default_variables_mirror_the_context(context: Callable):
    variables = default_variables(context())

    assert variables["CI"] == variables["GITHUB_ACTIONS"] == "true"
    assert variables["GITHUB_REF_PROTECTED"] == "false"
    assert variables["GITHUB_REPOSITORY_OWNER"] == "Codertocat"
    assert variables["GITHUB_RUN_NUMBER"] == "7"
    assert variables["GITHUB_HEAD_REF"] == ""
    assert variables["GITHUB_GRAPHQL_URL"] == "https://api.github.com/graphql"
    assert not {"GITHUB_EVENT", "GITHUB_TOKEN", "GITHUB_REPOSITORYURL", "GITHUB_SECRET_SOURCE"} & set(variables)
    assert len(variables) == 27


DISPATCH = """
on:
  workflow_dispatch:
    inputs:
      Level: {type: choice, options: [low, high]}
      dry: {type: boolean}
      count: {type: number, default: 3}
      text: {default: hello}
      must: {required: true}
jobs: {a: {runs-on: x, steps: [{run: 'true'}]}}
"""


def dispatch(**inputs: Any) -> Event:
    return replace(EVENT, name="workflow_dispatch", payload={**PAYLOAD, "inputs": inputs})


def test_dispatch_inputs_are_typed_and_have_defaults(workflow: Callable):
    found = dispatch_inputs(workflow(DISPATCH), dispatch(must="x", DRY="true"))

    assert found.problems == ()
    assert found.values == {"Level": "low", "dry": True, "count": "3", "text": "hello", "must": "x"}
    assert found.texts == {"Level": "low", "dry": "true", "count": "3", "text": "hello", "must": "x"}


def test_dispatch_inputs_reach_the_event_as_texts(context: Callable):
    github = context(dispatch(must="x", count="1.5"), DISPATCH)

    assert github["event"]["inputs"]["count"] == "1.5"
    assert github["event"]["inputs"]["dry"] == "false"


def test_dispatch_inputs_that_are_wrong_are_all_told(workflow: Callable):
    found = dispatch_inputs(workflow(DISPATCH), dispatch(level="mid", dry="yes", count="many", other="1"))

    assert found.problems == (
        "input 'Level' is 'mid'; expected one of 'low', 'high'",
        "input 'dry' is 'yes'; expected true or false",
        "input 'count' is 'many'; expected a number",
        "input 'must' is required; expected a value for it",
        "unknown input 'other'; the workflow declares 'Level', 'dry', 'count', 'text', 'must'",
    )


def test_dispatch_inputs_of_another_event_are_nothing(workflow: Callable):
    found = dispatch_inputs(workflow(DISPATCH), replace(EVENT, payload={"inputs": {"x": 1}}))

    assert (found.values, found.problems) == ({}, ())


def test_dispatch_input_that_is_no_finite_number_is_a_problem(workflow: Callable):
    found = dispatch_inputs(workflow(DISPATCH), dispatch(must="x", count="inf"))

    assert found.problems == ("input 'count' is 'inf'; expected a number",)


def test_dispatch_number_is_the_text_that_was_sent(workflow: Callable):
    """GitHub keeps only booleans typed: documentation, "Events that trigger workflows", ``workflow_dispatch``."""
    found = dispatch_inputs(workflow(DISPATCH), dispatch(must="x", count="1.50"))

    assert (found.values["count"], found.texts["count"], found.values["dry"]) == ("1.50", "1.50", False)


def test_dispatch_inputs_that_are_too_long_together_are_a_problem(workflow: Callable):
    found = dispatch_inputs(workflow(DISPATCH), dispatch(must="x" * 65_535))

    assert found.problems == ("the inputs have 65549 characters together; expected at most 65535",)


def test_deployment_of_a_bare_commit_has_no_ref(context: Callable):
    github = context(replace(EVENT, name="deployment", ref=""))

    assert (github["ref"], github["ref_name"], github["ref_type"]) == ("", "", "")
    assert github["workflow_ref"] == f"Codertocat/Hello-World/.github/workflows/ci.yml@{EVENT.sha}"


def pull_of(origin: str | None) -> dict[str, Any]:
    return {**PAYLOAD, "pull_request": {"head": {"repo": {"full_name": origin} if origin else None}}}


@pytest.mark.parametrize(
    ("name", "payload", "actor", "source"),
    [
        ("pull_request", pull_of("codertocat/hello-world"), "mona", "Actions"),
        ("pull_request", pull_of("eve/fork"), "mona", "None"),
        ("pull_request", pull_of(None), "mona", "None"),
        ("pull_request_target", pull_of("eve/fork"), "mona", "Actions"),
        ("push", PAYLOAD, "dependabot[bot]", "Dependabot"),
        ("issues", PAYLOAD, "dependabot[bot]", "Actions"),
    ],
)
def test_secret_source_is_where_the_runs_secrets_are_from(
    context: Callable, name: str, payload: dict, actor: str, source: str
):
    assert context(replace(EVENT, name=name, payload=payload, actor=actor))["secret_source"] == source


@pytest.mark.parametrize(
    ("value", "text"),
    [(1e22, "1E+22"), (10**400, "Infinity"), (True, "true"), (3.0, "3"), ([1], "Array"), ({"a": 1}, "Object")],
)
def test_dispatch_input_of_any_kind_is_text_in_the_languages_words(workflow: Callable, value: object, text: str):
    assert dispatch_inputs(workflow(DISPATCH), dispatch(must="x", text=value)).texts["text"] == text
