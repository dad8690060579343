"""Limits of the kernel's on one machine: memory, CPU time, threads. Version 1 and 2 of control groups.

A group is made below the one that the server runs in, where that may be written; otherwise the wall is missing and
``Cgroups.missing`` says why.
"""

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from terraphim_runner.model.errors import InfrastructureError
from terraphim_runner.ports import MachineSpec

PREFIX: Final = "terraphim-vm-"
CONTROLLERS: Final = ("memory", "cpu", "pids")
_OVERHEAD_MIB: Final = 256
"""QEMU itself with its translated code, on top of the guest's memory."""
_SHARES_OF_MEMORY: Final = 2
"""A copy's page is charged twice when it is the first to touch one that the template's memory has as a hole: for the
hole, which the kernel fills even for a private mapping, and for its own copy. What fills holes is shared by all."""
_EMULATOR_PERCENT: Final = 50
"""Of a host CPU, for QEMU's own threads: disk and channels. The rest of the quota is the vCPUs'."""
_MAX_THREADS: Final = 128
_PERIOD_US: Final = 100_000
_REMOVE_DEADLINE_S: Final = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Cgroups:
    """Where groups can be made. ``parents`` maps a controller to its directory; in version 2 it is one for all."""

    parents: dict[str, Path]
    is_unified: bool
    missing: dict[str, str]

    def create(self, name: str, spec: MachineSpec) -> "Group":
        """Make the groups of one machine with its limits set."""
        group = self.named(name)
        try:
            for path in group.paths:
                path.mkdir(exist_ok=True)
            for controller, parent in self.parents.items():
                for file, value in _limits(controller, spec, is_unified=self.is_unified):
                    (parent / f"{PREFIX}{name}" / file).write_text(value)
        except OSError as error:
            group.remove()
            raise InfrastructureError(
                doing=f"limit the machine {name!r} by a control group", reason=f"{error.filename}: {error.strerror}"
            ) from error
        return group

    def named(self, name: str) -> "Group":
        """Return the groups that ``create`` makes for a machine of that name."""
        return Group(paths=tuple(sorted({parent / f"{PREFIX}{name}" for parent in self.parents.values()})))


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """The groups of one machine."""

    paths: tuple[Path, ...]

    def add(self, pid: int) -> None:
        """Put a process under the limits. Raises ``InfrastructureError``, also for one that has ended already."""
        for path in self.paths:
            try:
                (path / "cgroup.procs").write_text(str(pid))
            except OSError as error:
                raise InfrastructureError(
                    doing=f"limit a process by the control group {str(path)!r}",
                    reason=error.strerror or "",
                    retryable=True,
                ) from error

    def remove(self) -> None:
        """Remove the groups; their processes must have been killed. Repeatable."""
        deadline = time.monotonic() + _REMOVE_DEADLINE_S
        for path in self.paths:
            while True:
                try:
                    path.rmdir()
                except FileNotFoundError:
                    break
                except OSError as error:
                    # A killed process leaves its group a little after its parent learnt of its death.
                    if time.monotonic() > deadline:
                        raise InfrastructureError(
                            doing=f"remove the control group {str(path)!r}", reason=error.strerror or ""
                        ) from error
                    time.sleep(0.002)
                else:
                    break


def find_cgroups(proc_self_cgroup: str, mounts: str) -> Cgroups:
    """Return where this process may make groups, from the texts of ``/proc/self/cgroup`` and ``/proc/self/mounts``."""
    own: dict[str, str] = {}
    for line in proc_self_cgroup.splitlines():
        _, controllers, path = line.split(":", 2)
        for controller in controllers.split(","):
            own[controller] = path
    mounted: dict[str, Path] = {}
    for line in mounts.splitlines():
        _, place, kind, options, *_ = line.split()
        if kind == "cgroup":
            mounted.update((option, Path(place)) for option in options.split(",") if option in CONTROLLERS)
        elif kind == "cgroup2":
            mounted[""] = Path(place)
    parents: dict[str, Path] = {}
    missing: dict[str, str] = {}
    unified = _unified(mounted, own) if not any(name in mounted for name in CONTROLLERS) else None
    for controller in CONTROLLERS:
        if unified is not None:
            parent, trouble = unified, _enable(unified, controller)
        elif controller in mounted:
            parent = mounted[controller] / own.get(controller, "/").lstrip("/")
            trouble = None if os.access(parent, os.W_OK) else f"{parent} is not writable"
        else:
            parent, trouble = Path(), "the controller is not mounted"
        if trouble is None:
            parents[controller] = parent
        else:
            missing[controller] = trouble
    return Cgroups(parents=parents, is_unified=unified is not None, missing=missing)


def _unified(mounted: dict[str, Path], own: dict[str, str]) -> Path | None:
    return mounted[""] / own.get("", "/").lstrip("/") if "" in mounted else None


def _enable(parent: Path, controller: str) -> str | None:
    """Switch a controller on for the groups below; version 2 allows that only where no process lives."""
    try:
        control = parent / "cgroup.subtree_control"
        if controller in control.read_text().split():
            return None if os.access(parent, os.W_OK) else f"{parent} is not writable"
        try:
            control.write_text(f"+{controller}")
        except OSError:
            leaf = parent / "terraphim-server"
            leaf.mkdir(exist_ok=True)
            (leaf / "cgroup.procs").write_text(str(os.getpid()))
            control.write_text(f"+{controller}")
    except OSError as error:
        return f"{parent} cannot be divided: {error.strerror}"
    return None


def _limits(controller: str, spec: MachineSpec, *, is_unified: bool) -> list[tuple[str, str]]:
    memory = str((_SHARES_OF_MEMORY * spec.memory_mib + _OVERHEAD_MIB) << 20)
    quota = str(max(1000, _PERIOD_US * (spec.cpu_percent * spec.vcpus + _EMULATOR_PERCENT) // 100))
    if controller == "memory":
        return [("memory.max" if is_unified else "memory.limit_in_bytes", memory)]
    if controller == "pids":
        return [("pids.max", str(_MAX_THREADS))]
    if is_unified:
        return [("cpu.max", f"{quota} {_PERIOD_US}")]
    return [("cpu.cfs_period_us", str(_PERIOD_US)), ("cpu.cfs_quota_us", quota)]
