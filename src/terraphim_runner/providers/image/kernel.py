"""What is taken from a kernel package: the bootable ELF file and the modules that a machine needs."""

import lzma
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from terraphim_runner.model.errors import InfrastructureError
from terraphim_runner.providers.image.vmlinux import extract_vmlinux

_DEPENDS = re.compile(rb"\0depends=([^\0]*)\0")
_INDEX_FILES = ("modules.builtin", "modules.builtin.modinfo", "modules.order")


@dataclass(frozen=True, slots=True, kw_only=True)
class UnpackedKernel:
    """A kernel package that was unpacked; ``modules`` maps a module's name (with underscores) to its file."""

    release: str
    image: Path
    modules_directory: Path
    modules: dict[str, Path]
    builtin: frozenset[str]
    """Names of modules that are part of the kernel itself."""

    def vmlinux(self) -> bytes:
        """Return the ELF kernel. Takes about a second."""
        return extract_vmlinux(self.image.read_bytes())

    def module(self, name: str) -> bytes:
        """Return a module as ``insmod`` takes it, uncompressed."""
        path = self.modules.get(_canonical(name))
        if path is None:
            raise InfrastructureError(
                doing=f"take the module {name!r} from the kernel {self.release}",
                reason="it has none of that name, neither as a file nor built in",
            )
        content = path.read_bytes()
        return lzma.decompress(content) if path.suffix == ".xz" else content

    def with_dependencies(self, names: Sequence[str]) -> list[str]:
        """Return the modules and everything that they depend on, each after its own dependencies.

        What is built into the kernel is left out: which modules are differs between releases.
        """
        ordered: list[str] = []
        pending = [(_canonical(name), False) for name in reversed(names)]
        seen: set[str] = set()
        while pending:
            name, expanded = pending.pop()
            if expanded:
                ordered.append(name)
            elif name not in seen and name not in self.builtin:
                seen.add(name)
                pending.append((name, True))
                pending += [(dependency, False) for dependency in module_dependencies(self.module(name))]
        return ordered


def read_unpacked_kernel(directory: Path) -> UnpackedKernel:
    """Return the one kernel below an unpacked package, or raise ``InfrastructureError`` saying what is there."""
    images = sorted((directory / "boot").glob("vmlinuz-*"))
    if len(images) != 1:
        raise InfrastructureError(
            doing="read the kernel package", reason=f"found {len(images)} files boot/vmlinuz-*, expected 1"
        )
    release = images[0].name.removeprefix("vmlinuz-")
    roots = [root for root in (directory / "lib/modules", directory / "usr/lib/modules") if (root / release).is_dir()]
    if not roots:
        raise InfrastructureError(doing="read the kernel package", reason=f"it has no modules for {release}")
    modules_directory = roots[0] / release
    modules = {
        _canonical(path.name.split(".ko", 1)[0]): path
        for path in sorted(modules_directory.rglob("*.ko*"))
        if path.name.endswith((".ko", ".ko.xz"))
    }
    return UnpackedKernel(
        release=release,
        image=images[0],
        modules_directory=modules_directory,
        modules=modules,
        builtin=_builtin(modules_directory / "modules.builtin"),
    )


def install_modules(kernel: UnpackedKernel, names: Sequence[str], root: Path) -> None:
    """Copy modules with their dependencies below ``root``, as depmod expects them."""
    target = root / "usr/lib/modules" / kernel.release
    for name in kernel.with_dependencies(names):
        source = kernel.modules[name]
        destination = target / source.relative_to(kernel.modules_directory)
        destination.parent.mkdir(parents=True, exist_ok=True)
        destination.write_bytes(source.read_bytes())
    target.mkdir(parents=True, exist_ok=True)
    for file in _INDEX_FILES:
        if (kernel.modules_directory / file).is_file():
            (target / file).write_bytes((kernel.modules_directory / file).read_bytes())


def module_dependencies(module: bytes) -> list[str]:
    """Return the names of the modules that one says it depends on, in the order it names them."""
    match = _DEPENDS.search(module)
    return [_canonical(name) for name in match[1].decode("ascii", "replace").split(",") if name] if match else []


def _builtin(index: Path) -> frozenset[str]:
    if not index.is_file():
        return frozenset()
    lines = index.read_text(encoding="ascii").split()
    return frozenset(_canonical(Path(line).name.removesuffix(".ko")) for line in lines)


def _canonical(name: str) -> str:
    # The file may be called virtio-rng.ko, the module is always virtio_rng.
    return name.replace("-", "_")
