"""Action metadata: the tree that running an action reads, and what no file can do to the reader."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from terraphim_runner.expressions import Template
from terraphim_runner.expressions.printing import to_source
from terraphim_runner.model.source import Diagnostic, Severity
from terraphim_runner.workflow.encoding import decode
from terraphim_runner.workflow.findings import MAX_SHOWN
from terraphim_runner.workflow.metadata import (
    Action,
    Branding,
    CompositeRuns,
    DockerRuns,
    NodeRuns,
    PluginRuns,
    parse_action,
)
from terraphim_runner.workflow.metadata.linking import find_circle, uses_of
from terraphim_runner.workflow.references import LocalAction, RemoteAction
from terraphim_runner.workflow.tree import RunStep, UsesStep
from terraphim_runner.workflow.yaml import MAX_BYTES

GOLDEN = Path(__file__).parents[1] / "golden/actions"


def read(text: str) -> Action:
    parsed = parse_action("action.yml", text)
    assert parsed.action is not None, [item.headline() for item in parsed.diagnostics]
    return parsed.action


def golden(name: str) -> Action:
    return read((GOLDEN / f"{name}.yml").read_text())


def source(value: object) -> str:
    assert isinstance(value, Template)
    return value.source


def test_parse_action_of_a_composite_keeps_all_that_running_it_needs():
    action = golden("valid_composite")
    assert (action.name, action.author) == ("Build and cache", "somebody")
    assert action.description == "Builds, and keeps what was built.\n"
    assert action.branding == Branding(icon="git-merge", color="gray-dark")
    assert list(action.inputs) == ["token", "number", "flag", "nothing", "name with blanks"]
    assert action.inputs["token"].required is True
    assert source(action.inputs["token"].default) == "${{ github.token }}"
    assert source(action.inputs["number"].default) == "5"
    assert source(action.inputs["flag"].default) == "true"
    assert source(action.inputs["nothing"].default) == ""
    assert action.inputs["nothing"].deprecation_message == "Use number."
    assert action.inputs["name with blanks"].default is None
    assert source(action.outputs["hit"].value) == "${{ steps.build.outputs.hit || inputs.number }}"
    assert isinstance(action.runs, CompositeRuns)
    first, build, cache, own, image = action.runs.steps
    assert isinstance(first, RunStep)
    assert isinstance(build, RunStep)
    assert isinstance(cache, UsesStep)
    assert isinstance(own, UsesStep)
    assert isinstance(image, UsesStep)
    assert (build.id, source(build.shell)) == ("build", "${{ inputs.shell || 'bash' }}")
    assert source(build.working_directory) == "${{ github.workspace }}/a"
    assert build.condition is not None
    assert "success" not in to_source(build.condition.expression.root)
    assert cache.action == RemoteAction(owner="actions", repository="cache", ref="v4")
    assert own.action == LocalAction(path=".github/actions/other")
    assert isinstance(cache.env, Template)


def test_parse_action_of_a_composite_step_without_a_status_function_implies_success():
    action = read(
        "name: a\ndescription: b\nruns: {using: composite, steps: [{run: a, shell: sh, if: inputs.a == 'b'}]}\n"
    )
    assert isinstance(action.runs, CompositeRuns)
    condition = action.runs.steps[0].condition
    assert condition is not None
    assert to_source(condition.expression.root) == "success() && inputs.a == 'b'"


def test_parse_action_of_a_script_implies_no_success_before_and_after_it():
    action = golden("valid_node")
    runs = action.runs
    assert isinstance(runs, NodeRuns)
    assert (runs.using, runs.pre, runs.main, runs.post) == ("node24", "dist/pre.js", "dist/main.js", "dist/post.js")
    assert runs.pre_if is not None
    assert to_source(runs.pre_if.expression.root).startswith("runner.os == 'Linux' && github.event_name")
    text = "name: a\ndescription: b\nruns: {using: NODE20, main: a.js, post: b.js, post-if: runner.os == 'Linux'}\n"
    runs = read(text).runs
    assert isinstance(runs, NodeRuns)
    assert (runs.using, runs.pre_if) == ("node20", None)
    assert runs.post_if is not None
    assert to_source(runs.post_if.expression.root) == "runner.os == 'Linux'"


def test_parse_action_of_a_container_tells_a_registry_s_image_from_a_file():
    runs = golden("valid_docker").runs
    assert isinstance(runs, DockerRuns)
    assert (runs.image, runs.registry_image) == ("docker://ghcr.io/somebody/lint:3", "ghcr.io/somebody/lint:3")
    assert (runs.entrypoint, runs.pre_entrypoint, runs.post_entrypoint) == ("/lint.sh", "/setup.sh", "/teardown.sh")
    assert [source(item) for item in runs.args] == ["--path", "${{ inputs.path }}", "3", "true", ""]
    assert {name: source(value) for name, value in runs.env.items()} == {"TARGET": "${{ inputs.path }}", "NUMBER": "16"}
    assert runs.pre_if is not None
    assert runs.post_if is not None
    built = golden("valid_docker_file").runs
    assert isinstance(built, DockerRuns)
    assert (built.image, built.registry_image, built.post_if) == ("Dockerfile", None, None)


def test_parse_action_of_a_plugin_names_it():
    runs = golden("valid_plugin").runs
    assert isinstance(runs, PluginRuns)
    assert runs.plugin == "checkout"


def test_parse_action_for_running_only_warns_of_what_the_runner_does_without():
    text = "runs: {using: node20, main: a.js}\n"
    assert parse_action("action.yml", text).action is None
    parsed = parse_action("action.yml", text, for_running=True)
    assert parsed.action is not None
    assert [item.severity for item in parsed.diagnostics] == [Severity.WARNING] * 2
    parsed = parse_action("action.yml", "name: ''\ndescription: ''\n" + text, for_running=True)
    assert parsed.action is not None


@pytest.mark.parametrize(("word", "required"), [("true", True), ("'true'", True), ("True", True), ("yes", False)])
def test_parse_action_required_is_true_in_any_spelling_of_it(word: str, *, required: bool):
    action = read(f"name: a\ndescription: b\ninputs: {{a: {{required: {word}}}}}\nruns: {{using: node20, main: a}}\n")
    assert action.inputs["a"].required is required


def test_parse_action_with_a_byte_order_mark_and_carriage_returns_is_read():
    assert read("\ufeffname: a\r\ndescription: b\r\nruns:\r\n  using: node20\r\n  main: a.js\r\n").name == "a"


PIECES = st.sampled_from(
    [
        *("name", "description", "inputs", "outputs", "runs", "using", "steps", "run", "uses", "shell", "default"),
        *("composite", "node20", "docker", "image", "main", "args", "env", "pre-if", "branding", "icon", "id", "if"),
        *(": ", "\n", "\n  ", "\n    ", "- ", "{", "}", "[", "]", ",", "${{ ", " }}", "inputs.a", "secrets.b", "&a "),
        *("*a", "!x ", "|\n", "'", '"', "\0", "\ufeff", "\u2028", "${{", "1", "true", "~", "?", "<<"),
    ]
)


@given(st.lists(PIECES, max_size=60) | st.text())
def test_parse_action_of_any_text_yields_an_action_or_an_error(parts: list[str] | str):
    text = "".join(parts)
    for start in ("", "name: a\ndescription: b\nruns:\n  using: composite\n  steps:\n"):
        parsed = parse_action("action.yml", start + text)
        has_error = any(item.severity is Severity.ERROR for item in parsed.diagnostics)
        assert (parsed.action is None) == has_error


@pytest.mark.parametrize(
    "text",
    [
        "inputs:\n" + "".join(f"  i{n}: x\n" for n in range(40_000)),
        "inputs:\n" + "".join(f"  i{n}: {{description: '${{{{ x }}}}'}}\n" for n in range(9_000)),
        "runs: {using: composite, steps: [" + "{run: '${{ secrets.a }}', foo: b}, " * 9_000 + "]}\n",
        "".join(f"k{n}: 1\n" for n in range(20_000)),
        "notes: " + "[" * 10_000,
        "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [{f'*a{n - 1}, ' * 9}]\n" for n in range(1, 30)),
        "description: " + "x" * MAX_BYTES,
    ],
    ids=["inputs", "expressions", "steps", "keys", "brackets", "laughs", "size"],
)
def test_parse_action_of_a_hostile_file_gives_up_with_few_diagnostics(text: str):
    parsed = parse_action("action.yml", text)
    assert parsed.action is None
    assert 1 <= len(parsed.diagnostics) <= MAX_SHOWN + 1


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"name: \xff", "byte 7 is not UTF-8"),
        (b"#" * (MAX_BYTES + 1), "it is larger than 1024 KiB"),
    ],
)
def test_decode_of_what_is_no_text_is_a_diagnostic(content: bytes, words: str):
    found = decode("action.yml", content)
    assert isinstance(found, Diagnostic)
    assert (found.rule, found.message) == ("unreadable", f"the file cannot be read: {words}")


def test_decode_takes_the_byte_order_mark_away():
    assert decode("action.yml", b"\xef\xbb\xbfname: a\n") == "name: a\n"


def test_uses_of_a_composite_are_the_repository_s_own_actions_each_once():
    steps = "[{uses: ./a}, {uses: b/c@v1}, {uses: $/d/e}, {uses: ./a/}, {run: a, shell: sh}]"
    action = read(f"name: a\ndescription: b\nruns: {{using: composite, steps: {steps}}}\n")
    assert uses_of(action) == ("a", "d/e")
    assert uses_of(golden("valid_node")) == ()


def test_find_circle_is_the_first_one_that_is_reached():
    uses = {"a": ("b", "c"), "b": ("d",), "c": ("e",), "e": ("f", "c"), "f": (), "self": ("self",)}
    assert find_circle("a", uses) == ("c", "e")
    assert find_circle("self", uses) == ("self",)
    assert find_circle("b", uses) == ()
    assert find_circle("unknown", uses) == ()


def test_find_circle_in_a_wide_ladder_takes_time_in_proportion_to_it():
    steps = {f"{n}{side}": (f"{n + 1}a", f"{n + 1}b") for n in range(2_000) for side in "ab"}
    assert find_circle("0a", steps) == ()
