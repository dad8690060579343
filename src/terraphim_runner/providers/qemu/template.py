"""A machine that was booted once and stopped: memory, device state and disk, for others to start from.

Layout: ``<directory>/templates/<key>/{ram,state,disk.qcow2,template.json}``, made in a directory of its own and renamed
when it is complete. The key is a digest of everything that the snapshot depends on, so a template never needs to be
checked for age; those that nobody can use any more go when their successor comes.
"""

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from terraphim_runner.guest.bundle import agent_bytes
from terraphim_runner.model.errors import InfrastructureError
from terraphim_runner.ports import MachineSpec
from terraphim_runner.providers.image.store import Image
from terraphim_runner.providers.qemu import arguments, memory

TEMPLATES: Final = "templates"
RAM: Final = "ram"
STATE: Final = "state"
DISK: Final = "disk.qcow2"
MANIFEST: Final = "template.json"
_FORMAT: Final = 2


class DamagedError(Exception):
    """The files of a template are not what was written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """What a template is made of."""

    image: Image
    spec: MachineSpec
    binary: str
    version: str
    accelerator: arguments.Accelerator
    tsc_khz: int | None

    @property
    def name(self) -> str:
        """Same for all templates of which the newest replaces the others."""
        spec = self.spec
        return f"{self.image.name} {self.accelerator} {spec.memory_mib} MiB {spec.vcpus} vCPU"

    @property
    def key(self) -> str:
        """Digest of everything that the snapshot depends on."""
        parts: Sequence[Any] = (
            *(_FORMAT, self.name, self.image.digest, self.version),
            arguments.devices(self.accelerator, self.spec),
            arguments.kernel_command_line(self.tsc_khz),
            hashlib.sha256(agent_bytes()).hexdigest(),
        )
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """An opened template. The descriptors stay good when a successor removes its files; ``close`` gives them up.

    ``ram`` is a sealed memfd that all clones map copy-on-write.
    """

    key: str
    recipe: Recipe
    ram: int
    state: int
    disks: tuple[int, ...]
    disk_bytes: int

    def close(self) -> None:
        for fd in (self.ram, self.state, *self.disks):
            os.close(fd)


def load(directory: Path, recipe: Recipe) -> Template | None:
    """Open the template for a recipe, or return None when there is none. Blocks while its memory is copied."""
    try:
        return load_from(directory / TEMPLATES / recipe.key, recipe)
    except (FileNotFoundError, DamagedError):
        # Never made, damaged, or a successor is removing it.
        return None


def load_from(path: Path, recipe: Recipe) -> Template:
    """Open the template in a directory. Raises ``FileNotFoundError`` or ``DamagedError``."""
    _check(path)
    opened: list[int] = []
    try:
        for file in (path / STATE, recipe.image.rootfs, path / DISK):
            opened.append(_open(file))  # noqa: PERF401 - those that were opened must be known when one fails
        ram = _open(path / RAM)
        try:
            sealed = memory.load("terraphim-ram", ram)
        finally:
            os.close(ram)
    except BaseException:
        for fd in opened:
            os.close(fd)
        raise
    return Template(
        key=recipe.key,
        recipe=recipe,
        ram=sealed,
        state=opened[0],
        disks=(opened[1], opened[2]),
        disk_bytes=os.fstat(opened[1]).st_size,
    )


def _check(path: Path) -> None:
    try:
        sizes = json.loads((path / MANIFEST).read_text(encoding="utf-8"))["sizes_bytes"]
    except (ValueError, KeyError, TypeError):
        raise DamagedError(f"{str(path / MANIFEST)!r} cannot be read") from None
    if sizes != _sizes_bytes(path):
        raise DamagedError(f"the files in {str(path)!r} have other sizes than when they were written")


def _sizes_bytes(path: Path) -> dict[str, int]:
    return {name: (path / name).stat().st_size for name in (RAM, STATE, DISK)}


def complete(path: Path, recipe: Recipe) -> None:
    """Mark a directory as a complete template, readable by people too; all of it is on the disk afterwards.

    A power failure must not leave a template of which some memory reads as zeros. Raises ``InfrastructureError``.
    """
    fields = {
        "format": _FORMAT,
        "name": recipe.name,
        "image": recipe.image.digest,
        "qemu": recipe.version,
        "tsc_khz": recipe.tsc_khz,
        "sizes_bytes": _sizes_bytes(path),
    }
    try:
        (path / MANIFEST).write_text(json.dumps(fields, indent=1) + "\n", encoding="utf-8")
        for name in (RAM, STATE, DISK, MANIFEST):
            fd = _open(path / name)
            try:
                os.fsync(fd)
            finally:
                os.close(fd)
    except OSError as error:
        raise InfrastructureError(doing=f"write a template to {str(path)!r}", reason=error.strerror or "") from error


def predecessors(directory: Path, recipe: Recipe) -> list[Path]:
    """Return the templates that the one for this recipe replaces."""
    found: list[Path] = []
    for manifest in (directory / TEMPLATES).glob(f"*/{MANIFEST}"):
        try:
            name = json.loads(manifest.read_text(encoding="utf-8"))["name"]
        except (OSError, ValueError, KeyError, TypeError):
            continue
        if name == recipe.name and manifest.parent.name != recipe.key:
            found.append(manifest.parent)
    return found


def _open(path: Path) -> int:
    return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
