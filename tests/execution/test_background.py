"""Steps in the background: started, waited for, cancelled, in parallel."""

import anyio
import pytest

from terraphim_runner.execution import Cancellation, JobLimits
from terraphim_runner.execution.turns import turns
from terraphim_runner.model.job import LogKind
from terraphim_runner.model.states import Conclusion
from terraphim_runner.workflow import parse

pytestmark = pytest.mark.anyio

SUCCESS, FAILURE = Conclusion.SUCCESS, Conclusion.FAILURE
CANCELLED, SKIPPED = Conclusion.CANCELLED, Conclusion.SKIPPED

UNTIL = 'until_there() { for i in $(seq 1000); do [ -e "$1" ] && return; sleep 0.01; done; exit 9; }'
"""A shell function that waits for a file, and fails the step when it does not come."""

UNTIL_GONE = 'for i in $(seq 1000); do kill -0 "$(cat pid)" 2>/dev/null || break; sleep 0.01; done'
"""Shell that waits for the end of the process whose number is in the file ``pid``."""


def say(name, value):
    return f'echo "{name}={value}" >> "$GITHUB_OUTPUT"'


async def test_background_step_runs_beside_the_next_one(run):
    ran = await run(f"""
- id: back
  background: true
  run: |
    {UNTIL}
    touch back
    until_there front
    {say("text", "done")}
- id: front
  run: |
    {UNTIL}
    until_there back
    touch front
- wait: back
- run: echo "${{{{ steps.back.outputs.text }}}}"
""")
    assert ran.result.conclusion is SUCCESS
    assert ran.text == "done"
    assert [step.number for step in ran.result.steps] == [1, 2, 3, 4]
    assert [number for number, _ in ran.recorder.started] == [1, 2, 3, 4]


async def test_what_a_background_step_sets_is_seen_only_after_the_wait(run):
    ran = await run(f"""
- id: back
  background: true
  run: |
    echo $$ > pid
    {say("text", "output")}
    echo "ADDED=env" >> "$GITHUB_ENV"
    echo "/added/path" >> "$GITHUB_PATH"
- id: watch
  run: |
    {UNTIL}
    until_there pid
    {UNTIL_GONE}
- run: echo "[${{{{ steps.back.outcome }}}}][${{{{ steps.back.outputs.text }}}}][$ADDED][${{PATH%%:*}}]"
- wait: [back]
- run: echo "[${{{{ steps.back.outcome }}}}][${{{{ steps.back.outputs.text }}}}][$ADDED][${{PATH%%:*}}]"
""")
    before, after = ran.text.splitlines()
    assert before.startswith("[][][][/")
    assert "/added/path" not in before
    assert after == "[success][output][env][/added/path]"


async def test_background_step_sees_the_job_as_it_was_when_its_turn_came(run):
    ran = await run(f"""
- id: back
  background: true
  env: {{ OWN: "own ${{{{ env.LATER }}}}" }}
  run: |
    {UNTIL}
    until_there go
    echo "[$OWN][$LATER][${{{{ env.LATER }}}}]"
- run: |
    echo "LATER=set" >> "$GITHUB_ENV"
    touch go
- wait: back
""")
    assert ran.result.conclusion is SUCCESS
    assert ran.text == "[own ][][]"


async def test_wait_fails_with_the_step_that_it_waited_for(run):
    ran = await run("""
- id: good
  background: true
  run: echo good
- id: bad
  background: true
  run: exit 3
- id: wait
  wait: [good, bad]
- id: after
  run: echo never
- id: tidy
  if: failure() && steps.bad.outcome == 'failure' && steps.wait.conclusion == 'failure'
  run: echo tidy
""")
    assert ran.result.conclusion is FAILURE
    assert (ran.step("bad").exit_code, ran.step("wait").outcome) == (3, FAILURE)
    assert ran.step("after").outcome is SKIPPED
    assert ran.step("tidy").outcome is SUCCESS


async def test_background_failure_is_unseen_until_somebody_waits(run):
    ran = await run(f"""
- id: bad
  background: true
  run: echo $$ > pid; exit 1
- id: on
  run: |
    {UNTIL}
    until_there pid
    {UNTIL_GONE}
- id: still
  run: echo "${{{{ job.status }}}}"
- id: wait
  continue-on-error: true
  wait-all:
- id: further
  run: echo "${{{{ steps.wait.outcome }}}} ${{{{ steps.wait.conclusion }}}}"
""")
    assert ran.text.splitlines() == ["success", "failure success"]
    assert ran.step("further").outcome is SUCCESS
    # The step itself has failed, and at the job's end that counts.
    assert ran.result.conclusion is FAILURE


async def test_continue_on_error_of_a_background_step_keeps_the_wait_green(run):
    ran = await run("""
- id: bad
  background: true
  continue-on-error: true
  run: exit 1
- id: wait
  wait: bad
- run: echo "${{ steps.bad.outcome }} ${{ steps.bad.conclusion }}"
""")
    assert ran.result.conclusion is SUCCESS
    assert ran.step("wait").outcome is SUCCESS
    assert ran.text == "failure success"


async def test_background_step_that_nobody_waits_for_is_waited_for_at_the_end(run):
    ran = await run(
        f"""
- id: back
  background: true
  run: |
    {UNTIL}
    until_there last
    {say("text", "late")}
    echo "LATE=env" >> "$GITHUB_ENV"
    exit 1
- id: last
  run: touch last
""",
        job="outputs: {text: '${{ steps.back.outputs.text }}'}",
    )
    assert ran.result.conclusion is FAILURE
    assert ran.step("back").outcome is FAILURE
    assert ran.result.outputs == {"text": "late"}
    assert [step.id for step in ran.result.steps] == ["back", "last"]


async def test_cancel_ends_a_step_gracefully_and_does_not_fail_the_job(run):
    ran = await run(f"""
- id: server
  background: true
  run: |
    trap 'echo "stopping"; {say("state", "stopped")}; exit 0' INT TERM
    touch up
    while true; do sleep 0.01; done
- run: |
    {UNTIL}
    until_there up
- id: stop
  name: Stop the server
  cancel: server
- run: echo "${{{{ steps.server.outcome }}}} ${{{{ steps.server.outputs.state }}}} ${{{{ job.status }}}}"
- id: again
  wait: server
""")
    assert ran.result.conclusion is SUCCESS
    assert ran.text.splitlines() == ["stopping", "cancelled stopped success"]
    assert (ran.step("server").outcome, ran.step("stop").outcome) == (CANCELLED, SUCCESS)
    assert ran.step("again").outcome is SUCCESS


async def test_cancel_of_a_step_that_does_not_listen_counts_it_as_cancelled_after_the_grace(run):
    limits = JobLimits(interrupt_grace_s=0.1, terminate_grace_s=30, cancel_deadline_s=60)
    with anyio.fail_after(20):
        ran = await run(
            f"""
- id: deaf
  background: true
  run: |
    trap '' INT TERM
    touch up
    while true; do sleep 0.01; done
- run: |
    {UNTIL}
    until_there up
- cancel: deaf
- run: echo "${{{{ steps.deaf.outcome }}}}"
""",
            limits=limits,
        )
    assert ran.result.conclusion is SUCCESS
    assert ran.text == "cancelled"
    assert [item.number for item in ran.recorder.completed].count(1) == 1
    assert "did not end in time" in ran.step("deaf").error


async def test_cancel_of_a_step_that_had_failed_before_fails_the_job_at_its_end(run):
    ran = await run(f"""
- id: bad
  background: true
  run: exit 1
- id: other
  background: true
  run: |
    {UNTIL}
    until_there go
- wait: bad
  continue-on-error: true
- run: touch go
- cancel: bad
- run: echo "${{{{ steps.bad.outcome }}}} ${{{{ job.status }}}}"
""")
    assert ran.text == "failure success"
    assert ran.result.conclusion is FAILURE


async def test_wait_and_cancel_run_after_a_failure(run):
    ran = await run("""
- id: server
  background: true
  run: while true; do sleep 0.01; done
- id: quick
  background: true
  run: echo quick
- run: exit 1
- id: wait
  wait: quick
- id: stop
  cancel: server
- id: never
  background: true
  run: echo never
- id: all
  wait-all:
""")
    assert ran.result.conclusion is FAILURE
    assert [ran.step(name).outcome for name in ("wait", "stop", "never", "all")] == [SUCCESS, SUCCESS, SKIPPED, SUCCESS]


async def test_parallel_runs_its_steps_at_once_and_waits_for_all(run):
    ran = await run(f"""
- parallel:
    - id: one
      run: |
        {UNTIL}
        touch one; until_there two
        {say("text", "first")}
    - id: two
      run: |
        {UNTIL}
        touch two; until_there one
    - if: failure()
      id: skipped
      run: echo never
    - uses: actions/checkout@v4
      with: {{ path: tree }}
- run: cat tree/README.md; echo "${{{{ steps.one.outputs.text }}}} ${{{{ steps.skipped.outcome }}}}"
""")
    assert ran.result.conclusion is SUCCESS
    assert ran.text.splitlines()[-2:] == ["hello", "first skipped"]
    assert [step.number for step in ran.result.steps] == [1, 2, 3, 4, 5, 6]
    assert ran.result.steps[4].name == "Wait"


async def test_parallel_with_a_failing_step_ends_the_others_and_fails(run):
    ran = await run(f"""
- parallel:
    - id: bad
      run: touch bad; exit 1
    - id: good
      run: |
        {UNTIL}
        until_there bad
        echo good
- id: after
  run: echo never
""")
    assert ran.result.conclusion is FAILURE
    assert (ran.step("good").outcome, ran.step("after").outcome) == (SUCCESS, SKIPPED)
    assert ran.text == "good"


async def test_at_most_ten_background_steps_run_at_once(run):
    steps = [
        f"""
- background: true
  run: |
    {UNTIL}
    echo start; touch running-{number}
    until_there go
    echo end
"""
        for number in range(12)
    ]
    ran = await run(f"""{"".join(steps)}
- run: |
    {UNTIL}
    for n in 0 1 2 3 4 5 6 7 8 9; do until_there running-$n; done
- run: ls running-*
- run: touch go
- wait-all:
""")
    assert ran.result.conclusion is SUCCESS
    assert len([line for line in ran.text.splitlines() if line.startswith("running-")]) == 10
    said = [line for line in ran.text.splitlines() if line in ("start", "end")]
    assert said[:11] == ["start"] * 10 + ["end"]
    assert said.count("start") == said.count("end") == 12


async def test_background_step_over_its_time_fails(run):
    ran = await run("""
- id: slow
  background: true
  timeout-minutes: 0.005
  run: while true; do sleep 0.01; done
- id: wait
  wait: slow
""")
    assert ran.result.conclusion is FAILURE
    assert ran.step("slow").outcome is FAILURE
    assert "timed out" in ran.step("slow").error


async def test_cancelled_step_without_a_slot_never_starts(run):
    busy = "".join(
        f"- background: true\n  run: touch up-{number}; while true; do sleep 0.01; done\n  id: busy{number}\n"
        for number in range(10)
    )
    stop = "".join(f"- cancel: busy{number}\n" for number in range(10))
    ran = await run(f"""
{busy}
- run: |
    {UNTIL}
    for n in 0 1 2 3 4 5 6 7 8 9; do until_there up-$n; done
- id: queued
  background: true
  run: echo never
- cancel: queued
{stop}
""")
    assert ran.result.conclusion is SUCCESS
    assert ran.step("queued").outcome is CANCELLED
    assert ran.text == ""


async def test_cancelled_job_ends_its_background_steps(run, recorder):
    cancellation = Cancellation()

    async def cancel():
        await recorder.wait_for("up")
        cancellation.request("somebody asked for it")

    async with anyio.create_task_group() as group:
        group.start_soon(cancel)
        with anyio.fail_after(20):
            ran = await run(
                """
- id: back
  background: true
  run: echo up; while true; do sleep 0.01; done
- id: wait
  wait-all:
- id: tidy
  if: always()
  run: echo "tidy ${{ steps.back.outcome }} ${{ job.status }}"
""",
                cancellation=cancellation,
                recorder=recorder,
            )
    assert ran.result.conclusion is CANCELLED
    assert ran.step("back").outcome is CANCELLED
    assert ran.text.splitlines()[-1] == "tidy cancelled cancelled"


async def test_job_without_time_left_cuts_its_background_steps_off(run):
    limits = JobLimits(interrupt_grace_s=30, terminate_grace_s=30, cancel_deadline_s=0.3)
    with anyio.fail_after(20):
        ran = await run(
            """
- id: deaf
  background: true
  run: trap '' INT TERM; while true; do sleep 0.01; done
- id: done
  background: true
  run: exit 1
- run: sleep 60
""",
            limits=limits,
            timeout_minutes=0.02,
        )
    assert ran.result.conclusion is CANCELLED
    assert ran.step("done").outcome is FAILURE


async def test_broken_expression_of_a_background_step_fails_it_when_waited_for(run):
    ran = await run("""
- id: bad
  background: true
  env: { A: "${{ fromJSON('{') }}" }
  run: echo never
- id: on
  run: echo on
- wait: bad
""")
    assert ran.text == "on"
    assert "cannot be evaluated" in ran.step("bad").error
    assert ran.result.conclusion is FAILURE


async def test_lines_of_overlapping_steps_carry_their_numbers_and_control_steps_tell_what_they_wait_for(run):
    ran = await run(f"""
- id: one
  name: First
  background: true
  run: |
    {UNTIL}
    touch one; until_there two; echo one
- run: |
    {UNTIL}
    until_there one; touch two; echo two
- wait: one
""")
    said = {(line.step, line.text) for line in ran.recorder.lines if line.kind is LogKind.OUTPUT}
    assert {(1, "one"), (2, "two")} <= said
    told = [line.text for line in ran.recorder.lines if line.step == 3 and line.kind is LogKind.COMMAND]
    assert told == ["waiting for First", "First: success"]


async def test_secret_of_a_background_step_is_masked(run):
    ran = await run(
        """
- background: true
  id: back
  run: echo "$TOKEN"; echo "::add-mask::other"; echo other; echo "text=$TOKEN" >> "$GITHUB_OUTPUT"
  env: { TOKEN: "${{ secrets.TOKEN }}" }
- wait: back
- run: echo "${{ steps.back.outputs.text }} other"
""",
        secrets={"TOKEN": "hidden-value"},
    )
    assert "hidden-value" not in ran.recorder.everything
    assert ran.text.splitlines() == ["***", "***", "*** ***"]


def test_turns_of_parallel_are_its_steps_and_a_wait_for_them():
    text = """
on: push
jobs:
  a:
    runs-on: x
    steps:
      - run: first
      - parallel: [{ run: a }, { id: b, run: b }]
      - parallel: []
      - wait: b
"""
    workflow = parse("w.yml", text).workflow
    assert workflow is not None
    ordered = turns(next(iter(workflow.jobs.values())).steps)
    assert [turn.number for turn in ordered] == [1, 2, 3, 4, 5, 6]
    assert [turn.targets for turn in ordered] == [(), (), (), (2, 3), (), (3,)]
