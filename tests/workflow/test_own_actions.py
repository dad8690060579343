"""``validate`` on action metadata, and on workflows whose steps use the actions that lie beside them."""

import os
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from terraphim_runner.cli import local_actions, validate
from terraphim_runner.cli.local_actions import LocalActions, repository_of
from terraphim_runner.workflow import parse
from terraphim_runner.workflow.metadata.linking import LinkedAction
from terraphim_runner.workflow.yaml import MAX_BYTES

NODE = "name: a\ndescription: b\nruns: {using: node20, main: a.js}\n"


@pytest.fixture(autouse=True)
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path / "checkout"
    (root / ".github/workflows").mkdir(parents=True)
    monkeypatch.chdir(root)
    return root


def validated(*arguments: str) -> Result:
    app = typer.Typer()
    validate.register(app)
    return CliRunner().invoke(app, ["--disable", "not-supported", *arguments])


def action(folder: str, text: str = NODE, name: str = "action.yml") -> None:
    Path(folder).mkdir(parents=True, exist_ok=True)
    (Path(folder) / name).write_text(text)


def composite(*uses: str, rest: str = "") -> str:
    steps = ", ".join(f"{{uses: {item}}}" for item in uses)
    return f"name: a\ndescription: b\n{rest}runs: {{using: composite, steps: [{steps}]}}\n"


def workflow(*steps: str) -> None:
    lines = "".join(f"      - {step}\n" for step in steps)
    text = f"on: push\njobs:\n  x:\n    runs-on: x\n    timeout-minutes: 1\n    steps:\n{lines}"
    Path(".github/workflows/w.yml").write_text(text)


def warnings() -> list[str]:
    """Return what is said of the workflow, without its place."""
    result = validated()
    assert result.exit_code == 0
    return [line.partition("warning: ")[2] for line in result.stderr.splitlines() if ": warning: " in line]


def test_validate_file_with_an_action_s_name_is_checked_as_one():
    action("good")
    action("bad", "name: a\nruns: {using: node18, main: a.js}\n", name="action.yaml")
    result = validated("good/action.yml")
    assert (result.exit_code, result.stdout) == (0, "1 action, no problems\n")
    result = validated("good/action.yml", "bad/action.yaml")
    assert result.exit_code == 2
    assert "bad/action.yaml:2:15: found 'node18' as 'using'" in result.stderr
    assert result.stderr.splitlines()[-1] == "2 actions, 2 problems"


def test_validate_directory_with_an_action_checks_that_alone(repository: Path):
    action(".")
    Path("compose.yml").write_text("services: {}\n")
    workflow("run: echo")
    assert validated(".").stdout == "1 action, no problems\n"
    assert validated(".", ".github/workflows").stdout == "1 workflow, 1 action, no problems\n"


def test_validate_without_paths_checks_workflows_even_those_called_action():
    action(".")
    Path(".github/workflows/action.yml").write_text(
        "on: push\njobs: {a: {runs-on: x, timeout-minutes: 1, steps: [{run: a}]}}\n"
    )
    assert validated().stdout == "1 workflow, no problems\n"


def test_validate_action_hides_warnings_when_asked():
    action("a", NODE + "keywords: x\n")
    assert "[unknown-key]" in validated("a").stderr
    assert validated("a", "--no-warnings").stderr == ""
    assert validated("a", "--disable", "unknown-key").stderr == ""


def test_validate_step_gives_an_input_that_its_action_does_not_define():
    action("a", NODE + "inputs: {path: {}, Other: {}}\n")
    action("none")
    workflow("{uses: ./a, with: {PATH: 1, pathh: 2}}", "{uses: ./none, with: {x: 1}}")
    assert warnings() == [
        "found the input 'pathh' of './a', expected one of 'path', 'Other'; did you mean 'path'? [unknown-input]",
        "found the input 'x' of './none', which takes none [unknown-input]",
    ]


def test_validate_of_an_action_with_thousands_of_inputs_names_the_first():
    action("a", NODE + "inputs:\n" + "".join(f"  i{n}: {{}}\n" for n in range(5_000)))
    workflow("{uses: ./a, with: {i5001: 1}}")
    (found,) = warnings()
    assert found.endswith("'i19' and 4980 more [unknown-input]")


def test_validate_action_at_the_repository_s_root_is_found():
    action(".", NODE + "inputs: {a: {}}\n")
    workflow("{uses: ./, with: {b: 1}}")
    assert warnings() == ["found the input 'b' of './', expected one of 'a' [unknown-input]"]


def test_validate_container_action_always_takes_args_and_an_entrypoint():
    action("a", "name: a\ndescription: b\nruns: {using: docker, image: Dockerfile}\n")
    workflow("{uses: ./a, with: {args: 1, entryPoint: 2, other: 3}}")
    assert warnings() == ["found the input 'other' of './a', which takes none [unknown-input]"]


def test_validate_inputs_that_are_expressions_are_not_judged():
    action("a", NODE + "inputs: {path: {required: true}}\n")
    workflow("{uses: ./a, with: '${{ fromJSON(env.a) }}'}", "{uses: ./a, with: {'${{ env.a }}': 1}}")
    assert warnings() == []


def test_validate_step_leaves_out_a_required_input():
    action("a", NODE + "inputs: {one: {required: true}, two: {required: true, default: x}, three: {}}\n")
    workflow("{uses: ./a}", "{uses: ./a, with: {ONE: 1}}")
    assert warnings() == ["'./a' requires the input 'one', which the step does not give: it is empty [missing-input]"]


def test_validate_step_gives_a_deprecated_input():
    action("a", NODE + "inputs: {old: {deprecationMessage: use new}}\n")
    workflow("{uses: ./a, with: {Old: 1}}")
    assert warnings() == ["the input 'Old' of './a' is deprecated: 'use new' [deprecated-input]"]


def test_validate_output_of_a_composite_action_is_known_and_of_a_script_is_not():
    action("made", composite(rest="outputs: {There: {value: 1}}\n"))
    action("script")
    workflow(
        "{uses: ./made, id: made}",
        "{uses: ./script, id: script}",
        "run: echo ${{ steps.made.outputs.there }} ${{ steps.script.outputs.any }} ${{ steps.made.outputs.gone }}",
    )
    assert warnings() == ["found 'steps.made.outputs.gone', but the action of step 'made' never sets it [unset-output]"]


def test_validate_folder_without_an_action_is_told():
    Path("empty").mkdir()
    Path("image").mkdir()
    (Path("image") / "Dockerfile").touch()
    workflow("uses: ./nowhere", "uses: ./empty", "uses: ./image", "uses: $/nowhere/else")
    assert warnings() == [
        "found no action at './nowhere': the repository has no such folder [missing-action]",
        (
            "found no action at './empty': the folder holds no 'action.yml', 'action.yaml' or 'Dockerfile' "
            "[missing-action]"
        ),
        "found no action at '$/nowhere/else': the repository has no such folder [missing-action]",
    ]


@pytest.mark.parametrize(
    "before",
    [
        "run: git clone https://example.com/x tools",
        "{uses: actions/checkout@v4, with: {path: tools}}",
        "{uses: actions/checkout@v4, with: {repository: a/b}}",
        "{uses: actions/checkout@v4, with: '${{ fromJSON(env.a) }}'}",
        "{uses: actions/checkout@v4, with: {path: '${{ env.HERE }}'}}",
        "{uses: actions/download-artifact@v4, with: {path: ./tools/lint}}",
    ],
)
def test_validate_folder_that_an_earlier_step_may_have_made_is_believed(before: str):
    workflow("uses: actions/checkout@v4", before, "uses: ./tools/lint")
    assert warnings() == []


def test_validate_step_before_the_one_that_makes_the_folder_is_told():
    workflow("uses: ./tools", "run: git clone https://example.com/x tools")
    assert warnings() == ["found no action at './tools': the repository has no such folder [missing-action]"]


def test_validate_folder_is_not_missed_where_the_checkout_may_be_a_caller_s():
    action("a")
    workflow("uses: ./nowhere", "{uses: ./a, with: {x: 1}}", "uses: $/nowhere")
    path = Path(".github/workflows/w.yml")
    path.write_text(path.read_text().replace("on: push", "on: [push, workflow_call]"))
    assert [line.rpartition("[")[2] for line in warnings()] == ["unknown-input]", "missing-action]"]


def test_validate_after_a_checkout_of_another_repository_says_nothing_of_its_actions():
    action("a")
    workflow(
        "{uses: actions/checkout@v4, with: {repository: b/c}}",
        "{uses: ./a, with: {x: 1}}",
        "{uses: $/a, with: {x: 1}}",
    )
    assert warnings() == ["found the input 'x' of '$/a', which takes none [unknown-input]"]


def test_validate_action_that_cannot_be_loaded_is_told_with_its_first_mistake():
    action("a", "runs: {using: composite}\n")
    action("titleless", "runs: {using: node20, main: a.js}\n")
    action("binary")
    (Path("binary") / "action.yml").write_bytes(b"\xff")
    workflow("uses: ./a", "uses: ./titleless", "uses: ./binary")
    assert warnings() == [
        (
            "the action './a' cannot be used: a/action.yml:1:1: "
            "'runs' of a composite action has no 'steps', expected one [broken-action]"
        ),
        (
            "the action './binary' cannot be used: 'action.yml': the file cannot be read: byte 1 is not UTF-8 "
            "[broken-action]"
        ),
    ]


def test_validate_composite_actions_that_use_each_other_are_told():
    action("a", composite("./b", "./self"))
    action("b", composite("./c"))
    action("c", composite("./b"))
    action("self", composite("./self"))
    workflow("uses: ./a", "uses: ./self", "uses: ./c")
    assert warnings() == [
        "the action './a' cannot be used: it uses itself, without an end: './b' → './c' → './b' [broken-action]",
        "the action './self' cannot be used: it uses itself, without an end: './self' → './self' [broken-action]",
        "the action './c' cannot be used: it uses itself, without an end: './c' → './b' → './c' [broken-action]",
    ]


def test_validate_never_follows_a_path_or_a_link_out_of_the_repository(repository: Path):
    outside = repository.parent / "outside"
    outside.mkdir()
    (outside / "action.yml").write_text("secret: [\n")
    (repository / "linked").symlink_to(outside)
    (repository / "file").mkdir()
    (repository / "file/action.yml").symlink_to(outside / "action.yml")
    (repository / "sibling").symlink_to(repository.parent / "checkout-2")
    (repository / "loop").symlink_to("loop")
    workflow("uses: ./../outside", "uses: ./linked", "uses: ./file", "uses: ./sibling", "uses: ./loop")
    found = warnings()
    assert "secret" not in "".join(found)
    leads_out = "it leads out of the repository, where nothing is looked up [missing-action]"
    assert found == [
        f"found no action at './../outside': {leads_out}",
        f"found no action at './linked': {leads_out}",
        "the action './file' cannot be used: 'action.yml' is a link that leads out of the repository [broken-action]",
        f"found no action at './sibling': {leads_out}",
        "found no action at './loop': the repository has no such folder [missing-action]",
    ]


def test_validate_follows_a_link_within_the_repository(repository: Path):
    action("real", NODE + "inputs: {a: {}}\n")
    (repository / "linked").symlink_to("real")
    workflow("{uses: ./linked, with: {b: 1}}", "{uses: ./real/../linked, with: {a: 1}}")
    assert warnings() == ["found the input 'b' of './linked', expected one of 'a' [unknown-input]"]


def test_validate_action_file_that_hangs_or_floods_is_not_read(repository: Path):
    for name in ("pipe", "large", "folder"):
        (repository / name).mkdir()
    os.mkfifo(repository / "pipe/action.yml")
    (repository / "large/action.yml").write_bytes(b"#" * (MAX_BYTES + 1))
    (repository / "folder/action.yml").mkdir()
    long = "x" * 5000
    workflow("uses: ./pipe", "uses: ./large", "uses: ./folder", f"uses: ./{long}", r'uses: "./a\0b"')
    found = warnings()
    assert [line.rpartition("[")[2] for line in found] == ["broken-action]"] * 3 + ["missing-action]"] * 2
    assert "it is no regular file" in found[0]
    assert "it is larger than 1024 KiB" in found[1]


def test_local_actions_read_each_file_once_and_stop_at_their_limits(repository: Path, monkeypatch: pytest.MonkeyPatch):
    for name in "abc":
        action(name)
    workflow("uses: ./a", "uses: ./a", "uses: ./b", "uses: ./c")
    read = parse("w.yml", Path(".github/workflows/w.yml").read_text(), check_support=False).workflow
    assert read is not None
    monkeypatch.setattr(local_actions, "MAX_ACTIONS", 2)
    limited = LocalActions(repository).of(read)
    assert limited["a"].action is not None
    assert limited["c"] == LinkedAction()
    monkeypatch.setattr(local_actions, "MAX_ACTIONS", 10)
    monkeypatch.setattr(local_actions, "MAX_TEXT", len(NODE))
    limited = LocalActions(repository).of(read)
    assert limited["a"].action is not None
    assert limited["b"] == LinkedAction()


def test_repository_of_a_file_elsewhere_is_unknown(repository: Path):
    assert repository_of(Path(".github/workflows/a.yml")) == repository
    assert repository_of(Path("a.yml")) is None
    Path("copy.yml").write_text("on: push\njobs: {a: {runs-on: x, timeout-minutes: 1, steps: [{uses: ./nowhere}]}}\n")
    assert validated("copy.yml").stdout == "1 workflow, no problems\n"


def test_validate_checkout_that_takes_a_fork_s_code_on_purpose_has_a_known_input():
    workflow("{uses: actions/checkout@v7, with: {allow-unsafe-pr-checkout: true}}")
    assert warnings() == []
