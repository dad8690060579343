"""What ``terraphim-runner doctor`` looks at. Every check tries the thing itself and answers within seconds.

No check raises for what it finds, and none shows a secret: of those only whether they are set.
"""

import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path

import anyio.to_thread

from terraphim_runner.data_directory import data_directory, image_directory
from terraphim_runner.providers.image.builder import up_to_date
from terraphim_runner.providers.image.definition import load_definition
from terraphim_runner.providers.image.requirements import missing_requirements
from terraphim_runner.providers.image.store import Image, ImageMissingError, ImageStore
from terraphim_runner.providers.qemu.kvm_probe import QEMU, KvmProbe, probe_kvm, qemu_version
from terraphim_runner.providers.qemu.walls import Walls, find_walls

IMAGE = "default"
_DEADLINE_S = 10
_OLD_IMAGE = timedelta(days=30)
_LOW_DISK_BYTES = 3_000_000_000
_NO_DISK_BYTES = 500_000_000
_LOW_MEMORY_MIB = 2048
_NO_MEMORY_MIB = 640
"""One machine of 512 MiB with what QEMU takes for itself."""


class State(StrEnum):
    OK = "ok"
    LIMITED = "limited"
    """Works, with less than there could be; or not needed to run jobs."""
    MISSING = "missing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One row: what was found, and the fix where one helps."""

    name: str
    state: State
    found: str
    fix: str | None = None


async def run_checks(environ: Mapping[str, str]) -> list[Check]:
    """Return all checks, in the order to show them."""
    image = await anyio.to_thread.run_sync(_find_image, environ)
    kvm = await probe_kvm(image, cache=data_directory(environ) / "kvm-probe.json")
    in_thread = anyio.to_thread.run_sync
    walls = await in_thread(find_walls)
    return [
        await in_thread(check_qemu),
        check_kvm(kvm),
        await in_thread(check_image, environ),
        await in_thread(check_image_tools, image is not None),
        await in_thread(check_git),
        await in_thread(check_firecracker, kvm),
        await in_thread(check_disk, data_directory(environ)),
        await in_thread(check_memory),
        check_cgroups(walls),
        check_walls(walls),
        check_token(environ),
        check_webhook_secret(environ),
    ]


def jobs_can_run(checks: list[Check]) -> bool:
    """Tell whether a job in a machine can run here: QEMU, an image and git are there."""
    states = {check.name: check.state for check in checks}
    return all(states[name] is not State.MISSING for name in ("qemu", "image", "git", "disk", "memory"))


def check_qemu() -> Check:
    install = "as root: apt-get install --no-install-recommends qemu-system-x86"
    version = qemu_version()
    if version is None:
        return Check(name="qemu", state=State.MISSING, found=f"{QEMU} not found", fix=install)
    machines = _output([QEMU, "-M", "help"])
    if machines is None or not any(line.startswith("microvm ") for line in machines.splitlines()):
        found = f"version {version}, which lacks the machine type microvm"
        return Check(name="qemu", state=State.MISSING, found=found, fix=install)
    return Check(name="qemu", state=State.OK, found=f"version {version} with the machine type microvm")


def check_kvm(probe: KvmProbe) -> Check:
    return Check(name="kvm", state=State.OK if probe.usable else State.LIMITED, found=probe.reason, fix=probe.fix)


def check_image(environ: Mapping[str, str]) -> Check:
    store = ImageStore(image_directory(environ))
    try:
        image = store.find(IMAGE)
    except ImageMissingError as error:
        return Check(name="image", state=State.MISSING, found=error.reason, fix=error.fix)
    age = datetime.now(UTC) - image.created_at
    found = f"{IMAGE!r}: Debian {image.suite}, kernel {image.kernel_release}, built {_age(age)} ago"
    if up_to_date(load_definition(IMAGE).with_suite(image.suite), store) is None:
        fix = "run: terraphim-runner image build"
        return Check(name="image", state=State.LIMITED, found=f"{found}, from an older definition", fix=fix)
    if age > _OLD_IMAGE:
        fix = "run: terraphim-runner image build --force"
        return Check(name="image", state=State.LIMITED, found=f"{found}: it lacks newer security fixes", fix=fix)
    return Check(name="image", state=State.OK, found=found)


def check_image_tools(image_exists: bool) -> Check:
    missing = missing_requirements(os.getuid())
    if not missing:
        return Check(name="image tools", state=State.OK, found="everything that building an image needs")
    return Check(
        name="image tools",
        state=State.LIMITED if image_exists else State.MISSING,
        found="; ".join(item.what for item in missing),
        fix="; ".join(item.fix for item in missing),
    )


def check_git() -> Check:
    version = _output(["git", "--version"])
    if version is None:
        fix = "as root: apt-get install --no-install-recommends git"
        return Check(name="git", state=State.MISSING, found="git not found", fix=fix)
    return Check(name="git", state=State.OK, found=version.strip().removeprefix("git "))


def check_firecracker(kvm: KvmProbe) -> Check:
    lacking = [program for program in ("firecracker", "jailer") if shutil.which(program) is None]
    if lacking:
        fix = "optional: put firecracker and jailer of one release into the PATH"
        return Check(name="firecracker", state=State.LIMITED, found=f"{' and '.join(lacking)} not found", fix=fix)
    version = (_output(["firecracker", "--version"]) or "version unknown").splitlines()[0]
    if not kvm.usable:
        return Check(name="firecracker", state=State.LIMITED, found=f"{version}, but it needs KVM", fix=kvm.fix)
    return Check(name="firecracker", state=State.OK, found=version)


def check_disk(directory: Path) -> Check:
    existing = next(path for path in (directory, *directory.parents) if os.access(path, os.F_OK))
    free = shutil.disk_usage(existing).free
    found = f"{free / 1e9:.1f} GB free for {directory}"
    fix = "free some space, or set TERRAPHIM_DATA_DIR to another disk"
    if not os.access(existing, os.W_OK | os.X_OK):
        found = f"{existing} may not be written by this user"
        return Check(name="disk", state=State.MISSING, found=found, fix="set TERRAPHIM_DATA_DIR to a folder of yours")
    if free < _NO_DISK_BYTES:
        return Check(name="disk", state=State.MISSING, found=found, fix=fix)
    if free < _LOW_DISK_BYTES:
        return Check(name="disk", state=State.LIMITED, found=found, fix=fix)
    return Check(name="disk", state=State.OK, found=found)


def check_memory(meminfo: Path = Path("/proc/meminfo")) -> Check:
    fields = dict(line.split(":", 1) for line in meminfo.read_text(encoding="ascii").splitlines() if ":" in line)
    available_mib = int(fields["MemAvailable"].split()[0]) // 1024
    found = f"{available_mib} MiB available, {max(0, available_mib - 256) // 512} machines of 512 MiB at worst"
    if available_mib < _NO_MEMORY_MIB:
        fix = f"a machine needs {_NO_MEMORY_MIB} MiB: end something else"
        return Check(name="memory", state=State.MISSING, found=found, fix=fix)
    return Check(name="memory", state=State.LIMITED if available_mib < _LOW_MEMORY_MIB else State.OK, found=found)


def check_cgroups(walls: Walls) -> Check:
    cgroups = walls.cgroups
    version = 2 if cgroups.is_unified else 1
    if not cgroups.missing:
        return Check(name="cgroups", state=State.OK, found=f"version {version}, writable")
    reasons = "; ".join(f"no {name} limit: {reason}" for name, reason in cgroups.missing.items())
    fix = "run as root, or under systemd with Delegate=yes (systemd-run --user --scope -p Delegate=yes …)"
    return Check(name="cgroups", state=State.LIMITED, found=f"version {version}, {reasons}", fix=fix)


def check_walls(walls: Walls) -> Check:
    """Name the walls around QEMU that this user cannot have; the machine itself is a wall in any case."""
    standing = ", ".join(walls.standing())
    if not walls.missing:
        return Check(name="walls", state=State.OK, found=standing)
    missing = "; ".join(f"{wall} ({reason})" for wall, reason in walls.missing.items())
    fix = None if os.geteuid() == 0 else "run as root, which gives its rights up for each machine"
    return Check(name="walls", state=State.LIMITED, found=f"{standing}; missing: {missing}", fix=fix)


def check_token(environ: Mapping[str, str]) -> Check:
    if environ.get("GITHUB_TOKEN"):
        return Check(name="github token", state=State.OK, found="GITHUB_TOKEN is set")
    found = "GITHUB_TOKEN is not set: results are not posted to GitHub"
    return Check(
        name="github token", state=State.LIMITED, found=found, fix="set GITHUB_TOKEN in the server's environment"
    )


def check_webhook_secret(environ: Mapping[str, str]) -> Check:
    name = "GITHUB_WEBHOOK_SECRET"
    if environ.get(name):
        return Check(name="webhook secret", state=State.OK, found=f"{name} is set")
    found = f"{name} is {'empty' if name in environ else 'not set'}: the server does not start without it"
    fix = f"set {name} to the secret of the webhook on GitHub"
    return Check(name="webhook secret", state=State.LIMITED, found=found, fix=fix)


def _find_image(environ: Mapping[str, str]) -> Image | None:
    try:
        return ImageStore(image_directory(environ)).find(IMAGE)
    except ImageMissingError:
        return None


def _output(command: list[str]) -> str | None:
    """Return what a program prints, or None when it is missing, fails or hangs."""
    try:
        result = subprocess.run(
            command, check=False, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_DEADLINE_S
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return result.stdout if result.returncode == 0 else None


def _age(age: timedelta) -> str:
    if age.days:
        return f"{age.days} days" if age.days > 1 else "1 day"
    return f"{age.seconds // 3600} h" if age.seconds >= 3600 else f"{age.seconds // 60} min"
