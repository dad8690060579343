"""Which provider makes the machines, and which machine a job's labels ask for."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from terraphim_runner.model.errors import InfrastructureError
from terraphim_runner.ports import Provider
from terraphim_runner.providers.image.store import ImageStore
from terraphim_runner.providers.process.provider import ProcessProvider
from terraphim_runner.providers.qemu.provider import QemuProvider
from terraphim_runner.providers.qemu.settings import QemuSettings

SERVED_LABELS: Final = frozenset(
    {"self-hosted", "linux", "x64", "ubuntu-latest", "ubuntu-24.04", "ubuntu-22.04", "debian-12", "debian-latest"}
)
"""Labels that mean a Linux machine with an x86-64 processor; the image stands for all of them."""


def open_provider(name: str, data: Path, *, images: Path | None = None, warm_machines: int = 0) -> Provider:
    """Return the provider ``auto``, ``qemu`` or ``process``; it is to be entered before use.

    ``auto`` is QEMU until Firecracker is built in, and never a provider without isolation.
    """
    if name == "process":
        return ProcessProvider(data / "sessions")
    settings = QemuSettings(warm_machines=warm_machines)
    return QemuProvider(settings, ImageStore(images or data / "images"), data / "machines")


def check_labels(labels: Sequence[str], *, also: Iterable[str] = ()) -> None:
    """Raise ``InfrastructureError`` when the job asks for a machine that is not served here.

    ``also`` are labels that the settings add. Compared without case, as GitHub does.
    """
    served = SERVED_LABELS | {label.lower() for label in also}
    missing = [label for label in labels if label.lower() not in served]
    if missing:
        raise InfrastructureError(
            doing=f"find a machine for runs-on {list(labels)!r}",
            reason=f"found {', '.join(map(repr, missing))}, expected labels among {', '.join(sorted(served))}",
            fix="change runs-on, or add the label to runner_labels in the settings",
        )
