"""Which contexts and special functions each key of an action's metadata may name.

Never ``secrets``, ``vars`` or ``needs``: an action knows only what its caller hands to it.
"""

from typing import Final

from terraphim_runner.expressions import Availability

_LEG: Final = frozenset({"github", "strategy", "matrix", "job", "runner"})
_STEP: Final = _LEG | {"inputs", "steps", "env"}
_STATUS: Final = frozenset({"always", "cancelled", "failure", "success"})
_HASH: Final = frozenset({"hashFiles"})
_INPUTS: Final = frozenset({"inputs"})

INPUT_DEFAULT: Final = Availability(contexts=_LEG, functions=_HASH, where="inputs.<id>.default")
OUTPUT_VALUE: Final = Availability(contexts=_STEP, where="outputs.<id>.value")
DOCKER_ARGS: Final = Availability(contexts=_INPUTS, where="runs.args")
DOCKER_ENV: Final = Availability(contexts=_INPUTS, where="runs.env")
PRE_IF: Final = Availability(contexts=_LEG | {"env", "inputs"}, functions=_STATUS | _HASH, where="runs.pre-if")
POST_IF: Final = Availability(contexts=PRE_IF.contexts, functions=PRE_IF.functions, where="runs.post-if")
STEP_IF: Final = Availability(contexts=_STEP, functions=_STATUS | _HASH, where="runs.steps.if")


def step(key: str) -> Availability:
    """Return what a key of a composite action's step may name; the same for all of them but ``if``."""
    return _KEYS[key]


_KEYS: Final = {
    key: Availability(contexts=_STEP, functions=_HASH, where=f"runs.steps.{key}")
    for key in ("name", "run", "shell", "working-directory", "with", "env", "continue-on-error")
}
