"""Calls of reusable workflows: their jobs, inputs, secrets, outputs, conclusions and cancellation."""

from dataclasses import replace

import pytest

from terraphim_runner.model.errors import InfrastructureError
from terraphim_runner.model.ids import JobKey
from terraphim_runner.model.secret import Secret
from terraphim_runner.model.states import Conclusion, Status
from terraphim_runner.planning import advance, outline
from terraphim_runner.planning.calls import MAX_INPUT_BYTES, job_scope, locate, visible_secrets
from terraphim_runner.planning.explanation import explain_jobs
from terraphim_runner.planning.legs import MAX_INPUT_BYTES as MAX_LEGS_INPUT_BYTES
from terraphim_runner.planning.outcome import MAX_OUTPUT_BYTES
from terraphim_runner.workflow.tree import Origin

SUCCESS, FAILURE, CANCELLED, SKIPPED = (
    Conclusion.SUCCESS,
    Conclusion.FAILURE,
    Conclusion.CANCELLED,
    Conclusion.SKIPPED,
)

BUILD = """
on:
  workflow_call:
    inputs:
      system: {type: string, default: "linux-${{ vars.VERSION }}"}
      fast: {type: boolean}
      level: {type: number, default: 3}
    outputs:
      artifact: {value: "${{ jobs.compile.outputs.file }}"}
      verdict: {value: "${{ jobs.test.result }}"}
jobs:
  compile:
    runs-on: ${{ inputs.system }}
    outputs: {file: "${{ steps.x.outputs.file }}"}
    steps: [{run: "true"}]
  test:
    needs: compile
    if: ${{ !inputs.fast }}
    runs-on: x
    steps: [{run: "true"}]
"""

CALLER = """
on: push
jobs:
  build:
    uses: ./.github/workflows/build.yml
    with: {system: mac}
  deploy:
    needs: build
    name: deploy ${{ needs.build.outputs.artifact }}
    runs-on: x
    steps: [{run: "true"}]
"""


def test_call_runs_the_called_jobs_and_hands_its_outputs_to_dependents(linked, drive_of):
    run = drive_of(linked(CALLER, build=BUILD)).run({"build/compile": {"file": "a.tar"}})
    assert run.conclusion is SUCCESS
    assert run.started == ["build", "build/compile", "build/test", "deploy"]
    assert run.names("build/compile") == ["build / compile"]
    assert run.names("deploy") == ["deploy a.tar"]
    assert run.needs_seen["deploy"] == {
        "build": {"result": "success", "outputs": {"artifact": "a.tar", "verdict": "success"}}
    }
    assert run.leg("build/compile").leg.labels == ("mac",)


def test_call_inputs_are_typed_and_defaults_are_evaluated(linked, drive_of):
    run = drive_of(linked(CALLER.replace("{system: mac}", "{FAST: true}"), build=BUILD))
    run.contexts = {"vars": {"VERSION": "9"}}
    run.run()
    assert run.leg("build").leg.inputs == {"system": "linux-9", "fast": True, "level": 3}
    assert "build/test" in run.skipped
    assert run.needs_seen["deploy"]["build"]["outputs"]["verdict"] == "skipped"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("{fast: 'true'}", "the input 'fast' is a value of kind string; expected a boolean"),
        ("{fast: '${{ github.nothing }}'}", "the input 'fast' is a value of kind null; expected a boolean"),
        ("{level: '${{ fromJSON(vars.L) }}'}", "the input 'level' is a value of kind boolean; expected a number"),
        ("{system: '${{ github.event }}'}", "the input 'system' is a value of kind object; expected a string"),
        ("{sistem: x}", "found the input 'sistem'; './.github/workflows/build.yml' takes 'system', 'fast', 'level'"),
    ],
)
def test_call_with_an_input_that_does_not_fit_is_rejected(linked, drive_of, given, message):
    run = drive_of(linked(CALLER.replace("{system: mac}", given), build=BUILD))
    run.contexts = {"github": {"event": {}}, "vars": {"L": "true"}}
    run.run()
    assert run.rejected == {"build": (message,)}
    assert run.conclusion is FAILURE
    assert "deploy" in run.skipped


def test_string_input_takes_any_scalar(linked, drive_of):
    run = drive_of(linked(CALLER.replace("{system: mac}", "{system: 1.5, level: 2}"), build=BUILD)).run()
    assert run.leg("build").leg.inputs == {"system": "1.5", "fast": False, "level": 2}


def test_call_without_a_required_input_is_rejected(linked, drive_of):
    build = BUILD.replace("fast: {type: boolean}", "fast: {type: boolean, required: true}")
    run = drive_of(linked(CALLER, build=build)).run()
    assert run.rejected == {
        "build": ("'./.github/workflows/build.yml' requires the input 'fast'; expected it in 'with'",)
    }


def test_call_that_is_not_linked_is_rejected(drive):
    run = drive(CALLER).run()
    assert run.rejected == {"build": ("the workflow './.github/workflows/build.yml' was not fetched",)}


@pytest.mark.parametrize(
    ("outcomes", "result", "conclusion"),
    [
        ({"build/test": FAILURE}, FAILURE, FAILURE),
        ({"build/compile": FAILURE}, FAILURE, FAILURE),
        ({"build/test": CANCELLED}, CANCELLED, CANCELLED),
    ],
)
def test_call_ends_as_its_jobs_do_and_dependents_are_skipped(linked, drive_of, outcomes, result, conclusion):
    run = drive_of(linked(CALLER, build=BUILD)).run(outcomes)
    assert run.leg("build").conclusion is result
    assert run.conclusion is conclusion
    assert "deploy" in run.skipped


def test_call_whose_jobs_are_all_skipped_counts_as_skipped(linked, drive_of):
    build = BUILD.replace("    runs-on: ${{ inputs.system }}", "    if: false\n    runs-on: x")
    run = drive_of(linked(CALLER, build=build)).run()
    assert run.leg("build").conclusion is SKIPPED
    assert set(run.skipped) == {"build/compile", "build/test", "deploy"}
    assert run.conclusion is SKIPPED


def test_call_that_is_skipped_plans_none_of_its_jobs(linked, drive_of):
    run = drive_of(linked(CALLER.replace("    with:", "    if: false\n    with:"), build=BUILD)).run()
    assert set(run.skipped) == {"build", "deploy"}


MATRIX = """
on: push
jobs:
  build:
    name: "on ${{ matrix.system }}"
    strategy: {max-parallel: 1, matrix: {system: [a, b]}}
    uses: ./.github/workflows/build.yml
    with: {system: "${{ matrix.system }}"}
"""


def test_call_with_a_matrix_calls_once_for_each_leg_in_turn(linked, drive_of):
    run = drive_of(linked(MATRIX, build=BUILD)).run()
    assert run.started == [
        *("build/0", "build/0/compile", "build/0/test"),
        *("build/1", "build/1/compile", "build/1/test"),
    ]
    assert run.names("build/1/compile") == ["on b / compile"]
    assert run.leg("build/1/compile").leg.labels == ("b",)


def test_failed_leg_of_a_call_cancels_the_jobs_of_its_siblings(linked, drive_of):
    run = drive_of(linked(MATRIX.replace("max-parallel: 1, ", ""), build=BUILD))
    run.settle()
    run.begin("build/1/compile")
    run.complete("build/0/compile", FAILURE)
    run.settle()
    assert run.leg("build/0").conclusion is FAILURE
    assert run.cancel_reasons["build/1"] == "fail-fast: 'on a' failed"
    assert run.leg("build/1/compile").cancelling
    run.complete("build/1/compile", CANCELLED)
    run.settle()
    assert run.leg("build/1").conclusion is CANCELLED
    assert run.skipped["build/1/test"] == "the call 'on b' was cancelled"
    assert run.conclusion is FAILURE


def test_cancelled_run_cancels_called_jobs_and_runs_those_with_always(linked, drive_of):
    build = BUILD + '  clean:\n    needs: compile\n    if: always()\n    runs-on: x\n    steps: [{run: "true"}]\n'
    run = drive_of(linked(CALLER, build=build))
    run.settle()
    run.begin("build/compile")
    run.cancelled = True
    run.settle()
    assert run.leg("build/compile").cancelling
    assert run.leg("build").status is Status.IN_PROGRESS
    run.complete("build/compile", CANCELLED)
    run.settle()
    assert run.running == ["build/clean"]
    run.run()
    assert run.conclusion is CANCELLED


NESTED = """
on:
  workflow_call:
    inputs: {depth: {type: number}}
    secrets: {KEY: {required: true}}
    outputs: {deep: {value: "${{ jobs.more.outputs.artifact }}"}}
jobs:
  more:
    uses: ./.github/workflows/build.yml
    with: {level: "${{ inputs.depth }}"}
    secrets: {INNER: "${{ secrets.KEY }}-${{ needs.before.outputs.suffix }}"}
    needs: before
  before:
    runs-on: x
    steps: [{run: "true"}]
"""

OUTER = """
on: push
jobs:
  top:
    strategy: {matrix: {n: [1, 2]}}
    uses: ./.github/workflows/nested.yml
    with: {depth: "${{ matrix.n }}"}
    secrets: {KEY: "${{ secrets.OWN }}"}
"""


def test_calls_of_calls_keep_their_own_needs_inputs_and_secrets(linked, drive_of):
    run = drive_of(linked(OUTER, nested=NESTED, build=BUILD))
    run.contexts = {"github": {"actor": "me"}, "inputs": {"outer": 1}}
    run.settle()
    run.complete("top/1/before", SUCCESS, {"suffix": "b"})
    run.settle()
    key = JobKey("top/1/more/compile")
    assert run.names(key) == ["top (2) / more / compile"]
    scope = job_scope(run.workflow, run.snapshot, key)
    assert scope.contexts["inputs"] == {"system": "linux-", "fast": False, "level": 2}
    assert scope.contexts["github"] == {"actor": "me"}
    assert scope.job.key == "compile"
    assert locate(run.workflow, key) == (scope.workflow, scope.job)
    secrets = {"OWN": Secret("s"), "OTHER": Secret("o"), "GITHUB_TOKEN": Secret("t")}
    seen = visible_secrets(run.workflow, run.snapshot, key, secrets)
    assert {name: secret.reveal() for name, secret in seen.items()} == {"INNER": "s-b", "GITHUB_TOKEN": "t"}
    assert set(visible_secrets(run.workflow, run.snapshot, JobKey("top/1/before"), secrets)) == {"KEY", "GITHUB_TOKEN"}


def test_inherited_secrets_are_all_seen_and_others_none(linked, drive_of):
    for extra, expected in (("    secrets: inherit\n", {"A"}), ("", set())):
        run = drive_of(linked(CALLER.replace("    with:", f"{extra}    with:"), build=BUILD))
        run.settle()
        assert set(visible_secrets(run.workflow, run.snapshot, JobKey("build/compile"), {"A": Secret("a")})) == expected
        assert set(visible_secrets(run.workflow, run.snapshot, JobKey("deploy"), {"A": Secret("a")})) == {"A"}


@pytest.mark.parametrize(
    ("own", "origin", "expected"),
    [
        ("octo/app", "OCTO/lib", {"A"}),
        ("octo/app", "stranger/lib", set()),
        ("octo/app", "octo-labs/lib", set()),
        ("octo/app", None, {"A"}),
        (None, "octo/lib", set()),
    ],
)
def test_inherited_secrets_stay_with_one_owner(linked, drive_of, own, origin, expected):
    workflow = linked(CALLER.replace("    with:", "    secrets: inherit\n    with:"), build=BUILD)
    called = workflow.calls[JobKey("build")]
    if origin is not None:
        called = replace(called, origin=Origin(repository=origin, ref="v1", sha="1" * 40))
    run = drive_of(replace(workflow, calls={JobKey("build"): called}))
    run.contexts = {"github": {"repository": own} if own else {}}
    run.settle()
    secrets = {"A": Secret("a"), "GITHUB_TOKEN": Secret("t")}
    seen = visible_secrets(run.workflow, run.snapshot, JobKey("build/compile"), secrets)
    assert set(seen) == expected | {"GITHUB_TOKEN"}


def test_inherited_secrets_reach_a_stranger_s_own_calls_where_they_were_given_by_name(linked, drive_of):
    outer = OUTER.replace("strategy: {matrix: {n: [1, 2]}}\n    ", "").replace('"${{ matrix.n }}"', "1")
    nested = NESTED.replace('    secrets: {INNER: "${{ secrets.KEY }}-${{ needs.before.outputs.suffix }}"}\n', "@")
    workflow = linked(outer, nested=nested.replace("@", "    secrets: inherit\n"), build=BUILD)
    origin = Origin(repository="stranger/lib", ref="v1", sha="1" * 40)
    nested_one = workflow.calls[JobKey("top")]
    build = replace(nested_one.calls[JobKey("more")], origin=origin)
    nested_one = replace(nested_one, origin=origin, calls={JobKey("more"): build})
    run = drive_of(replace(workflow, calls={JobKey("top"): nested_one}))
    run.contexts = {"github": {"repository": "octo/app"}}
    run.settle()
    run.complete("top/before", SUCCESS)
    run.settle()
    secrets = {"OWN": Secret("s"), "OTHER": Secret("o")}
    seen = visible_secrets(run.workflow, run.snapshot, JobKey("top/more/compile"), secrets)
    assert {name: secret.reveal() for name, secret in seen.items()} == {"KEY": "s"}


def test_secret_that_does_not_evaluate_is_an_error_without_its_value(linked, drive_of):
    caller = CALLER.replace("    with:", '    secrets: {K: "${{ fromJSON(secrets.A) }}"}\n    with:')
    run = drive_of(linked(caller, build=BUILD))
    run.settle()
    with pytest.raises(InfrastructureError) as error:
        visible_secrets(run.workflow, run.snapshot, JobKey("build/compile"), {"A": Secret("{hunter2")})
    assert "hunter2" not in str(error.value)


def test_output_that_does_not_evaluate_fails_the_call(linked, drive_of):
    build = BUILD.replace("${{ jobs.test.result }}", "${{ fromJSON(jobs.compile.outputs.file) }}")
    run = drive_of(linked(CALLER, build=build)).run({"build/compile": {"file": "{"}})
    assert run.leg("build").conclusion is FAILURE
    assert "the output 'verdict' does not evaluate" in run.rejected["build"][0]
    assert "deploy" in run.skipped


def test_outputs_of_a_call_are_bounded_as_those_of_a_job_are(linked, drive_of):
    many = "".join(f'      o{number}: {{value: "${{{{ jobs.compile.outputs.file }}}}"}}\n' for number in range(5000))
    build = BUILD.replace("    outputs:\n", f"    outputs:\n{many}", 1)
    run = drive_of(linked(CALLER, build=build)).run({"build/compile": {"file": "x" * (MAX_OUTPUT_BYTES - 100)}})
    assert run.leg("build").conclusion is FAILURE
    assert run.leg("build").outputs == {}
    assert run.rejected["build"] == (
        f"the outputs of the workflow have more than {MAX_OUTPUT_BYTES} bytes; expected less",
    )


def test_inputs_of_a_call_are_bounded(linked, drive_of):
    many = "".join(f"      i{number}: {{type: string, default: '${{{{ vars.VERSION }}}}'}}\n" for number in range(100))
    build = BUILD.replace("    inputs:\n", f"    inputs:\n{many}", 1)
    run = drive_of(linked(CALLER, build=build))
    run.contexts = {"vars": {"VERSION": "x" * (MAX_INPUT_BYTES // 50)}}
    run.settle()
    (message,) = run.rejected["build"]
    assert (
        message
        == f"the inputs of './.github/workflows/build.yml' have more than {MAX_INPUT_BYTES} bytes; expected less"
    )


def test_inputs_of_all_legs_of_a_call_are_bounded_together(linked, drive_of):
    numbers = ", ".join(map(str, range(256)))
    caller = CALLER.replace("with: {system: mac}", f"strategy: {{matrix: {{n: [{numbers}]}}}}")
    run = drive_of(linked(caller, build=BUILD))
    run.contexts = {"vars": {"VERSION": "x" * 100_000}}
    run.settle()
    (message,) = run.rejected["build"]
    assert message == f"the inputs of all its legs have more than {MAX_LEGS_INPUT_BYTES} bytes; expected less"


def test_calls_are_planned_in_portions_of_a_bounded_size(linked, drive_of):
    jobs = "".join(f"  c{number}:\n    uses: ./.github/workflows/build.yml\n" for number in range(40))
    build = BUILD.replace("runs-on: ${{ inputs.system }}", "runs-on: x")
    run = drive_of(linked(f"on: push\njobs:\n{jobs}", build=build))
    run.contexts = {"vars": {"VERSION": "x" * 2_000_000}}
    decisions = advance(run.workflow, run.snapshot)
    assert 15 < len(decisions) < 20
    assert run.run({}).conclusion is SUCCESS
    assert len(run.started) == 40 * 3


def test_unknown_job_of_a_call_is_a_key_error(linked, drive_of):
    run = drive_of(linked(CALLER, build=BUILD))
    run.settle()
    for key in ("nothing", "build/nothing", "deploy/0/x"):
        with pytest.raises(KeyError):
            job_scope(run.workflow, run.snapshot, JobKey(key))


def test_outline_follows_calls_and_names_their_legs(linked):
    told = outline(linked(MATRIX, build=BUILD), "push", {"github": {}, "vars": {}, "inputs": {}})
    assert [called.inputs["system"] for called in told.jobs[0].calls] == ["a", "b"]
    assert [leg.name for leg in told.jobs[0].calls[1].jobs[0].legs or ()] == ["on b / compile"]
    assert told.jobs[0].calls[0].jobs[1].needs == ("build/0/compile",)
    assert "called as 'on a'" in told.render()
    assert told.to_json()["jobs"][0]["calls"][0]["jobs"][0]["key"] == "build/0/compile"


def test_outline_of_a_call_that_is_not_linked_says_so(drive):
    told = outline(drive(CALLER).workflow, "push", {"github": {}, "vars": {}, "inputs": {}})
    assert told.jobs[0].reason == "it calls ./.github/workflows/build.yml, which was not fetched"


def test_outline_of_calls_that_multiply_is_bounded(linked):
    wide = "on: workflow_call\njobs:\n" + "".join(
        f"  j{n}: {{uses: ./.github/workflows/{{}}.yml}}\n" for n in range(10)
    )
    leaf = "on: workflow_call\njobs: {x: {runs-on: x, steps: [{run: 'true'}]}}\n"
    files = {f"l{n}": wide.replace("{}", f"l{n + 1}") for n in range(4)} | {"l4": leaf}
    workflow = linked(wide.replace("workflow_call", "push").replace("{}", "l0"), **files)
    told = outline(workflow, "push", {"github": {}, "vars": {}, "inputs": {}})

    def count(plan) -> int:
        return sum(1 + sum(map(count, job.calls)) for job in plan.jobs)

    assert 100 < count(told) <= 2000


def test_explanation_follows_calls_with_the_inputs_of_each_leg(linked):
    text = MATRIX.replace('system: "${{ matrix.system }}"', "fast: \"${{ matrix.system == 'a' }}\"")
    (job,) = explain_jobs(linked(text, build=BUILD), "push", {"github": {}, "vars": {}, "inputs": {}})
    assert [call.name for call in job.calls] == ["on a", "on b"]
    assert [[str(inner.outlook) for inner in call.jobs] for call in job.calls] == [
        ["runs", "skipped"],
        ["runs", "runs"],
    ]
    skipped = job.calls[0].jobs[1]
    assert (skipped.key, skipped.needs) == ("build/0/test", ("build/0/compile",))
    assert skipped.reason == "its 'if' is false when all jobs before it succeed: ${{ !inputs.fast }}"
    assert job.to_json()["calls"][0]["jobs"][1]["condition"]["truth"] is False
