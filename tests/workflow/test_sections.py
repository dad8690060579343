"""The tree of the sections that a valid workflow may have, whether they are carried out or not."""

from pathlib import Path

import pytest

from terraphim_runner.expressions import Template
from terraphim_runner.model.ids import JobKey
from terraphim_runner.workflow import parse, unsupported
from terraphim_runner.workflow.references import (
    DockerAction,
    LocalAction,
    LocalWorkflow,
    RemoteAction,
    RemoteWorkflow,
    SelfAction,
)
from terraphim_runner.workflow.tree import (
    CallJob,
    CancelStep,
    Credentials,
    Job,
    ParallelStep,
    Queue,
    RunStep,
    UsesStep,
    WaitAllStep,
    WaitStep,
    Workflow,
)


@pytest.fixture
def sections(golden_directory: Path) -> Workflow:
    text = (golden_directory / "jobs/valid_sections.yml").read_text()
    result = parse("valid_sections.yml", text, check_support=False)
    assert result.workflow is not None
    return result.workflow


def source(value: object) -> str:
    assert isinstance(value, Template)
    return value.source


def test_parse_concurrency_keeps_group_cancellation_and_queue(sections: Workflow) -> None:
    assert sections.concurrency is not None
    assert source(sections.concurrency.group) == "ci-${{ github.ref }}"
    assert source(sections.concurrency.cancel_in_progress).startswith("${{ github.ref")
    assert sections.concurrency.queue is Queue.SINGLE
    of_job = sections.jobs[JobKey("build")].concurrency
    assert of_job is not None
    assert of_job.queue is Queue.MAX
    short = sections.jobs[JobKey("short")].concurrency
    assert short is not None
    assert source(short.group) == "one"


def test_parse_container_and_services_keep_every_key(sections: Workflow) -> None:
    job = sections.jobs[JobKey("build")]
    container = job.container
    assert container is not None
    assert source(container.image) == "ghcr.io/octo/tools:${{ matrix.os }}"
    assert isinstance(container.credentials, Credentials)
    assert source(container.credentials.password) == "${{ secrets.TOKEN }}"
    assert isinstance(container.env, dict)
    assert list(container.env) == ["A", "${{ vars.NAME }}"]
    assert isinstance(container.ports, tuple)
    assert [source(port) for port in container.ports] == ["80", "8080:80"]
    assert isinstance(container.volumes, tuple)
    assert source(container.options) == "--cpus 1"
    assert isinstance(job.services, dict)
    assert source(job.services["db"].entrypoint) == "/bin/db"
    assert source(job.services["db"].command) == "serve"
    assert source(job.services["cache"].image) == "redis"
    short = sections.jobs[JobKey("short")]
    assert short.container is not None
    assert source(short.container.image) == "${{ fromJSON(vars.CONTAINER) }}"
    assert source(short.services) == "${{ fromJSON(vars.SERVICES) }}"


def test_parse_environment_snapshot_and_runner_group_keep_every_key(sections: Workflow) -> None:
    job = sections.jobs[JobKey("build")]
    assert job.environment is not None
    assert source(job.environment.name) == "production"
    assert source(job.environment.url) == "${{ steps.deploy.outputs.url }}"
    assert job.environment.deployment is not None
    assert job.environment.deployment.parts == (False,)
    assert job.snapshot is not None
    assert (job.snapshot.image_name, job.snapshot.version) == ("tools", "2.*")
    assert job.snapshot.condition is not None
    assert isinstance(job.runs_on, dict)
    assert source(job.runs_on["group"]) == "big"
    assert isinstance(job.runs_on["labels"], tuple)
    assert source(job.cancel_timeout_minutes) == "2"


def test_parse_empty_container_and_environment_means_none(sections: Workflow) -> None:
    job = sections.jobs[JobKey("none")]
    assert (job.container, job.environment, job.services) == (None, None, {})
    assert job.strategy is not None
    assert source(job.strategy.whole) == "${{ fromJSON(vars.STRATEGY) }}"


def test_parse_call_keeps_reference_inputs_with_their_kinds_and_secrets(sections: Workflow) -> None:
    local, remote = sections.jobs[JobKey("local")], sections.jobs[JobKey("remote")]
    assert isinstance(local, CallJob)
    assert isinstance(local, Job)
    assert local.steps == ()
    assert local.workflow == LocalWorkflow(path=".github/workflows/build.yml")
    assert [value.parts[0] for value in local.with_.values()][:2] == [3.0, True]
    assert local.inherits_secrets
    assert isinstance(remote, CallJob)
    assert remote.workflow == RemoteWorkflow(
        owner="octo", repository="hello", path=".github/workflows/ci.yaml", ref="0123456789"
    )
    assert source(remote.secrets["token"]) == "${{ secrets.TOKEN }}"
    assert not remote.inherits_secrets


def test_parse_uses_of_every_kind_is_taken_apart(sections: Workflow) -> None:
    steps = sections.jobs[JobKey("build")].steps[1:]
    assert [step.action for step in steps if isinstance(step, UsesStep)] == [
        RemoteAction(owner="octo", repository="tools", path="setup", ref="v1"),
        LocalAction(path=".github/actions/mine"),
        DockerAction(image="alpine:3"),
    ]


def test_parse_uses_of_the_own_repository_is_an_action_or_a_workflow_of_the_running_commit() -> None:
    text = (
        "on: push\njobs:\n  b: { uses: $/.github/workflows/build.yml }\n"
        "  a: { runs-on: x, steps: [{ uses: $/.github/actions/mine/ }, { uses: $/ }] }\n"
    )
    workflow = parse("w.yml", text, check_support=False).workflow
    assert workflow is not None
    call, job = workflow.jobs[JobKey("b")], workflow.jobs[JobKey("a")]
    assert isinstance(call, CallJob)
    assert call.workflow == LocalWorkflow(path=".github/workflows/build.yml")
    assert [step.action for step in job.steps if isinstance(step, UsesStep)] == [
        SelfAction(path=".github/actions/mine"),
        SelfAction(path=""),
    ]


def test_parse_background_steps_gives_a_kind_to_each(golden_directory: Path) -> None:
    workflow = parse("w.yml", (golden_directory / "steps/valid_background.yml").read_text()).workflow
    assert workflow is not None
    steps = workflow.jobs[JobKey("a")].steps
    server, data, plain, wait, _, wait_all, _, cancel, parallel = steps
    assert isinstance(server, RunStep)
    assert isinstance(data, UsesStep)
    assert isinstance(plain, RunStep)
    assert (server.background, data.background, plain.background) == (True, True, False)
    assert isinstance(wait, WaitStep)
    assert [target.step for target in wait.targets] == ["server", "Data"]
    assert wait.continue_on_error is not None
    assert isinstance(wait_all, WaitAllStep)
    assert isinstance(cancel, CancelStep)
    assert cancel.target.step == "server"
    assert isinstance(parallel, ParallelStep)
    assert [step.id for step in parallel.steps] == ["one", None]


def test_unsupported_names_each_feature_once_and_parse_refuses_them(sections: Workflow) -> None:
    gaps = unsupported(sections)
    assert {gap.rule for gap in gaps} == {"not-supported"}
    assert len({(gap.span, gap.message) for gap in gaps}) == len(gaps)
    refused = parse(sections.path, sections.source)
    assert refused.workflow is None
    assert refused.diagnostics == gaps
