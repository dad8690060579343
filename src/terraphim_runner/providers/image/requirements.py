"""What a build needs of the host, checked before it starts, so that it does not fail half way."""

import pwd
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from terraphim_runner.model.errors import InfrastructureError
from terraphim_runner.providers.image.namespace import SYSTEM_PATH, namespace_prefix

REQUIRED_FREE_BYTES = 1_500_000_000
"""A build takes about 0.9 GB at its peak (tree, packages, file system), and downloads grow."""

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
SUBUID = Path("/etc/subuid")
_APPARMOR = Path("/proc/sys/kernel/apparmor_restrict_unprivileged_userns")
_TRIAL_DEADLINE_S = 10

_PROGRAMS = {
    "mmdebstrap": "mmdebstrap",
    "mke2fs": "e2fsprogs",
    "lz4": "lz4",
    "apt-get": "apt",
    "dpkg-deb": "dpkg",
    "unshare": "util-linux",
    "setpriv": "util-linux",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """One thing that the host lacks for a build, and what to do."""

    what: str
    fix: str


def missing_requirements(uid: int) -> list[Missing]:
    """Return everything that keeps this user from building an image here; disk space is not looked at."""
    missing: list[Missing] = []
    packages = sorted({package for program, package in _programs(uid).items() if _which(program) is None})
    lacking = [program for program in _programs(uid) if _which(program) is None]
    if not KEYRING.is_file():
        packages.append("debian-archive-keyring")
        lacking.append(str(KEYRING))
    if packages:
        install = f"as root: apt-get install --no-install-recommends {' '.join(packages)}"
        missing.append(Missing(what=f"{', '.join(lacking)} not found", fix=install))
    if uid != 0 and not has_subordinate_ids(uid):
        user = _user_name(uid)
        missing.append(
            Missing(
                what=f"the user {user!r} has no 65536 subordinate ids in {SUBUID}, which an unprivileged build needs",
                fix=f"as root: usermod --add-subuids 100000-165535 --add-subgids 100000-165535 {user}",
            )
        )
    if not missing and (reason := _namespace_trouble(uid)):
        missing.append(Missing(what=f"no namespace can be made here: {reason}", fix=_namespace_fix(uid)))
    return missing


def require_host(uid: int) -> None:
    """Raise ``InfrastructureError`` that names everything missing at once, with the commands."""
    if missing := missing_requirements(uid):
        raise InfrastructureError(
            doing="build the VM image",
            reason="; ".join(item.what for item in missing),
            fix="; ".join(item.fix for item in missing),
        )


def require_space(directory: Path) -> None:
    """Raise ``InfrastructureError`` unless the directory's file system has room for a build."""
    free = shutil.disk_usage(directory).free
    if free < REQUIRED_FREE_BYTES:
        raise InfrastructureError(
            doing="build the VM image",
            reason=f"{directory} has {free / 1e9:.1f} GB free, {REQUIRED_FREE_BYTES / 1e9:.1f} GB are needed",
            fix="free some space or set TERRAPHIM_DATA_DIR to another disk",
        )


def has_subordinate_ids(uid: int, subuid: Path = SUBUID) -> bool:
    """Tell whether ``/etc/subuid`` gives the user the ids that a Debian tree needs."""
    try:
        lines = subuid.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return False
    owners = {str(uid), _user_name(uid)}
    rows = [line.split(":") for line in lines]
    return any(len(row) == 3 and row[0] in owners and row[2].isdigit() and int(row[2]) >= 65535 for row in rows)


def _namespace_trouble(uid: int) -> str | None:
    """Try it: whether it works depends on the kernel, AppArmor and any container around us."""
    try:
        result = subprocess.run(
            [*namespace_prefix(uid), "true"],
            check=False,
            capture_output=True,
            env={"PATH": SYSTEM_PATH, "LC_ALL": "C.UTF-8"},
            timeout=_TRIAL_DEADLINE_S,
        )
    except subprocess.TimeoutExpired:
        return f"the trial took more than {_TRIAL_DEADLINE_S} s"
    return None if result.returncode == 0 else result.stderr.decode(errors="replace").strip()[-300:]


def _namespace_fix(uid: int) -> str:
    if uid == 0:
        return "give the container around this the capability SYS_ADMIN, or build outside of it"
    if _APPARMOR.is_file() and _APPARMOR.read_text(encoding="ascii").strip() == "1":
        return "build as root, or as root: sysctl -w kernel.apparmor_restrict_unprivileged_userns=0"
    return "build as root, or allow unprivileged user namespaces (sysctl user.max_user_namespaces)"


def _programs(uid: int) -> dict[str, str]:
    return _PROGRAMS if uid == 0 else {**_PROGRAMS, "newuidmap": "uidmap", "newgidmap": "uidmap"}


def _which(program: str) -> str | None:
    return shutil.which(program, path=SYSTEM_PATH)


def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
