"""``run`` with called workflows and concurrency groups, as its user meets it; real processes, real git."""

import json
import os
import signal
import subprocess

import pytest

JOB = "    runs-on: ubuntu-latest\n"


class Ran:
    """A finished run: its exit code and the events that it printed."""

    def __init__(self, finished):
        self.code = finished.returncode
        self.stderr = finished.stderr
        self.events = [json.loads(line) for line in finished.stdout.splitlines()]

    def of(self, kind):
        return [event for event in self.events if event["type"] == kind]

    @property
    def said(self):
        """What the steps printed, by the leg's key; their scripts are shown in groups and left out."""
        told = {}
        for event in self.of("log"):
            if event["kind"] == "output" and event["text"].startswith("> "):
                told.setdefault(event["job"], []).append(event["text"][2:])
        return told

    @property
    def conclusions(self):
        return {event["name"]: event["conclusion"] for event in self.of("job_completed") + self.of("call_completed")}

    @property
    def started(self):
        return [event["job"] for event in self.of("job_started")]


@pytest.fixture
def run(checkout):
    def ran(*arguments, workflow="ci.yml", **environment):
        return Ran(checkout.run_here("--json", "--workflow", workflow, *arguments, **environment))

    return ran


def test_run_hands_inputs_and_secrets_down_and_outputs_up_through_nested_calls(checkout, run):
    checkout.workflow(
        "ci.yml",
        """
on: push
jobs:
  deploy:
    uses: ./.github/workflows/outer.yml
    with: { target: prod }
    secrets: { token: "${{ secrets.DEPLOY }}" }
  after:
    needs: deploy
    runs-on: ubuntu-latest
    steps:
      - run: echo "> ${{ needs.deploy.result }} ${{ needs.deploy.outputs.url }} ${{ secrets.OTHER }}"
""",
    )
    checkout.workflow(
        "outer.yml",
        """
on:
  workflow_call:
    inputs:
      target: { type: string, required: true }
      times: { type: number, default: "${{ fromJSON(github.run_attempt) }}" }
      dry: { type: boolean }
    secrets: { token: { required: true } }
    outputs:
      url: { value: "https://${{ jobs.inner.outputs.host }}" }
env: { WHERE: outer }
jobs:
  plain:
    runs-on: ubuntu-latest
    steps:
      - run: echo "> ${{ toJSON(inputs.dry) }} $WHERE [${{ secrets.OTHER }}] [${{ secrets.TOKEN == 'hunter2' }}]"
  inner:
    needs: plain
    uses: ./.github/workflows/inner.yml
    with: { host: "${{ inputs.target }}.example", half: 0.5 }
    secrets: inherit
""",
    )
    checkout.workflow(
        "inner.yml",
        """
on:
  workflow_call:
    inputs:
      host: { type: string }
      half: { type: number }
    outputs:
      host: { value: "${{ jobs.last.outputs.host }}" }
jobs:
  last:
    runs-on: ubuntu-latest
    outputs: { host: "${{ steps.it.outputs.host }}" }
    steps:
      - id: it
        run: |
          echo "host=${{ inputs.host }}" >> "$GITHUB_OUTPUT"
          echo "> [${{ inputs.target }}] ${{ inputs.half }} [$WHERE] ${{ secrets.token == 'hunter2' }} $GITHUB_JOB"
""",
    )
    ran = run("--secret", "DEPLOY=hunter2", "--secret", "OTHER=swordfish")
    assert ran.code == 0, ran.stderr
    assert ran.said == {
        "deploy/plain": ["false outer [] [true]"],
        "deploy/inner/last": ["[] 0.5 [] true last"],
        "after": ["success https://prod.example ***"],
    }
    assert ran.conclusions == {
        "deploy / plain": "success",
        "deploy / inner / last": "success",
        "deploy / inner": "success",
        "deploy": "success",
        "after": "success",
    }
    assert "hunter2" not in json.dumps(ran.events)


def test_run_of_a_failing_called_job_fails_the_call_and_skips_what_needs_it(checkout, run):
    checkout.workflow(
        "ci.yml",
        f"""
on: push
jobs:
  call:
    uses: ./.github/workflows/called.yml
  skipped:
    needs: call
{JOB}    steps: [{{ run: "echo '> never'" }}]
  anyway:
    needs: call
    if: failure()
{JOB}    steps: [{{ run: "echo '> ${{{{ needs.call.result }}}}'" }}]
""",
    )
    checkout.workflow(
        "called.yml",
        f"on: workflow_call\njobs:\n  bad:\n{JOB}    steps: [{{run: exit 3}}]\n"
        f"  next:\n    needs: bad\n    name: the next\n{JOB}    steps: [{{run: echo}}]\n",
    )
    ran = run()
    assert ran.code == 1
    assert ran.conclusions == {"call / bad": "failure", "call": "failure", "anyway": "success"}
    assert {event["name"]: event["job"] for event in ran.of("job_skipped")} == {
        "call / the next": "call/next",
        "skipped": "skipped",
    }
    assert ran.said == {"anyway": ["failure"]}


def test_run_of_a_matrix_of_calls_names_and_keys_each_leg(checkout, run):
    checkout.workflow(
        "ci.yml",
        """
on: push
jobs:
  deploy:
    strategy: { matrix: { to: [dev, prod] } }
    uses: ./.github/workflows/called.yml
    with: { to: "${{ matrix.to }}" }
""",
    )
    checkout.workflow(
        "called.yml",
        """
on: { workflow_call: { inputs: { to: { type: string } } } }
jobs:
  build:
    strategy: { matrix: { n: [1, 2] } }
    runs-on: ubuntu-latest
    steps: [{ run: "echo '> ${{ inputs.to }} ${{ matrix.n }} ${{ toJSON(matrix.to) }}'" }]
""",
    )
    ran = run()
    assert ran.code == 0
    assert ran.said == {
        f"deploy/{call}/build/{leg}": [f"{to} {leg + 1} null"]
        for call, to in enumerate(("dev", "prod"))
        for leg in (0, 1)
    }
    assert "deploy (prod) / build (2)" in ran.conclusions
    one = run("--matrix", "to:dev", "--job", "deploy")
    assert set(one.said) == set()
    assert [event["name"] for event in one.of("job_skipped")] == ["deploy (dev) / build"]


def test_run_of_one_job_of_a_called_workflow_runs_what_it_needs_and_no_more(checkout, run):
    checkout.workflow(
        "ci.yml",
        f"on: push\njobs:\n  first:\n{JOB}    steps: [{{run: echo}}]\n"
        "  call:\n    needs: first\n    uses: ./.github/workflows/called.yml\n"
        f"  other:\n{JOB}    steps: [{{run: echo}}]\n",
    )
    checkout.workflow(
        "called.yml",
        f"on: workflow_call\njobs:\n  build:\n{JOB}    steps: [{{run: echo}}]\n"
        f"  test:\n    needs: build\n{JOB}    steps: [{{run: echo}}]\n  lint:\n{JOB}    steps: [{{run: echo}}]\n",
    )
    assert run("--job", "call/Test").started == ["first", "call/build", "call/test"]
    assert run("--job", "call").started == ["first", "call/build", "call/lint", "call/test"]
    wrong = run("--job", "call/tset")
    assert wrong.code == 2
    assert "ci.yml has first, call, call/build, call/test, call/lint, other" in wrong.stderr


def test_run_with_a_wrong_call_prints_everything_and_starts_nothing(checkout, run):
    checkout.workflow(
        "ci.yml",
        f"on: push\njobs:\n  ok:\n{JOB}    steps: [{{run: echo}}]\n"
        "  call:\n    uses: ./.github/workflows/called.yml\n    with: { typo: 1 }\n"
        "  broken:\n    uses: ./.github/workflows/broken.yml\n",
    )
    checkout.workflow("called.yml", f"on: workflow_call\njobs:\n  a:\n{JOB}    steps: [{{run: echo}}]\n")
    checkout.workflow("broken.yml", "on: workflow_call\njobs:\n  a:\n    steps: []\n")
    ran = run()
    assert (ran.code, ran.events) == (2, [])
    assert "ci.yml:8:19: found the input 'typo'" in ran.stderr
    assert "    with: { typo: 1 }" in ran.stderr
    assert "ci.yml:10:11: found './.github/workflows/broken.yml', which cannot be called" in ran.stderr
    assert ".github/workflows/broken.yml:3:3: " in ran.stderr


def test_run_does_not_follow_a_link_to_a_called_workflow(checkout, run, tmp_path):
    checkout.workflow("ci.yml", "on: push\njobs:\n  call:\n    uses: ./.github/workflows/called.yml\n")
    (tmp_path / "called.yml").write_text("on: workflow_call\n")
    (checkout.workflows / "called.yml").symlink_to(tmp_path / "called.yml")
    ran = run()
    assert ran.code == 2
    assert "symbolic links are not followed" in ran.stderr


def git(directory, *arguments):
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": "/nonexistent",
        "GIT_CONFIG_NOSYSTEM": "1",
        **{f"GIT_{who}_{what}": "a@b" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
    }
    subprocess.run(["git", *arguments], cwd=directory, env=environment, check=True, capture_output=True, timeout=30)


@pytest.fixture
def library(tmp_path):
    """The repository ``octo/lib`` below the repository path, with the tag ``v1``."""
    folder = tmp_path / "repositories/octo/lib/.github/workflows"
    folder.mkdir(parents=True)
    (folder / "outer.yml").write_text(
        "on: { workflow_call: { inputs: { who: { type: string } } } }\njobs:\n"
        "  inner:\n    uses: ./.github/workflows/inner.yml\n    with: { who: '${{ inputs.who }}' }\n"
    )
    (folder / "inner.yml").write_text(
        "on: { workflow_call: { inputs: { who: { type: string } } } }\njobs:\n"
        f"  say:\n{JOB}    steps: [{{ run: \"echo '> remote ${{{{ inputs.who }}}}'\" }}]\n"
    )
    git(tmp_path / "repositories/octo/lib", "init", "-q", "-b", "main")
    git(tmp_path / "repositories/octo/lib", "add", "-A")
    git(tmp_path / "repositories/octo/lib", "commit", "-q", "-m", "first")
    git(tmp_path / "repositories/octo/lib", "tag", "v1")
    (folder / "inner.yml").write_text("on: push\n")
    return tmp_path / "repositories"


def test_run_carries_out_a_call_of_another_repository_with_that_one_s_own_files(checkout, run, library):
    checkout.workflow(
        "ci.yml",
        "on: push\njobs:\n  far:\n    uses: Octo/lib/.github/workflows/outer.yml@v1\n    with: { who: me }\n"
        "  near:\n    uses: octo/lib/.github/workflows/outer.yml@main\n    with: { who: you }\n",
    )
    (library / "Octo").symlink_to("octo")
    ran = run(REPOSITORY_PATH=str(library))
    assert ran.code == 0, ran.stderr
    assert ran.said == {"far/inner/say": ["remote me"], "near/inner/say": ["remote you"]}


def test_run_of_a_remote_call_whose_ref_does_not_exist_tells_it_at_the_call(checkout, run, library):
    checkout.workflow("ci.yml", "on: push\njobs:\n  far:\n    uses: octo/lib/.github/workflows/outer.yml@v9\n")
    ran = run(REPOSITORY_PATH=str(library))
    assert (ran.code, ran.events) == (2, [])
    assert "ci.yml:4:11: found 'octo/lib/.github/workflows/outer.yml@v9', which cannot be called" in ran.stderr
    assert "'v9' is no tag, branch or full commit id of 'octo/lib'" in ran.stderr


def test_run_lets_jobs_of_one_group_go_one_after_another(checkout, run):
    jobs = "".join(
        f"  j{number}:\n    concurrency: {{ group: solo, queue: max }}\n{JOB}    steps: [{{run: sleep 0.2}}]\n"
        for number in range(3)
    )
    checkout.workflow("ci.yml", f"on: push\njobs:\n{jobs}")
    ran = run()
    assert ran.code == 0
    turns = [(event["type"], event["job"]) for event in ran.events if event["type"] in {"job_started", "job_completed"}]
    assert turns == [(kind, f"j{number}") for number in range(3) for kind in ("job_started", "job_completed")]
    assert [event["job"] for event in ran.of("job_pending")] == ["j1", "j2"]


def test_run_cancels_who_waits_when_a_newer_one_asks(checkout, run):
    jobs = "".join(
        f"  j{number}:\n    concurrency: solo\n{JOB}    steps: [{{run: sleep 0.2}}]\n" for number in range(3)
    )
    checkout.workflow("ci.yml", f"on: push\njobs:\n{jobs}")
    ran = run()
    assert ran.code == 1
    assert ran.conclusions == {"j0": "success", "j1": "cancelled", "j2": "success"}


def test_run_cancels_a_job_that_asks_for_the_run_s_own_group(checkout, run):
    checkout.workflow(
        "ci.yml",
        f"on: push\nconcurrency: all-${{{{ github.ref_name }}}}\njobs:\n"
        f"  stuck:\n    concurrency: ALL-${{{{ github.ref_name }}}}\n{JOB}    steps: [{{run: echo}}]\n",
    )
    ran = run()
    assert ran.code == 1
    [ended] = ran.of("job_completed")
    assert ended["conclusion"] == "cancelled"
    assert "which its own run holds" in ended["error"]


def test_run_ends_calls_that_wait_for_each_other_s_groups(checkout, run):
    calls = "".join(
        f"  {name}:\n    uses: ./.github/workflows/called.yml\n    concurrency: {name}\n    with: {{ other: {other} }}"
        "\n"
        for name, other in (("left", "right"), ("right", "left"))
    )
    checkout.workflow("ci.yml", f"on: push\njobs:\n{calls}")
    checkout.workflow(
        "called.yml",
        "on: { workflow_call: { inputs: { other: { type: string } } } }\njobs:\n"
        f"  job:\n    concurrency: ${{{{ inputs.other }}}}\n{JOB}    steps: [{{run: echo}}]\n",
    )
    ran = run()
    assert ran.code == 1
    assert ran.conclusions == {
        "right / job": "cancelled",
        "right": "cancelled",
        "left / job": "success",
        "left": "success",
    }


def test_run_whose_own_group_does_not_evaluate_starts_nothing(checkout, run):
    group = "concurrency: {group: '${{ vars.NOTHING }}'}"
    checkout.workflow("ci.yml", f"on: push\n{group}\njobs:\n  a:\n{JOB}    steps: [{{run: echo}}]\n")
    ran = run()
    assert (ran.code, ran.events) == (1, [])
    assert "ci.yml:2:22: " in ran.stderr


def test_run_interrupted_cancels_called_jobs_and_lets_always_run(checkout):
    checkout.workflow(
        "ci.yml",
        f"""
on: push
jobs:
  call:
    uses: ./.github/workflows/called.yml
  after:
    needs: call
    if: always()
{JOB}    steps: [{{ run: "echo '> ${{{{ needs.call.result }}}}'" }}]
""",
    )
    checkout.workflow(
        "called.yml",
        f"on: workflow_call\njobs:\n  long:\n{JOB}    steps: [{{run: 'echo ready; sleep 60'}}]\n"
        f"  clean:\n    needs: long\n    if: always()\n{JOB}    steps: [{{run: \"echo '> cleaned'\"}}]\n"
        f"  never:\n    needs: long\n{JOB}    steps: [{{run: \"echo '> never'\"}}]\n",
    )
    with checkout.start("run", "--vm", "process", "--workflow", "ci.yml") as process:
        for line in process.stdout:
            if "│   ready" in line:
                break
        process.send_signal(signal.SIGINT)
        said, _ = process.communicate(timeout=30)
        assert process.returncode == 1
    assert "│   > cleaned" in said
    assert "│   > never" not in said
    assert "│   > cancelled" in said
    assert "⊘ call: cancelled" in said


def test_validate_checks_local_calls_and_does_not_fetch_remote_ones(checkout):
    checkout.workflow(
        "ci.yml",
        "on: push\njobs:\n  far:\n    uses: octo/lib/.github/workflows/outer.yml@v1\n"
        "  near:\n    uses: ./.github/workflows/called.yml\n    with: { typo: 1 }\n"
        "  gone:\n    uses: ./.github/workflows/caled.yml\n",
    )
    called = f"on: workflow_call\njobs:\n  a:\n{JOB}    timeout-minutes: 5\n    steps: [{{run: echo}}]\n"
    checkout.workflow("called.yml", called)
    found = checkout.run("validate", "--format", "json")
    told = json.loads(found.stdout)
    assert found.returncode == 2
    errors = [item for item in told["diagnostics"] if item["severity"] == "error"]
    assert [(item["rule"], item["span"]["start"]["line"]) for item in errors] == [("call-input", 7), ("call-file", 9)]
    assert [item["path"] for item in errors[0]["related"]] == [".github/workflows/called.yml"]
    elsewhere = checkout.path / "ci.yml"
    elsewhere.write_text((checkout.workflows / "ci.yml").read_text())
    assert checkout.run("validate", "ci.yml", "--no-warnings").returncode == 0


def test_validate_tells_a_broken_called_file_once_and_each_call_of_it(checkout):
    checkout.workflow("a.yml", "on: push\njobs:\n  near:\n    uses: ./.github/workflows/broken.yml\n")
    checkout.workflow("b.yml", "on: push\njobs:\n  near:\n    uses: ./.github/workflows/broken.yml\n")
    checkout.workflow("broken.yml", "on: workflow_call\njobs:\n  a:\n    runs-on: x\n")
    found = json.loads(checkout.run("validate", "--format", "json").stdout)
    assert [(item["path"].rpartition("/")[2], item["rule"]) for item in found["diagnostics"]] == [
        ("a.yml", "call-invalid"),
        ("b.yml", "call-invalid"),
        ("broken.yml", "missing-key"),
    ]


def test_plan_and_explain_show_local_calls_and_say_which_were_not_fetched(checkout):
    checkout.workflow(
        "ci.yml",
        "on: push\njobs:\n  far:\n    uses: octo/lib/.github/workflows/outer.yml@v1\n"
        "  near:\n    uses: ./.github/workflows/called.yml\n",
    )
    checkout.workflow("called.yml", f"on: workflow_call\njobs:\n  a:\n{JOB}    steps: [{{run: echo}}]\n")
    planned = checkout.run("plan", "push", "--workflow", "ci.yml")
    assert planned.returncode == 0, planned.stderr
    assert "near / a  [ubuntu-latest]" in planned.stdout
    assert "octo/lib/.github/workflows/outer.yml@v1, which was not fetched" in planned.stdout
    chosen = checkout.run("plan", "push", "--workflow", "ci.yml", "--job", "near/a")
    assert "far" not in chosen.stdout
    explained = checkout.run("explain", "push", "--workflow", "ci.yml")
    assert explained.returncode == 0, explained.stderr
    assert "near: runs" in explained.stdout
    checkout.workflow("called.yml", "on: push\njobs: {}\n")
    for command in ("plan", "explain"):
        broken = checkout.run(command, "push", "--workflow", "ci.yml")
        assert broken.returncode == 2
        assert "ci.yml:6:11: found './.github/workflows/called.yml', which cannot be called" in broken.stderr
