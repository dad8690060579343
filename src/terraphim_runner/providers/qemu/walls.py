"""What stands between QEMU and the host, apart from the emulated machine itself.

Which walls are possible depends on who runs us and where; they are found out once, by trying. Those that are missing
are named with the reason, for ``doctor`` and for every session's description.
"""

import os
import random
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from terraphim_runner.ports import MachineSpec
from terraphim_runner.providers.qemu.cgroups import CONTROLLERS, Cgroups, find_cgroups

_UID_COUNT: Final = 65536
_PROBE_TIMEOUT_S: Final = 10
_MAX_FILES: Final = 256
_ADDRESS_SPACE_MIB: Final = 2048
_DISK_METADATA_MIB: Final = 16
_NAMESPACES: Final = ("--net", "--ipc", "--uts", "--mount")


@dataclass(frozen=True, slots=True, kw_only=True)
class Walls:
    """The walls of this host. ``missing`` maps a wall to why it cannot stand."""

    own_user: bool
    unshare: tuple[str, ...]
    setpriv: tuple[str, ...]
    cgroups: Cgroups
    missing: dict[str, str] = field(default_factory=dict[str, str])

    def standing(self) -> list[str]:
        """Return the names of the walls that stand, for people."""
        names = ["seccomp", "resource limits"]
        names += ["own user"] if self.own_user else []
        names += ["own network, IPC, UTS and mount namespaces"] if self.unshare else []
        names += ["no new privileges, death with the server"] if self.setpriv else []
        names += [f"{controller} control group" for controller in self.cgroups.parents]
        return names

    def wrap(
        self, argv: Sequence[str], spec: MachineSpec, *, uid: int | None, group: int | None, niceness: int
    ) -> list[str]:
        """Return the command line that puts the walls up and then becomes ``argv``, in the same process.

        ``group`` is the one group that a user of its own is given, for ``/dev/kvm``. The limits are set from inside:
        from outside, once the user has changed, that takes CAP_SYS_RESOURCE.
        """
        wrapped = [
            *("nice", "-n", str(niceness)),
            *("prlimit", f"--as={(_ADDRESS_SPACE_MIB + spec.memory_mib) << 20}", f"--nofile={_MAX_FILES}", "--core=0"),
            # The overlay is the only file that grows.
            *(f"--fsize={(spec.disk_mib + _DISK_METADATA_MIB) << 20}", "--"),
        ]
        if self.unshare:
            wrapped += ["unshare", *self.unshare, "--"]
        if self.setpriv:
            groups = "--clear-groups" if group is None else f"--groups={group}"
            user = [] if uid is None else [f"--reuid={uid}", f"--regid={uid}", groups]
            wrapped += ["setpriv", *user, *self.setpriv, "--"]
        return [*wrapped, *argv]


def find_walls() -> Walls:
    """Try what is possible here. Blocks for some tens of milliseconds."""
    missing: dict[str, str] = {}
    cgroups = find_cgroups(
        Path("/proc/self/cgroup").read_text(encoding="utf-8"), Path("/proc/self/mounts").read_text(encoding="utf-8")
    )
    missing.update({f"{name} control group": cgroups.missing[name] for name in CONTROLLERS if name in cgroups.missing})
    is_root = os.geteuid() == 0
    setpriv = _find_setpriv(is_root, missing)
    if not is_root:
        missing["own user"] = "only root can give each machine a user of its own"
    elif not setpriv:
        missing["own user"] = "setpriv does not work"
    return Walls(
        own_user=is_root and bool(setpriv),
        unshare=_find_unshare(is_root, missing),
        setpriv=setpriv,
        cgroups=cgroups,
        missing=missing,
    )


def choose_uid(base: int, taken: set[int]) -> int:
    """Return a user id that no machine of ours has; two servers on one host meet once in many thousands."""
    while True:
        uid = base + random.SystemRandom().randrange(_UID_COUNT)
        if uid not in taken:
            return uid


def _find_setpriv(is_root: bool, missing: dict[str, str]) -> tuple[str, ...]:
    options = ["--no-new-privs", "--pdeathsig=KILL"]
    if is_root:
        options += ["--inh-caps=-all", "--bounding-set=-all"]
    user = ["--reuid=65534", "--regid=65534", "--clear-groups"] if is_root else []
    trouble = _try(["setpriv", *user, *options, "--", "true"])
    if trouble:
        missing["no new privileges, death with the server"] = trouble
        return ()
    return tuple(options)


def _find_unshare(is_root: bool, missing: dict[str, str]) -> tuple[str, ...]:
    options = list(_NAMESPACES) if is_root else ["--user", "--map-current-user", *_NAMESPACES]
    trouble = _try(["unshare", *options, "--", "true"])
    if trouble:
        missing["own namespaces"] = trouble
        return ()
    return tuple(options)


def _try(argv: list[str]) -> str | None:
    if shutil.which(argv[0]) is None:
        return f"{argv[0]} is not installed (package util-linux)"
    try:
        done = subprocess.run(argv, capture_output=True, timeout=_PROBE_TIMEOUT_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"{argv[0]} does not work here: {error}"
    if done.returncode != 0:
        return done.stderr.decode("utf-8", "replace").strip()[:200] or f"{argv[0]} failed"
    return None
