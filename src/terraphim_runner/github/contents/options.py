"""The inputs of ``actions/checkout``: which change nothing here, and which are not supported yet."""

from collections.abc import Mapping
from typing import Final

from terraphim_runner.ports import CheckoutError, CheckoutRequest

# The machine is fresh, no credential ever is in the tree, and the caller chooses where it is unpacked.
_WITHOUT_EFFECT: Final = frozenset(
    {
        "clean",
        "fetch-depth",
        "github-server-url",
        "path",
        "persist-credentials",
        "ref",
        "repository",
        "set-safe-directory",
        "show-progress",
        "sparse-checkout-cone-mode",
        "ssh-strict",
        "ssh-user",
        "token",
    }
)
_SUPPORTED: Final = _WITHOUT_EFFECT | {"fetch-tags"}
MAX_DEPTH: Final = 2**31 - 1


def check_request(request: CheckoutRequest, repository: str | None) -> None:
    """Raise ``CheckoutError`` that names what is asked for and cannot be had: never a tree that lacks it silently.

    ``repository`` is the only one there is; None takes any name for it.
    """
    if repository is not None and request.repository and request.repository.lower() != repository.lower():
        raise CheckoutError(f"checkout of another repository ({request.repository!r}) is not supported yet")
    if not 0 <= request.fetch_depth <= MAX_DEPTH:
        raise CheckoutError(f"fetch-depth: found {request.fetch_depth}, expected 0 or more")
    for name, value in request.options.items():
        if name.lower() not in _SUPPORTED and value.strip().lower() not in {"", "false"}:
            raise CheckoutError(f"{name}: {value[:80]!r} is not supported yet by the native checkout")


def wants_tags(options: Mapping[str, str]) -> bool:
    """Tell whether ``fetch-tags`` is set."""
    return any(name.lower() == "fetch-tags" and value.strip().lower() == "true" for name, value in options.items())
