"""Whether this process may make control groups of its own, in either version. Found by making one."""

import os
from dataclasses import dataclass
from pathlib import Path

_ROOT = Path("/sys/fs/cgroup")
_SELF = Path("/proc/self/cgroup")
_NEEDED = ("memory", "cpu")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cgroups:
    """``version`` is 0 where there are none. ``reason`` says why they are not writable."""

    version: int
    writable: bool
    reason: str = ""


def find_cgroups(root: Path = _ROOT, self_file: Path = _SELF) -> Cgroups:
    """Return the version that has the memory and CPU controllers, and whether a group can be made below our own."""
    try:
        rows = [line.split(":", 2) for line in self_file.read_text(encoding="utf-8").splitlines()]
    except OSError as error:
        return Cgroups(version=0, writable=False, reason=f"no control groups: {error.strerror}")
    ours = {controller: path for _, controllers, path in rows for controller in controllers.split(",")}
    if (root / "cgroup.controllers").is_file():
        controllers = (root / "cgroup.controllers").read_text(encoding="ascii").split()
        lacking = [name for name in _NEEDED if name not in controllers]
        if lacking:
            return Cgroups(version=2, writable=False, reason=f"version 2 without {' and '.join(lacking)}")
        return _try(2, [_below(root, ours.get("", "/"))])
    if all((root / name).is_dir() for name in _NEEDED):
        return _try(1, [_below(root / name, ours.get(name, "/")) for name in _NEEDED])
    return Cgroups(version=0, writable=False, reason=f"no control groups in {root}")


def _below(root: Path, path: str) -> Path:
    # In a container the path is that of the host's hierarchy, of which only a part is mounted.
    own = root / path.lstrip("/")
    return own if own.is_dir() else root


def _try(version: int, directories: list[Path]) -> Cgroups:
    for directory in directories:
        trial = directory / f"terraphim-doctor-{os.getpid()}"
        try:
            trial.mkdir()
            trial.rmdir()
        except OSError as error:
            reason = f"version {version}, {directory} is not writable: {error.strerror}"
            return Cgroups(version=version, writable=False, reason=reason)
    return Cgroups(version=version, writable=True)
