"""Which contexts and special functions each key of a workflow may name.

A key below another one may name what that one may, and what is added for itself. Source: GitHub's documentation,
"Contexts reference", the table of context availability.
"""

from typing import Final

from terraphim_runner.expressions import Availability

_RUN: Final = frozenset({"github", "inputs", "vars"})
_NEEDS: Final = _RUN | {"needs"}
_LEG: Final = _NEEDS | {"strategy", "matrix"}
_RUNNER: Final = _LEG | {"steps", "job", "runner", "env"}
_STATUS: Final = frozenset({"always", "cancelled", "failure", "success"})
_HASH: Final = frozenset({"hashFiles"})

RUN_NAME: Final = Availability(contexts=_RUN, where="run-name")
WORKFLOW_ENV: Final = Availability(contexts=_RUN | {"secrets"}, where="env")
CALL_INPUT_DEFAULT: Final = Availability(contexts=_RUN, where="on.workflow_call.inputs.<id>.default")
CALL_OUTPUT: Final = Availability(contexts=_RUN | {"jobs"}, where="on.workflow_call.outputs.<id>.value")

WORKFLOW_CONCURRENCY: Final = Availability(contexts=_RUN, where="concurrency")

JOB_IF: Final = Availability(contexts=_NEEDS, functions=_STATUS, where="jobs.<id>.if", status_arguments=255)
JOB_NAME: Final = Availability(contexts=_LEG, where="jobs.<id>.name")
JOB_RUNS_ON: Final = Availability(contexts=_LEG, where="jobs.<id>.runs-on")
JOB_TIMEOUT: Final = Availability(contexts=_LEG, where="jobs.<id>.timeout-minutes")
JOB_CONTINUE: Final = Availability(contexts=_LEG, where="jobs.<id>.continue-on-error")
JOB_STRATEGY: Final = Availability(contexts=_NEEDS, where="jobs.<id>.strategy")
JOB_ENV: Final = Availability(contexts=_LEG | {"secrets"}, where="jobs.<id>.env")
JOB_DEFAULTS: Final = Availability(contexts=_LEG | {"env"}, where="jobs.<id>.defaults.run")
JOB_OUTPUTS: Final = Availability(contexts=_RUNNER | {"secrets"}, where="jobs.<id>.outputs")
JOB_CONCURRENCY: Final = Availability(contexts=_LEG, where="jobs.<id>.concurrency")
JOB_ENVIRONMENT: Final = Availability(contexts=_LEG, where="jobs.<id>.environment")
JOB_ENVIRONMENT_URL: Final = Availability(contexts=_RUNNER, where="jobs.<id>.environment.url")
JOB_CANCEL_TIMEOUT: Final = Availability(contexts=_LEG, where="jobs.<id>.cancel-timeout-minutes")
JOB_SNAPSHOT_IF: Final = Availability(contexts=_LEG, where="jobs.<id>.snapshot.if")
JOB_WITH: Final = Availability(contexts=_LEG, where="jobs.<id>.with")
JOB_SECRETS: Final = Availability(contexts=_LEG | {"secrets"}, where="jobs.<id>.secrets")

CONTAINER: Final = Availability(contexts=_LEG, where="jobs.<id>.container")
SERVICES: Final = Availability(contexts=_LEG, where="jobs.<id>.services")
CONTAINER_ENV: Final = Availability(contexts=_RUNNER | {"secrets"}, where="jobs.<id>.container.env")
CONTAINER_CREDENTIALS: Final = Availability(contexts=_LEG | {"secrets", "env"}, where="jobs.<id>.container.credentials")

STEP_IF: Final = Availability(contexts=_RUNNER, functions=_STATUS | _HASH, where="jobs.<id>.steps.if")


def step(key: str) -> Availability:
    """Return what a key of a step may name; the same for all of them but ``if``."""
    return _STEP[key]


_STEP: Final = {
    key: Availability(contexts=_RUNNER | {"secrets"}, functions=_HASH, where=f"jobs.<id>.steps.{key}")
    for key in ("name", "run", "working-directory", "with", "env", "continue-on-error", "timeout-minutes")
}
