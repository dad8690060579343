"""What each key of a workflow may name: every context and every special function, at every place.

The table is GitHub's ("Contexts reference", context availability); a key may also name what the one above it may.
"""

from collections.abc import Callable
from typing import Final

import pytest

from terraphim_runner.expressions import CONTEXTS
from terraphim_runner.workflow import parse

RUN: Final = frozenset({"github", "inputs", "vars"})
NEEDS: Final = RUN | {"needs"}
LEG: Final = NEEDS | {"strategy", "matrix"}
RUNNER: Final = LEG | {"steps", "job", "runner", "env"}
STEP: Final = RUNNER | {"secrets"}
CREDENTIALS: Final = LEG | {"secrets", "env"}
NOTHING: Final = frozenset[str]()

Place = Callable[[str], str]


def top(line: str) -> Place:
    """Return what puts an expression into a key of the top level."""
    return lambda value: f"on: push\n{line.replace('VALUE', value)}\njobs: {{j: {{runs-on: x, steps: [run: echo]}}}}\n"


def call(part: str) -> Place:
    return lambda value: (
        f"on: {{workflow_call: {part.replace('VALUE', value)}}}\njobs: {{j: {{runs-on: x, steps: [run: echo]}}}}\n"
    )


def job(line: str, *, runs_on: str = "x") -> Place:
    return lambda value: (
        f"on: push\njobs:\n  j:\n    runs-on: {runs_on.replace('VALUE', value)}\n"
        f"    steps: [run: echo]\n    {line.replace('VALUE', value)}\n"
    )


def caller(line: str, *, uses: str = "./.github/workflows/w.yml") -> Place:
    return lambda value: (
        f"on: push\njobs:\n  j:\n    uses: {uses.replace('VALUE', value)}\n    {line.replace('VALUE', value)}\n"
    )


def step(line: str, *, task: str = "run: echo") -> Place:
    return lambda value: (
        "on: push\njobs:\n  j:\n    runs-on: x\n    steps:\n      - {id: before, run: echo, background: true}\n"
        f"      - {task.replace('VALUE', value)}\n        {line.replace('VALUE', value)}\n"
    )


USES: Final = "uses: octo/hello@v1"
CALL_INPUT: Final = "{inputs: {a: {type: string, default: VALUE}}}"
PLACES: Final[dict[str, tuple[Place, frozenset[str]]]] = {
    "name": (top("name: VALUE"), NOTHING),
    "description": (top("description: VALUE"), NOTHING),
    "run-name": (top("run-name: VALUE"), RUN),
    "env": (top("env: VALUE"), RUN | {"secrets"}),
    "env.<name>": (top("env: {A: VALUE}"), RUN | {"secrets"}),
    "env.key": (top("env: {VALUE: a}"), RUN | {"secrets"}),
    "defaults.run.shell": (top("defaults: {run: {shell: VALUE}}"), NOTHING),
    "defaults.run.working-directory": (top("defaults: {run: {working-directory: VALUE}}"), NOTHING),
    "permissions.contents": (top("permissions: {contents: VALUE}"), NOTHING),
    "concurrency": (top("concurrency: VALUE"), RUN),
    "concurrency.group": (top("concurrency: {group: VALUE}"), RUN),
    "concurrency.cancel-in-progress": (top("concurrency: {group: a, cancel-in-progress: VALUE}"), RUN),
    "concurrency.queue": (top("concurrency: {group: a, queue: VALUE}"), RUN),
    "defaults.run": (top("defaults: {run: VALUE}"), NOTHING),
    "on.workflow_call.inputs.<id>.default": (call(CALL_INPUT), RUN),
    "on.workflow_call.outputs.<id>.value": (call("{outputs: {a: {value: VALUE}}}"), RUN | {"jobs"}),
    "jobs.<id>.name": (job("name: VALUE"), LEG),
    "jobs.<id>.needs": (job("needs: VALUE"), NOTHING),
    "jobs.<id>.if": (job("if: VALUE"), NEEDS),
    "jobs.<id>.permissions.contents": (job("permissions: {contents: VALUE}"), NOTHING),
    "jobs.<id>.runs-on": (job("", runs_on="VALUE"), LEG),
    "jobs.<id>.runs-on[]": (job("", runs_on="[x, VALUE]"), LEG),
    "jobs.<id>.runs-on.group": (job("", runs_on="{group: VALUE}"), LEG),
    "jobs.<id>.runs-on.labels": (job("", runs_on="{labels: VALUE}"), LEG),
    "jobs.<id>.timeout-minutes": (job("timeout-minutes: VALUE"), LEG),
    "jobs.<id>.cancel-timeout-minutes": (job("cancel-timeout-minutes: VALUE"), LEG),
    "jobs.<id>.continue-on-error": (job("continue-on-error: VALUE"), LEG),
    "jobs.<id>.env": (job("env: VALUE"), LEG | {"secrets"}),
    "jobs.<id>.env.<name>": (job("env: {A: VALUE}"), LEG | {"secrets"}),
    "jobs.<id>.env.key": (job("env: {VALUE: a}"), LEG | {"secrets"}),
    "jobs.<id>.defaults.run": (job("defaults: {run: VALUE}"), LEG | {"env"}),
    "jobs.<id>.defaults.run.shell": (job("defaults: {run: {shell: VALUE}}"), LEG | {"env"}),
    "jobs.<id>.defaults.run.working-directory": (job("defaults: {run: {working-directory: VALUE}}"), LEG | {"env"}),
    "jobs.<id>.outputs.<id>": (job("outputs: {a: VALUE}"), STEP),
    "jobs.<id>.outputs.key": (job("outputs: {VALUE: a}"), NOTHING),
    "jobs.<id>.environment": (job("environment: VALUE"), LEG),
    "jobs.<id>.environment.name": (job("environment: {name: VALUE}"), LEG),
    "jobs.<id>.environment.url": (job("environment: {name: a, url: VALUE}"), RUNNER),
    "jobs.<id>.environment.deployment": (job("environment: {name: a, deployment: VALUE}"), LEG),
    "jobs.<id>.concurrency": (job("concurrency: VALUE"), LEG),
    "jobs.<id>.concurrency.group": (job("concurrency: {group: VALUE}"), LEG),
    "jobs.<id>.concurrency.cancel-in-progress": (job("concurrency: {group: a, cancel-in-progress: VALUE}"), LEG),
    "jobs.<id>.concurrency.queue": (job("concurrency: {group: a, queue: VALUE}"), LEG),
    "jobs.<id>.strategy": (job("strategy: VALUE"), NEEDS),
    "jobs.<id>.strategy.fail-fast": (job("strategy: {fail-fast: VALUE}"), NEEDS),
    "jobs.<id>.strategy.max-parallel": (job("strategy: {max-parallel: VALUE}"), NEEDS),
    "jobs.<id>.strategy.matrix": (job("strategy: {matrix: VALUE}"), NEEDS),
    "jobs.<id>.strategy.matrix.<name>": (job("strategy: {matrix: {a: VALUE}}"), NEEDS),
    "jobs.<id>.strategy.matrix.<name>[]": (job("strategy: {matrix: {a: [1, VALUE]}}"), NEEDS),
    "jobs.<id>.strategy.matrix.include": (job("strategy: {matrix: {include: VALUE}}"), NEEDS),
    "jobs.<id>.strategy.matrix.include[]": (job("strategy: {matrix: {include: [VALUE]}}"), NEEDS),
    "jobs.<id>.strategy.matrix.exclude": (job("strategy: {matrix: {a: [1], exclude: [{a: VALUE}]}}"), NEEDS),
    "jobs.<id>.snapshot": (job("snapshot: VALUE"), NOTHING),
    "jobs.<id>.snapshot.image-name": (job("snapshot: {image-name: VALUE}"), NOTHING),
    "jobs.<id>.snapshot.if": (job("snapshot: {image-name: a, if: VALUE}"), LEG),
    "jobs.<id>.container": (job("container: VALUE"), LEG),
    "jobs.<id>.container.image": (job("container: {image: VALUE}"), LEG),
    "jobs.<id>.container.options": (job("container: {image: a, options: VALUE}"), LEG),
    "jobs.<id>.container.ports": (job("container: {image: a, ports: VALUE}"), LEG),
    "jobs.<id>.container.volumes[]": (job("container: {image: a, volumes: [VALUE]}"), LEG),
    "jobs.<id>.container.env": (job("container: {image: a, env: VALUE}"), LEG),
    "jobs.<id>.container.env.<name>": (job("container: {image: a, env: {A: VALUE}}"), STEP),
    "jobs.<id>.container.env.key": (job("container: {image: a, env: {VALUE: a}}"), LEG),
    "jobs.<id>.container.credentials": (job("container: {image: a, credentials: VALUE}"), CREDENTIALS),
    "jobs.<id>.container.credentials.username": (
        job("container: {image: a, credentials: {username: VALUE}}"),
        CREDENTIALS,
    ),
    "jobs.<id>.services": (job("services: VALUE"), LEG),
    "jobs.<id>.services.key": (job("services: {VALUE: a}"), LEG),
    "jobs.<id>.services.<id>": (job("services: {s: VALUE}"), LEG),
    "jobs.<id>.services.<id>.image": (job("services: {s: {image: VALUE}}"), LEG),
    "jobs.<id>.services.<id>.command": (job("services: {s: {image: a, command: VALUE}}"), LEG),
    "jobs.<id>.services.<id>.entrypoint": (job("services: {s: {image: a, entrypoint: VALUE}}"), LEG),
    "jobs.<id>.services.<id>.env.<name>": (job("services: {s: {image: a, env: {A: VALUE}}}"), STEP),
    "jobs.<id>.services.<id>.credentials.password": (
        job("services: {s: {image: a, credentials: {password: VALUE}}}"),
        CREDENTIALS,
    ),
    "jobs.<id>.uses": (caller("name: a", uses="VALUE"), NOTHING),
    "jobs.<id>.with.<id>": (caller("with: {a: VALUE}"), LEG),
    "jobs.<id>.with.key": (caller("with: {VALUE: a}"), NOTHING),
    "jobs.<id>.secrets": (caller("secrets: VALUE"), NOTHING),
    "jobs.<id>.secrets.<id>": (caller("secrets: {a: VALUE}"), LEG | {"secrets"}),
    "jobs.<id>.steps.if": (step("if: VALUE"), RUNNER),
    "jobs.<id>.steps.id": (step("id: VALUE"), NOTHING),
    "jobs.<id>.steps.name": (step("name: VALUE"), STEP),
    "jobs.<id>.steps.run": (step("name: a", task="run: VALUE"), STEP),
    "jobs.<id>.steps.shell": (step("shell: VALUE"), NOTHING),
    "jobs.<id>.steps.working-directory": (step("working-directory: VALUE"), STEP),
    "jobs.<id>.steps.uses": (step("name: a", task="uses: VALUE"), NOTHING),
    "jobs.<id>.steps.with": (step("with: VALUE", task=USES), STEP),
    "jobs.<id>.steps.with.<id>": (step("with: {a: VALUE}", task=USES), STEP),
    "jobs.<id>.steps.with.key": (step("with: {VALUE: a}", task=USES), STEP),
    "jobs.<id>.steps.env": (step("env: VALUE"), STEP),
    "jobs.<id>.steps.env.<name>": (step("env: {A: VALUE}"), STEP),
    "jobs.<id>.steps.continue-on-error": (step("continue-on-error: VALUE"), STEP),
    "jobs.<id>.steps.timeout-minutes": (step("timeout-minutes: VALUE"), STEP),
    "jobs.<id>.steps.background": (step("background: VALUE"), NOTHING),
    "jobs.<id>.steps.wait": (step("name: VALUE", task="wait: before"), STEP),
    "jobs.<id>.steps.wait[]": (step("name: a", task="wait: [VALUE]"), NOTHING),
    "jobs.<id>.steps.wait-all": (step("name: a", task="wait-all: VALUE"), NOTHING),
    "jobs.<id>.steps.cancel": (step("name: a", task="cancel: VALUE"), NOTHING),
    "jobs.<id>.steps.parallel.run": (step("", task="parallel: [{run: VALUE}]"), STEP),
}
STATUS_CALLS: Final = frozenset({"always()", "cancelled()", "failure()", "success()"})
JOB_CALLS: Final = STATUS_CALLS | {"failure('a', 'b')", "success('a')"}
HASH_CALLS: Final = frozenset({"hashFiles('a')", "hashFiles('a', 'b')"})
NEVER: Final = frozenset({"always(1)", "cancelled('a')", "hashFiles()", "hashfile('a')"})
CALLS: Final = JOB_CALLS | HASH_CALLS | NEVER


def is_taken(place: Place, expression: str) -> bool:
    """Tell whether a workflow with the expression at the place has no error."""
    return parse("w.yml", place(f'"${{{{ {expression} }}}}"'), check_support=False).workflow is not None


@pytest.mark.parametrize("key", PLACES)
def test_contexts_of_a_key_are_those_of_the_table_and_no_others(key: str) -> None:
    place, contexts = PLACES[key]
    assert {name for name in CONTEXTS if is_taken(place, f"{name}.x")} == contexts


@pytest.mark.parametrize("key", PLACES)
def test_special_functions_of_a_key_are_those_of_the_table_and_no_others(key: str) -> None:
    place, contexts = PLACES[key]
    if key == "jobs.<id>.if":
        functions = JOB_CALLS
    elif key == "jobs.<id>.steps.if":
        functions = STATUS_CALLS | HASH_CALLS
    elif key.startswith("jobs.<id>.steps.") and contexts:
        functions = HASH_CALLS
    else:
        functions = NOTHING
    assert {expression for expression in CALLS if is_taken(place, expression)} == functions
