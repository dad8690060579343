"""Steps as GitHub runs them, from the workflow's text."""

import anyio
import pytest

from terraphim_runner.execution import Cancellation, JobLimits
from terraphim_runner.guest.hash_files import hash_files
from terraphim_runner.model.job import AnnotationLevel, LogKind
from terraphim_runner.model.states import Conclusion

pytestmark = pytest.mark.anyio

SUCCESS, FAILURE = Conclusion.SUCCESS, Conclusion.FAILURE
CANCELLED, SKIPPED = Conclusion.CANCELLED, Conclusion.SKIPPED


async def test_job_with_a_failing_step_skips_what_follows_and_fails(run):
    ran = await run("""
- run: echo one
- id: bad
  run: exit 3
- id: after
  run: echo never
- id: tidy
  if: failure()
  run: echo "tidy after ${{ steps.bad.outcome }}"
- id: always
  if: always()
  run: echo "status ${{ job.status }}"
""")
    assert ran.result.conclusion is FAILURE
    assert ran.step("bad").exit_code == 3
    assert ran.step("after").outcome is SKIPPED
    assert ran.step("tidy").outcome is SUCCESS
    assert ran.text.splitlines() == ["one", "tidy after failure", "status failure"]


async def test_default_shell_stops_at_errors_but_not_in_pipes_and_bash_in_both(run):
    ran = await run("""
- id: plain
  run: |
    false | true
    echo survived
- id: strict
  continue-on-error: true
  shell: bash
  run: |
    false | true
    echo not reached
- id: stop
  continue-on-error: true
  run: |
    false
    echo not reached
""")
    assert ran.result.conclusion is SUCCESS
    assert ran.text == "survived"
    assert (ran.step("strict").outcome, ran.step("strict").conclusion) == (FAILURE, SUCCESS)
    assert ran.step("stop").exit_code == 1


async def test_env_is_merged_from_workflow_to_step_and_later_github_env_wins_over_job(run):
    ran = await run(
        """
- run: |
    echo "$A $B $C"
    echo "B=file" >> "$GITHUB_ENV"
  env: {C: "step ${{ env.B }}"}
- run: echo "$A $B [$C] ${{ env.B }}"
- env: {B: own}
  if: env.B == 'own'
  run: echo "$B"
""",
        job="env: {B: 'job ${{ github.repository }}', A: job}",
        top="env: {A: workflow, B: workflow}",
    )
    assert ran.text.splitlines() == ["job job octo/hello step job octo/hello", "job file [] file", "own"]


async def test_outputs_paths_and_summary_of_a_step_reach_the_next_and_the_job(run):
    ran = await run(
        """
- id: one
  run: |
    echo "plain=1" >> "$GITHUB_OUTPUT"
    { echo "block<<END"; echo; echo "a=b"; echo END; } >> "$GITHUB_OUTPUT"
    mkdir -p "$RUNNER_TEMP/bin"
    printf '#!/bin/sh\\necho tool' > "$RUNNER_TEMP/bin/my-tool"
    chmod +x "$RUNNER_TEMP/bin/my-tool"
    echo "$RUNNER_TEMP/bin" >> "$GITHUB_PATH"
    echo "### Done" >> "$GITHUB_STEP_SUMMARY"
- run: |
    my-tool
    echo '${{ toJSON(steps.one.outputs.block) }}'
""",
        job="outputs: {plain: '${{ steps.one.outputs.plain }}', none: '${{ steps.one.outputs.missing }}'}",
    )
    assert ran.result.conclusion is SUCCESS
    assert ran.text.splitlines() == ["tool", '"\\na=b"']
    assert ran.step("one").summary == "### Done\n"
    assert ran.result.outputs == {"plain": "1"}


async def test_matrix_of_a_job_without_one_is_null(run):
    ran = await run("- run: echo '${{ toJSON(matrix) }} ${{ matrix.os }} ${{ matrix == null }}'")
    assert ran.text == "null  true"


@pytest.mark.parametrize(
    ("write", "said"),
    [
        ('echo "no equals sign" >> "$GITHUB_ENV"', "NAME=value"),
        ('echo "NODE_OPTIONS=--x" >> "$GITHUB_ENV"', "NODE_OPTIONS"),
        ('printf "A<<EOF\\nnever ended\\n" >> "$GITHUB_OUTPUT"', "'EOF'"),
        ('printf "\\377" >> "$GITHUB_PATH"', "UTF-8"),
    ],
)
async def test_a_wrong_environment_file_fails_the_step_and_says_why(run, write, said):
    ran = await run(f"- id: x\n  run: |\n    {write}\n")
    assert ran.step("x").outcome is FAILURE
    assert said in ran.step("x").error
    assert said in ran.recorder.everything


async def test_github_env_cannot_replace_the_runners_own_variables(run):
    ran = await run("""
- run: echo "GITHUB_SHA=evil" >> "$GITHUB_ENV"
- env: {GITHUB_REPOSITORY: evil}
  run: echo "$GITHUB_SHA $GITHUB_REPOSITORY"
""")
    assert ran.text == "1" * 40 + " octo/hello"


async def test_documented_variables_are_set(run):
    ran = await run("""
- run: |
    for name in CI GITHUB_ACTIONS GITHUB_ACTION GITHUB_ACTOR GITHUB_EVENT_NAME GITHUB_JOB GITHUB_REF \\
      RUNNER_OS RUNNER_ARCH; do
      echo "$name=$(printenv $name)"
    done
    test "$PWD" = "$GITHUB_WORKSPACE"
    test -d "$RUNNER_TEMP" && test -d "$RUNNER_TOOL_CACHE"
    grep -q änderung "$GITHUB_EVENT_PATH"
- id: named
  run: echo "$GITHUB_ACTION"
- run: echo "$GITHUB_ACTION"
""")
    assert ran.result.conclusion is SUCCESS
    assert ran.text.splitlines() == [
        "CI=true",
        "GITHUB_ACTIONS=true",
        "GITHUB_ACTION=__run",
        "GITHUB_ACTOR=octocat",
        "GITHUB_EVENT_NAME=push",
        "GITHUB_JOB=job",
        "GITHUB_REF=refs/heads/main",
        "RUNNER_OS=Linux",
        "RUNNER_ARCH=X64",
        "named",
        "__run_2",
    ]


async def test_secrets_never_leave_the_job_in_any_form(run):
    secret = "very/secret+value & more"
    ran = await run(
        """
- name: uses ${{ secrets.TOKEN }}
  id: leak
  env: {TOKEN: "${{ secrets.TOKEN }}"}
  run: |
    echo "plain $TOKEN"
    echo "::warning title=$TOKEN::$TOKEN"
    printf '%s' "$TOKEN" | base64 -w0; echo
    echo "$TOKEN" >> "$GITHUB_STEP_SUMMARY"
    echo "value=$TOKEN" >> "$GITHUB_OUTPUT"
    echo "::add-mask::derived-value"
    echo "then derived-value"
- run: test "${{ steps.leak.outputs.value }}" = "${{ secrets.TOKEN }}"
""",
        job="outputs: {leaked: 'x${{ steps.leak.outputs.value }}', fine: ok}",
        secrets={"TOKEN": secret},
    )
    assert ran.result.conclusion is SUCCESS, ran.recorder.everything
    shown = ran.recorder.everything + repr(ran.result)
    assert secret not in shown
    assert "dmVyeS9zZWNyZXQ" not in shown
    assert "derived-value" not in ran.text
    assert ran.result.outputs == {"fine": "ok"}


async def test_workflow_commands_make_annotations_groups_and_debug(run):
    ran = await run("""
- run: |
    echo "::group::Build"
    echo "::warning file=a.py,line=3,col=2,endColumn=5,title=T::careful%0Asecond"
    echo "::endgroup::"
    echo "::debug::hidden"
    echo "::stop-commands::token-1"
    echo "::error::not a command"
    echo "::token-1::"
    echo "::notice::seen"
""")
    levels = [(item.level, item.message, item.file, item.line, item.end_column) for item in ran.recorder.annotations]
    assert levels == [
        (AnnotationLevel.WARNING, "careful\nsecond", "a.py", 3, 5),
        (AnnotationLevel.NOTICE, "seen", None, None, None),
    ]
    assert ran.text.splitlines() == ["::stop-commands::token-1", "::error::not a command", "::token-1::"]
    assert [line.text for line in ran.recorder.lines if line.kind is LogKind.WARNING] == ["careful", "second"]
    assert "hidden" not in ran.recorder.everything.replace('echo "::debug::hidden"', "")


async def test_disabled_commands_fail_the_step(run):
    ran = await run("- id: x\n  run: echo '::set-env name=A::b'\n")
    assert ran.step("x").outcome is FAILURE
    assert "disabled" in ran.step("x").error


async def test_step_over_its_timeout_fails_and_its_children_end(run):
    ran = await run("""
- id: slow
  timeout-minutes: 0.005
  continue-on-error: true
  run: |
    trap 'echo interrupted' INT
    sleep 100 & wait
    sleep 100
- run: echo "${{ steps.slow.outcome }} ${{ steps.slow.conclusion }}"
""")
    assert ran.step("slow").error == "the step has timed out after 0.005 minutes"
    assert ran.text.splitlines()[-1] == "failure success"


async def test_job_over_its_timeout_is_cancelled_and_always_steps_run(run):
    ran = await run(
        """
- run: sleep 100
- id: next
  run: echo never
- id: tidy
  if: cancelled()
  run: echo tidy
""",
        timeout_minutes=0.005,
    )
    assert ran.result.conclusion is CANCELLED
    assert ran.step("next").outcome is SKIPPED
    assert ran.text == "tidy"
    assert "maximum execution time" in ran.result.error


async def test_cancelled_job_interrupts_the_step_but_not_an_always_step(run, recorder):
    cancellation = Cancellation()
    async with anyio.create_task_group() as group:

        async def cancel_when_running():
            with anyio.fail_after(20):
                await recorder.wait_for("started")
            cancellation.request("somebody asked")

        group.start_soon(cancel_when_running)
        ran = await run(
            """
- id: slow
  run: |
    echo started
    sleep 100
- id: keeps
  if: always()
  run: sleep 0.2 && echo finished
""",
            cancellation=cancellation,
            recorder=recorder,
        )
    assert ran.result.conclusion is CANCELLED
    assert ran.step("slow").outcome is CANCELLED
    assert ran.step("keeps").outcome is SUCCESS
    assert ran.result.error == "somebody asked"


async def test_working_directory_and_shell_follow_step_job_and_workflow_defaults(run):
    ran = await run(
        """
- uses: actions/checkout@v4
- shell: bash
  run: pwd | xargs basename
- working-directory: other
  run: pwd | xargs basename
- id: missing
  continue-on-error: true
  working-directory: nowhere
  run: pwd
- id: bad
  continue-on-error: true
  shell: fish
  run: pwd
""",
        job="defaults: {run: {working-directory: sub}}",
        top="defaults: {run: {shell: sh, working-directory: top}}",
        files={"sub/a": b"", "other/b": b""},
    )
    assert ran.text.splitlines()[1:] == ["sub", "other"]
    assert "nowhere" in ran.step("missing").error
    assert "fish" in ran.step("bad").error


async def test_checkout_gives_outputs_and_fails_closed(run):
    ran = await run("""
- id: here
  uses: actions/checkout@v4
- run: cat README.md && echo "${{ steps.here.outputs.commit }}"
- id: gone
  uses: actions/checkout@v4
  with: {ref: missing, path: elsewhere}
""")
    assert ran.text.splitlines()[1:] == ["hello", "1" * 40]
    assert ran.step("gone").outcome is FAILURE
    assert "does not exist" in ran.step("gone").error


async def test_checkout_in_a_path_outside_of_the_workspace_is_refused(run):
    ran = await run("- id: x\n  uses: actions/checkout@v4\n  with: {path: '${{ github.workspace }}/../../x'}\n")
    assert "inside of the workspace" in ran.step("x").error


async def test_hash_files_is_computed_where_the_files_are(run, tmp_path):
    (tmp_path / "same").mkdir()
    (tmp_path / "same" / "a.lock").write_bytes(b"a")
    (tmp_path / "same" / "b.lock").write_bytes(b"b")
    ran = await run(
        """
- uses: actions/checkout@v4
- if: hashFiles('nothing') == ''
  env: {KEY: "${{ hashFiles('**/*.lock') }}"}
  run: echo "$KEY"
""",
        files={"a.lock": b"a", "b.lock": b"b", "c.txt": b"c"},
    )
    assert ran.text.splitlines()[-1] == hash_files(tmp_path / "same", ["*.lock"])


async def test_log_beyond_the_limit_is_cut_with_one_notice(run):
    ran = await run("- run: seq 1 20000\n", limits=JobLimits(log_bytes=20_000))
    notices = [line for line in ran.recorder.lines if "limit" in line.text]
    assert ran.result.conclusion is SUCCESS
    assert len(notices) == 1
    assert len(ran.recorder.lines) < 400


async def test_an_expression_that_cannot_be_evaluated_fails_its_step_only(run):
    ran = await run("""
- id: bad
  continue-on-error: true
  run: echo "${{ fromJSON('{') }}"
- run: echo "${{ steps.bad.outcome }}"
""")
    assert ran.text == "failure"
    assert "expression" in ran.step("bad").error


async def test_a_background_child_does_not_hold_the_step(run):
    ran = await run("""
- run: |
    sleep 300 &
    echo left it
- run: echo next
""")
    assert ran.text.splitlines() == ["left it", "next"]


async def test_step_names_follow_githubs_defaults(run):
    ran = await run("""
- run: |
    echo one
    echo two
- name: Named ${{ github.actor }}
  run: echo
- uses: actions/checkout@v4
""")
    assert [name for _, name in ran.recorder.started] == ["Run echo one", "Named octocat", "Run actions/checkout@v4"]


@pytest.mark.parametrize(("script", "status"), [("kill -9 $$", 137), ("kill -TERM $$", 143), ("exit 300", 44)])
async def test_a_shell_that_a_signal_ends_is_told_as_an_exit_code(run, script, status):
    ran = await run(f"- id: step\n  run: {script}")
    assert ran.step("step").exit_code == status
    errors = [line.text for line in ran.recorder.lines if line.kind is LogKind.ERROR]
    assert errors == [f"Process completed with exit code {status}."]


async def test_each_environment_file_counts_although_another_one_is_wrong(run):
    ran = await run("""
- id: step
  continue-on-error: true
  run: |
    echo NODE_OPTIONS=x >> $GITHUB_ENV
    echo /somewhere >> $GITHUB_PATH
    echo a=1 >> $GITHUB_OUTPUT
- run: echo "$PATH ${{ steps.step.outputs.a }} ${{ steps.step.outcome }}"
""")
    assert ran.text.startswith("/somewhere:")
    assert ran.text.endswith(" 1 failure")


async def test_github_context_names_the_steps_environment_files(run):
    ran = await run("""
- run: echo first
- run: |
    [ "${{ github.env }}" = "$GITHUB_ENV" ] && [ "${{ github.path }}" = "$GITHUB_PATH" ]
    [ "${{ github.output }}" = "$GITHUB_OUTPUT" ] && [ "${{ github.step_summary }}" = "$GITHUB_STEP_SUMMARY" ]
    echo "X=from context" >> ${{ github.env }}
- run: echo "$X"
""")
    assert ran.text.splitlines() == ["first", "from context"]


@pytest.mark.parametrize("minutes", ["0", "-1", "${{ fromJSON('0') }}"])
async def test_a_step_timeout_of_zero_or_less_is_no_limit(run, minutes):
    ran = await run(f"- run: echo ran\n  timeout-minutes: {minutes}")
    assert (ran.text, ran.result.conclusion) == ("ran", SUCCESS)


async def test_default_shell_without_bash_is_sh_that_stops_at_errors(run, tmp_path):
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "sh").symlink_to("/bin/sh")
    ran = await run(
        """
- run: echo "$-"
- id: named
  shell: bash
  continue-on-error: true
  run: echo never
- id: nowhere
  continue-on-error: true
  working-directory: nowhere
  run: echo never
- id: stops
  continue-on-error: true
  run: |
    false
    echo never
""",
        job=f"env: {{PATH: {programs}}}",
    )
    assert "never" not in ran.text
    assert "e" in ran.text
    assert ran.step("stops").exit_code == 1
    assert "bash" in next(line.text for line in ran.recorder.lines if line.kind is LogKind.ERROR)
    assert "nowhere" in [line.text for line in ran.recorder.lines if line.kind is LogKind.ERROR][1]


async def test_heading_of_a_step_shows_the_first_line_that_is_not_blank(run):
    ran = await run("- run: |\n\n    echo second")
    assert "Run echo second" in [line.text for line in ran.recorder.lines if line.kind is LogKind.GROUP]


async def test_environment_of_the_request_is_below_every_env_and_in_the_context(run):
    ran = await run(
        '- run: echo "$A ${{ env.A }} $B ${{ env.B }}"', job="env: {B: job}", environment={"A": "given", "B": "given"}
    )
    assert ran.text == "given given job job"


async def test_step_with_an_empty_name_is_called_by_what_it_runs(run):
    ran = await run("- name: ''\n  run: '   echo one'\n- name: \"  two \\n three\"\n  run: echo two")
    assert [name for _, name in ran.recorder.started] == ["Run echo one", "two "]


async def test_a_command_too_long_to_start_is_told_for_the_shell_that_was_wanted(run):
    ran = await run('- run: printf "BIG=%0200000d" 1 >> "$GITHUB_ENV"\n- id: next\n  run: echo never')
    assert "'bash'" in ran.step("next").error


async def test_github_token_is_the_secret_and_no_variable(run):
    ran = await run(
        '- run: echo "${{ github.token == secrets.GITHUB_TOKEN }} ${{ github.token }} $(env | grep -c TOKEN)"',
        secrets={"GITHUB_TOKEN": "ghs_0123456789"},
    )
    assert ran.text == "true *** 0"


async def test_a_limit_or_leave_that_evaluates_to_nothing_is_told_in_the_languages_words(run):
    ran = await run("""
- id: limit
  timeout-minutes: ${{ github.nothing }}
  run: echo runs without a limit of its own
- id: leave
  if: always()
  continue-on-error: ${{ github.nothing }}
  run: exit 1
""")
    assert ran.step("limit").conclusion is SUCCESS
    assert ran.step("leave").conclusion is FAILURE
    errors = " ".join(line.text for line in ran.recorder.lines if line.kind is LogKind.ERROR)
    assert "timeout-minutes is a value of kind null" in errors
    assert "continue-on-error is a value of kind null" in errors
    assert "None" not in errors


async def test_job_context_tells_its_workflow_file(run):
    ran = await run("""
- run: |
    echo "${{ job.workflow_ref }} ${{ job.workflow_sha }}"
    echo "${{ job.workflow_repository }} ${{ job.workflow_file_path }} ${{ job.status }}"
""")
    assert ran.text.splitlines() == [
        f"octo/hello/ci.yml@refs/heads/main {'1' * 40}",
        "octo/hello ci.yml success",
    ]


async def test_action_of_another_repository_is_named_in_its_own_step_only(run):
    ran = await run("""
- name: At ${{ github.action_repository }} ${{ github.action_ref }}
  uses: actions/checkout@v4
- name: At ${{ github.action_repository }} ${{ github.action_ref }}
  run: echo "[${{ github.action_repository }}${{ github.action_ref }}]"
""")
    assert [name.strip() for _, name in ran.recorder.started] == ["At actions/checkout v4", "At"]
    assert ran.text.splitlines()[-1] == "[]"


async def test_defaults_that_are_one_expression_set_the_shell_and_the_directory(run):
    ran = await run(
        """
- run: pwd; false | true
- run: echo "$0"
  shell: sh -e {0}
""",
        job="defaults:\n  run: ${{ fromJSON(vars.D) }}",
        variables={"D": '{"shell": "bash", "working-directory": "/usr"}'},
    )
    assert ran.result.conclusion is FAILURE
    assert ran.text == "/usr"


async def test_defaults_that_are_no_object_fail_the_step(run):
    ran = await run("- run: pwd\n", job="defaults:\n  run: ${{ fromJSON(vars.D) }}", variables={"D": '["bash"]'})
    assert ran.result.conclusion is FAILURE
    assert "found a value of kind array as 'defaults.run', expected an object" in ran.recorder.everything
