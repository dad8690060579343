"""Builds an image: a Debian tree by mmdebstrap, a kernel and an initramfs beside it, an ext4 file made of it.

The same for root and for an ordinary user (see ``namespace``). Everything happens in a directory of its own; the
image appears in the store when it is complete. A build that fails or is cancelled leaves nothing; one whose process
was killed is cleaned up by the next.
"""

import hashlib
import json
import os
import shlex
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import anyio
import anyio.to_thread

from terraphim_runner.model.errors import InfrastructureError
from terraphim_runner.providers.image.apt_settings import host_apt_settings
from terraphim_runner.providers.image.definition import ImageDefinition
from terraphim_runner.providers.image.initrd import build_initrd
from terraphim_runner.providers.image.kernel import UnpackedKernel, install_modules, read_unpacked_kernel
from terraphim_runner.providers.image.namespace import SYSTEM_PATH, remove_tree, run_as_root
from terraphim_runner.providers.image.progress import BuildProgress, BuildStage
from terraphim_runner.providers.image.requirements import require_host, require_space
from terraphim_runner.providers.image.sources import host_sources
from terraphim_runner.providers.image.sparse import sparse_digest
from terraphim_runner.providers.image.store import (
    INITRD,
    KERNEL,
    ROOTFS,
    Image,
    ImageMissingError,
    ImageStore,
    write_manifest,
)

BUILD_DEADLINE_S = 900
_BUILDER_VERSION = 1
_LOCK_POLL_S = 0.2
_SCRIPTS = Path(__file__).parent / "scripts"
_EXCLUDED_PATHS = (
    "/usr/share/doc/*",
    "/usr/share/man/*",
    "/usr/share/info/*",
    "/usr/share/locale/*",
    "/usr/share/lintian/*",
    "/usr/share/bash-completion/*",
    "/usr/share/bug/*",
)
_PROXY_VARIABLES = ("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")
# What mmdebstrap says when the next stage begins.
_STAGE_LINES = {
    "I: extracting archives": BuildStage.INSTALL,
    "I: running --customize-hook": BuildStage.KERNEL,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildRequest:
    """``mirror`` is the address of a Debian mirror, None for the host's own sources or else mmdebstrap's default.

    ``force`` builds although the image is up to date, which brings newer packages.
    """

    definition: ImageDefinition
    mirror: str | None = None
    force: bool = False


def inputs_digest(definition: ImageDefinition) -> str:
    """Return the digest of everything that decides what an image is made of, except the archive's state."""
    digest = hashlib.sha256()
    digest.update(json.dumps([_BUILDER_VERSION, definition.model_dump()], sort_keys=True).encode())
    for script in sorted(_SCRIPTS.glob("*.sh")):
        digest.update(script.name.encode() + b"\0" + script.read_bytes())
    return digest.hexdigest()


def up_to_date(definition: ImageDefinition, store: ImageStore) -> Image | None:
    """Return the stored image if it was built from these inputs, else None."""
    try:
        image = store.find(definition.name)
    except ImageMissingError:
        return None
    return image if image.inputs_digest == inputs_digest(definition) else None


async def build(
    request: BuildRequest, store: ImageStore, progress: BuildProgress, *, environ: Mapping[str, str]
) -> Image:
    """Return a complete, current image of the definition, building it unless it is up to date.

    Two builders of one image do not collide: the second waits and takes the first one's. ``environ`` is looked at for
    proxies only. Raises ``InfrastructureError``: the host lacks something, the mirror cannot be reached, the disk is
    full, or it took more than ``BUILD_DEADLINE_S``.
    """
    asked_at = datetime.now(UTC)
    definition = request.definition
    if not request.force and (image := up_to_date(definition, store)):
        return image
    require_host(os.getuid())
    try:
        with ExitStack() as stack, anyio.fail_after(BUILD_DEADLINE_S):
            lock = await _acquire(store, definition.name, stack, progress)
            image = up_to_date(definition, store)
            if image is not None and (not request.force or image.created_at >= asked_at):
                return image
            for path in store.leftovers(definition.name):
                await anyio.to_thread.run_sync(remove_tree, path)
            require_space(store.directory)
            return await _Build(request, store, progress, environ, lock).run()
    except TimeoutError as error:
        raise InfrastructureError(
            doing=f"build the VM image {definition.name!r}", reason=f"it took more than {BUILD_DEADLINE_S} s"
        ) from error


async def _acquire(store: ImageStore, name: str, stack: ExitStack, progress: BuildProgress) -> int:
    told = False
    while True:
        try:
            return stack.enter_context(store.lock(name))
        except BlockingIOError:
            if not told:
                progress.stage(BuildStage.WAIT)
                told = True
            await anyio.sleep(_LOCK_POLL_S)


class _Build:
    """One build, with the lock held."""

    def __init__(
        self,
        request: BuildRequest,
        store: ImageStore,
        progress: BuildProgress,
        environ: Mapping[str, str],
        lock: int,
    ) -> None:
        self._definition = request.definition
        self._mirror = request.mirror
        self._store = store
        self._progress = progress
        self._environ = environ
        self._lock = lock
        self._stage: BuildStage | None = None
        self._deadline = time.monotonic() + BUILD_DEADLINE_S

    async def run(self) -> Image:
        work = self._store.building_directory(self._definition.name)
        try:
            return await self._run(work)
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(remove_tree, work)

    async def _run(self, work: Path) -> Image:
        tree, parts, result = work / "tree", work / "parts", work / "image"
        for directory in (parts, result):
            directory.mkdir()
            directory.chmod(0o755)
        await self._debian_tree(tree, parts)
        self._enter(BuildStage.KERNEL)
        kernel = await anyio.to_thread.run_sync(read_unpacked_kernel, parts / "kernel")
        await anyio.to_thread.run_sync(_write, result / KERNEL, kernel.vmlinux)
        await anyio.to_thread.run_sync(install_modules, kernel, self._definition.modules, tree)
        packages = _packages(parts / "packages", parts / "extra-packages")
        self._enter(BuildStage.INITRAMFS)
        await anyio.to_thread.run_sync(_write_initrd, result / INITRD, kernel, _busybox(parts / "busybox"))
        self._enter(BuildStage.FILESYSTEM)
        await self._filesystem(tree, result / ROOTFS, kernel.release)
        self._enter(BuildStage.FINISH)
        return await anyio.to_thread.run_sync(self._finish, result, kernel.release, packages)

    async def _debian_tree(self, tree: Path, parts: Path) -> None:
        self._enter(BuildStage.DOWNLOAD)
        definition = self._definition
        apt = await anyio.to_thread.run_sync(host_apt_settings)
        fetch = shlex.join(["sh", str(_SCRIPTS / "fetch_kernel.sh"), definition.kernel, str(parts)])
        configure = shlex.join(["sh", str(_SCRIPTS / "configure_guest.sh"), str(parts)])
        command = [
            "mmdebstrap",
            "--mode=root",
            "--variant=essential",
            "--format=directory",
            f"--include={','.join(definition.packages)}",
            *(f"--aptopt={option}" for option in ('APT::Install-Recommends "false"', *apt.options)),
            "--dpkgopt=force-unsafe-io",
            *(f"--dpkgopt=path-exclude={path}" for path in _EXCLUDED_PATHS),
            f'--customize-hook={fetch} "$1"',
            f'--customize-hook={configure} "$1"',
            definition.suite,
            str(tree),
            *self._mirrors(),
        ]
        await self._as_root(command, f"install Debian {definition.suite}", apt.proxies)

    def _mirrors(self) -> list[str]:
        if self._mirror is not None:
            return [self._mirror]
        return [source.one_line() for source in host_sources(self._definition.suite)]

    async def _filesystem(self, tree: Path, file: Path, release: str) -> None:
        script = str(_SCRIPTS / "make_filesystem.sh")
        command = ["sh", script, str(tree), str(file), str(self._definition.size_mib), release]
        await self._as_root(command, "make the root file system", {})

    async def _as_root(self, command: list[str], doing: str, proxies: Mapping[str, str]) -> None:
        given = {name: self._environ[name] for name in _PROXY_VARIABLES if name in self._environ}
        environ = {"PATH": SYSTEM_PATH, "LC_ALL": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive", **proxies, **given}
        remaining_s = self._deadline - time.monotonic()
        await run_as_root(
            command, doing=doing, environ=environ, on_line=self._line, lock=self._lock, deadline_s=remaining_s
        )

    def _line(self, text: str) -> None:
        for prefix, stage in _STAGE_LINES.items():
            if text.startswith(prefix):
                self._enter(stage)
        self._progress.detail(text.removeprefix("I: "))

    def _enter(self, stage: BuildStage) -> None:
        if stage is not self._stage:
            self._stage = stage
            self._progress.stage(stage)

    def _finish(self, result: Path, release: str, packages: list[tuple[str, str]]) -> Image:
        digests = {name: sparse_digest(result / name) for name in (KERNEL, INITRD, ROOTFS)}
        digest = hashlib.sha256(json.dumps(digests, sort_keys=True).encode()).hexdigest()[:32]
        fields = {
            "files": {name: (result / name).stat().st_size for name in digests},
            "sha256": digests,
            "inputs_digest": inputs_digest(self._definition),
            "suite": self._definition.suite,
            "kernel_release": release,
            "packages": packages,
            "created_at": datetime.now(UTC).isoformat(timespec="microseconds"),
        }
        write_manifest(result, fields)
        return self._store.adopt(self._definition.name, result, digest)


def _write(path: Path, content: Callable[[], bytes]) -> None:
    path.write_bytes(content())
    path.chmod(0o644)


def _write_initrd(path: Path, kernel: UnpackedKernel, busybox: Path) -> None:
    _write(path, lambda: build_initrd(kernel, busybox.read_bytes()))


def _busybox(package: Path) -> Path:
    # Debian 13 moved what Debian 12 has in /bin.
    merged = package / "usr/bin/busybox"
    return merged if merged.is_file() else package / "bin/busybox"


def _packages(*lists: Path) -> list[tuple[str, str]]:
    lines = [line for path in lists for line in path.read_text(encoding="utf-8").splitlines()]
    return sorted((name, version) for name, _, version in (line.partition("\t") for line in lines))
