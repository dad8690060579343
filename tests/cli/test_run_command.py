"""``run`` as its user meets it."""

import json
import shlex
import signal
import subprocess
from pathlib import Path


def _into_head(checkout, *arguments):
    return subprocess.run(
        ["bash", "-c", f"{shlex.join(checkout.command(*arguments))} | head -n 1; exit ${{PIPESTATUS[0]}}"],
        cwd=checkout.path,
        env=checkout.environment,
        capture_output=True,
        timeout=60,
        encoding="utf-8",
        check=False,
    )


def test_run_into_a_closed_pipe_ends_quietly(checkout):
    checkout.job("      - run: seq 2000\n")
    ran = _into_head(checkout, "run", "--vm", "process")
    assert (ran.returncode, ran.stderr) == (1, "")
    assert "started" in ran.stdout


def test_eval_batch_into_a_closed_pipe_ends_quietly(checkout):
    (checkout.path / "batch.jsonl").write_text('{"expr": "1"}\n' * 20_000)
    ran = _into_head(checkout, "eval", "--batch", "batch.jsonl")
    assert (ran.returncode, ran.stderr) == (1, "")
    assert json.loads(ran.stdout) == {"result": 1, "kind": "number"}


def test_run_on_a_terminal_without_unicode_prints_what_it_can(checkout):
    checkout.job("      - run: echo größe\n")
    plain = checkout.run_here(PYTHONIOENCODING="ascii")
    assert plain.returncode == 0, plain.stderr
    assert "gr??e" in plain.stdout
    machine_readable = checkout.run_here("--json", PYTHONIOENCODING="ascii")
    texts = [json.loads(line).get("text") for line in machine_readable.stdout.splitlines()]
    assert "größe" in texts


def test_run_as_json_tells_the_whole_place_of_an_annotation(checkout):
    checkout.job('      - run: echo "::warning file=a.py,line=1,endLine=1,col=3,endColumn=4,title=T::text"\n')
    ran = checkout.run_here("--json")
    events = [json.loads(line) for line in ran.stdout.splitlines()]
    [annotation] = [event for event in events if event["type"] == "annotation"]
    place = {key: annotation[key] for key in ("file", "line", "end_line", "column", "end_column", "title")}
    assert place == {"file": "a.py", "line": 1, "end_line": 1, "column": 3, "end_column": 4, "title": "T"}


def test_run_shows_no_heading_for_a_step_that_is_skipped(checkout):
    checkout.job("      - run: exit 1\n      - run: echo never\n")
    ran = checkout.run_here()
    assert ran.returncode == 1
    assert "● Run echo never" not in ran.stdout
    assert "- Run echo never: skipped" in ran.stdout


def test_run_without_workflows_or_with_an_unknown_event_is_bad_input(checkout):
    nothing = checkout.run_here()
    assert (nothing.returncode, nothing.stdout) == (2, "")
    assert "found no workflow" in nothing.stderr
    checkout.job("      - run: echo ok\n")
    unknown = checkout.run_here("pusch")
    assert unknown.returncode == 2
    assert "did you mean 'push'?" in unknown.stderr


def _say_until(process, text):
    for line in process.stdout:
        if text in line:
            return
    raise AssertionError(f"the command ended before it said {text!r}")


def test_run_interrupted_twice_stops_at_once_and_leaves_no_process(checkout, tmp_path):
    checkout.job(f"""\
      - run: trap '' INT TERM; echo $$ > {tmp_path}/pid; echo ready; while true; do sleep 0.2; done
        shell: bash {{0}}
      - if: always()
        run: sleep 60
""")
    with checkout.start("run", "--vm", "process") as process:
        _say_until(process, "│   ready")
        process.send_signal(signal.SIGINT)
        _say_until(process, "cancelling")
        process.send_signal(signal.SIGINT)
        _say_until(process, "stopping")
        process.communicate(timeout=20)
        assert process.returncode == 1
    assert not Path(f"/proc/{(tmp_path / 'pid').read_text().strip()}").exists()
    assert list((tmp_path / "data/sessions").iterdir()) == []


def test_run_interrupted_once_lets_always_steps_and_jobs_run(checkout):
    checkout.workflow(
        "ci.yml",
        """
on: push
jobs:
  job:
    runs-on: ubuntu-latest
    steps:
      - run: echo ready; sleep 60
      - if: cancelled()
        run: echo "then ${{ job.status }}"
      - run: echo never
  after:
    needs: job
    if: always()
    runs-on: ubuntu-latest
    steps: [{run: "echo after ${{ needs.job.result }}"}]
""",
    )
    with checkout.start("run", "--vm", "process") as process:
        _say_until(process, "│   ready")
        process.send_signal(signal.SIGINT)
        said, _ = process.communicate(timeout=20)
        assert process.returncode == 1
    assert "│   then cancelled" in said
    assert "│   after cancelled" in said
    assert "│   never" not in said


def test_run_tells_an_empty_matrix_from_one_without_wanted_legs(checkout):
    checkout.job(
        "      - run: echo never\n",
        "excluded.yml",
        more="    strategy: {matrix: {a: [1], exclude: [{a: 1}]}}\n",
    )
    assert "its matrix excludes everything" in checkout.run_here("--workflow", "excluded.yml").stdout
    checkout.job("      - run: echo never\n", "unwanted.yml", more="    strategy: {matrix: {a: [1]}}\n")
    ran = checkout.run_here("--workflow", "unwanted.yml", "--matrix", "a:2")
    assert "its matrix has no leg that is wanted" in ran.stdout


def test_run_after_a_killed_one_clears_what_that_left_behind(checkout, tmp_path):
    checkout.job("      - run: echo ready; sleep 60\n", "long.yml")
    checkout.job("      - run: echo short\n", "short.yml")
    sessions = tmp_path / "data/sessions"
    with checkout.start("run", "--vm", "process", "--workflow", "long.yml") as process:
        _say_until(process, "│   ready")
        assert checkout.run_here("--workflow", "short.yml").returncode == 0
        assert len([item for item in sessions.iterdir() if item.is_dir()]) == 1, "a live run's session was swept"
        process.kill()
        process.communicate(timeout=20)
    assert checkout.run_here("--workflow", "short.yml").returncode == 0
    assert list(sessions.iterdir()) == []


_UNSUPPORTED = "on: push\njobs: {old: {runs-on: linux, container: debian, steps: [{run: echo old}]}}\n"


def test_run_is_not_kept_from_what_works_by_a_workflow_of_another_event(checkout):
    checkout.workflow("other.yml", _UNSUPPORTED)
    checkout.workflow("mine.yml", "on: release\njobs: {new: {runs-on: linux, steps: [{run: echo new}]}}\n")
    ran = checkout.run_here("release")
    assert (ran.returncode, "│   new" in ran.stdout) == (0, True), ran.stderr
    refused = checkout.run_here("push")
    assert (refused.returncode, "other.yml:2:30: 'container' is not supported yet" in refused.stderr) == (2, True)


def test_run_of_one_job_looks_in_every_workflow_for_it(checkout):
    checkout.workflow("a.yml", _UNSUPPORTED)
    checkout.job("      - run: echo found\n", "b.yml")
    ran = checkout.run_here("--job", "JOB")
    assert (ran.returncode, "│   found" in ran.stdout) == (0, True), ran.stderr
    missed = checkout.run_here("--job", "none")
    assert missed.returncode == 2
    assert "found no job 'none'; .github/workflows/a.yml has old; .github/workflows/b.yml has job" in missed.stderr


def test_run_with_wrong_inputs_runs_nothing(checkout):
    checkout.workflow("a.yml", "on: workflow_dispatch\njobs: {a: {runs-on: linux, steps: [{run: echo ran}]}}\n")
    checkout.workflow(
        "b.yml",
        "on: {workflow_dispatch: {inputs: {who: {required: true}}}}\n"
        "jobs: {b: {runs-on: linux, steps: [{run: echo ran}]}}\n",
    )
    refused = checkout.run_here("workflow_dispatch")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "input 'who' is required" in refused.stderr


def test_run_tells_its_name_and_what_an_annotation_says(checkout):
    checkout.workflow(
        "ci.yml",
        """
name: CI
run-name: by ${{ github.actor }}
on: push
jobs: {job: {runs-on: linux, steps: [{run: "echo '::error file=a.c,line=3,col=4::bad%0Amore'"}]}}
""",
    )
    said = checkout.run_here().stdout
    assert "CI: started, called 'by local'" in said
    assert "│   failure at a.c:3:4: bad\n" in said


def test_plan_tells_the_group_that_the_whole_run_waits_for(checkout):
    text = (
        "on: push\nconcurrency: {{group: 'x-${{{{ github.actor }}}}', {}}}\n"
        "jobs: {{a: {{runs-on: x, steps: [run: a]}}}}\n"
    )
    checkout.workflow("ci.yml", text.format("cancel-in-progress: true"))
    planned = checkout.run("plan", "push", "--workflow", "ci.yml").stdout
    assert "it waits for its turn in 'x-local', and cancels what is in progress there\n" in planned
    checkout.workflow("ci.yml", text.format("queue: max"))
    planned = json.loads(checkout.run("plan", "push", "--workflow", "ci.yml", "--format", "json").stdout)
    assert planned["concurrency"] == {"name": "x-local", "cancel_in_progress": False, "queue": "max"}
    checkout.workflow("ci.yml", text.format("cancel-in-progress: '${{ fromJSON(github.actor) }}'"))
    refused = checkout.run("plan", "push", "--workflow", "ci.yml")
    assert (refused.returncode, "[expression-evaluation]" in refused.stderr) == (2, True)
