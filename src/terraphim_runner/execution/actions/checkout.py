"""``actions/checkout``, done by the host: the exact commit is streamed into the machine, and no credential with it.

Inputs whose meaning cannot be kept fail the step with their names; one that the action does not have is a warning, as
on GitHub.
"""

from collections.abc import Mapping

from terraphim_runner.execution.frame import JobFrame
from terraphim_runner.execution.outcome import Outcome, StepFailure
from terraphim_runner.expressions.coercion import to_number
from terraphim_runner.model.job import LogKind
from terraphim_runner.model.states import Conclusion
from terraphim_runner.ports import CheckoutError, CheckoutRequest

_EFFECTIVE = frozenset({"ref", "fetch-depth", "path", "repository", "fetch-tags"})
_WITHOUT_EFFECT = frozenset(
    {
        "clean",  # the machine is fresh
        "github-server-url",
        "persist-credentials",  # no credential enters the machine
        "set-safe-directory",  # every directory is safe in the image
        "show-progress",
        "token",  # the host fetches
    }
)
_ONLY_WHEN_OFF = frozenset({"lfs", "submodules", "sparse-checkout", "filter", "ssh-key", "allow-unsafe-pr-checkout"})
_HARMLESS = frozenset({"sparse-checkout-cone-mode", "ssh-known-hosts", "ssh-strict", "ssh-user"})
_KNOWN = _EFFECTIVE | _WITHOUT_EFFECT | _ONLY_WHEN_OFF | _HARMLESS
_OFF = frozenset({"", "false"})
_ALL_COMMITS = 1e9
"""No history is as long."""


async def check_out(frame: JobFrame, number: int, inputs: Mapping[str, str]) -> Outcome:
    """Put the commit that the run is for, or the one of ``ref``, into the workspace. Raises ``StepFailure``."""
    _refuse_unsupported(inputs)
    unknown = [name for name in inputs if name not in _KNOWN]
    if unknown:
        names = f"{', '.join(map(repr, unknown))}; 'actions/checkout' takes {', '.join(sorted(_KNOWN))}"
        await frame.say(number, LogKind.WARNING, f"unexpected input(s) {names}")
    repository = frame.request.contexts.get("github", {}).get("repository", "")
    wanted = inputs.get("repository") or repository
    request = CheckoutRequest(
        repository=wanted,
        ref=inputs.get("ref") or None,
        fetch_depth=_depth(inputs.get("fetch-depth", "1")),
        options={name: value for name, value in inputs.items() if name == "fetch-tags"},
    )
    destination = _destination(frame, inputs.get("path", ""))
    try:
        async with frame.request.source.checkout(request) as checkout:
            await frame.session.unpack(destination, checkout.archive)
            sha, ref = checkout.sha, checkout.ref
    except CheckoutError as error:
        raise StepFailure(str(error)) from None
    await frame.say(number, LogKind.OUTPUT, f"{wanted} at {sha or 'no commit'} is in {destination}")
    return Outcome(conclusion=Conclusion.SUCCESS, outputs={"ref": ref, "commit": sha})


def _refuse_unsupported(inputs: Mapping[str, str]) -> None:
    for name, value in inputs.items():
        if name in _ONLY_WHEN_OFF and value.strip().lower() not in _OFF:
            raise StepFailure(f"found {name}: {value!r}: this input of actions/checkout is not supported yet")


def _depth(text: str) -> int:
    """Return how many commits to fetch; what is no number of them means all, as with the action itself."""
    number = to_number(text) if text.strip() else 1.0
    return int(number) if 0 <= number < _ALL_COMMITS else 0


def _destination(frame: JobFrame, path: str) -> str:
    workspace = frame.layout.workspace
    if path.startswith(workspace + "/"):
        path = path[len(workspace) + 1 :]
    if path.startswith("/") or ".." in path.split("/"):
        raise StepFailure(f"found path {path!r}, expected one inside of the workspace {workspace!r}")
    parts = [part for part in path.split("/") if part not in {"", "."}]
    return "/".join([workspace, *parts])
