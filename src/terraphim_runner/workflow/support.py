"""What the language has and this runner does not carry out yet. Such a workflow is not run: nothing is ignored.

``run`` and the server refuse it; ``validate``, which asks for GitHub's rules, only warns, and ``plan`` shows it.

Each entry of the tables is one feature: who finds it, and what would be lost without it. The day a feature is
built, its entry goes.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Final, TypeVar

from terraphim_runner.expressions import Template
from terraphim_runner.model.source import Diagnostic, Span
from terraphim_runner.workflow.actions import CHECKOUT, is_checkout
from terraphim_runner.workflow.findings import shown
from terraphim_runner.workflow.references import DockerAction, LocalAction, RemoteAction, SelfAction
from terraphim_runner.workflow.tree import Job, UsesStep, Workflow, all_steps

Part = TypeVar("Part")
Found = Iterable[tuple[Span, str]]
"""Where a feature stands, and how it is called in the message."""


def unsupported(workflow: Workflow) -> tuple[Diagnostic, ...]:
    """Return one error for each place of the tree that planning or execution cannot carry out, in the file's order."""
    gaps = sorted(_gaps(workflow), key=lambda gap: gap[0].start)
    return tuple(
        Diagnostic(
            path=workflow.path, span=span, rule="not-supported", message=f"{what} is not supported yet: {meaning}"
        )
        for span, what, meaning in gaps
    )


def _gaps(workflow: Workflow) -> Iterator[tuple[Span, str, str]]:
    for job in workflow.jobs.values():
        yield from _found(_OF_JOB, job)
        for step in all_steps(job.steps):
            if isinstance(step, UsesStep):
                yield from _found(_OF_USES, step)


def _found(table: tuple[tuple[Callable[[Part], Found], str], ...], part: Part) -> list[tuple[Span, str, str]]:
    return [(span, what, meaning) for find, meaning in table for span, what in find(part)]


def _container(job: Job) -> Found:
    return [(job.container.span, "'container'")] if job.container else ()


def _services(job: Job) -> Found:
    if isinstance(job.services, Template):
        return [(job.services.span, "'services'")]
    return [(service.span, f"the service {shown(name)}") for name, service in job.services.items()]


def _snapshot(job: Job) -> Found:
    return [(job.snapshot.span, "'snapshot'")] if job.snapshot else ()


_OF_JOB: Final[tuple[tuple[Callable[[Job], Found], str], ...]] = (
    (_container, "steps run in the machine itself"),
    (_services, "no service containers are started"),
    (_snapshot, "no image is made of a job's machine"),
)


def _docker_action(step: UsesStep) -> Found:
    if isinstance(step.action, DockerAction):
        return [(step.uses_span, f"the container action {shown(step.uses)}")]
    return ()


def _local_action(step: UsesStep) -> Found:
    if isinstance(step.action, LocalAction | SelfAction):
        return [(step.uses_span, f"the local action {shown(step.uses)}")]
    return ()


def _remote_action(step: UsesStep) -> Found:
    if isinstance(step.action, RemoteAction) and not is_checkout(step.action):
        return [(step.uses_span, f"the action {shown(step.uses)}")]
    return ()


def _checkout_input(*names: str) -> Callable[[UsesStep], Found]:
    """Return what finds these inputs of ``actions/checkout``, whatever their values."""

    def find(step: UsesStep) -> Found:
        return [
            (value.span, f"the input '{name}' of '{CHECKOUT}'")
            for name, value in _checkout_inputs(step).items()
            if name in names
        ]

    return find


def _checkout_extra(step: UsesStep) -> Found:
    return [
        (value.span, f"'{name}: {value.source[:40]}'")
        for name, value in _checkout_inputs(step).items()
        if name in ("lfs", "submodules") and value.is_literal and value.source.lower() != "false"
    ]


def _checkout_inputs(step: UsesStep) -> dict[str, Template]:
    if isinstance(step.with_, Template) or not step.with_ or not is_checkout(step.action):
        return {}
    return {name.lower(): value for name, value in step.with_.items()}


_OF_USES: Final[tuple[tuple[Callable[[UsesStep], Found], str], ...]] = (
    (_docker_action, "no container is started for a step"),
    (_local_action, "no action file of the repository is read"),
    (_remote_action, f"only '{CHECKOUT}' is built in"),
    (_checkout_input("filter"), "objects are never fetched partially"),
    (_checkout_input("github-server-url"), "only the server that the workflow comes from is asked"),
    (_checkout_input("sparse-checkout", "sparse-checkout-cone-mode"), "the whole tree is checked out"),
    (_checkout_input("ssh-key"), "no key is ever put into the machine"),
    (_checkout_input("ssh-known-hosts", "ssh-strict", "ssh-user"), "no SSH is used"),
    (_checkout_extra, f"'{CHECKOUT}' leaves it out"),
)
