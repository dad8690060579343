"""Where built images lie, and the only way to one that is whole.

Layout: ``<directory>/<name>/<digest>/{image.json,vmlinux,initrd.img,rootfs.ext4}`` and the symlink
``<directory>/<name>/current``. An image is built in ``.building-*`` beside them, renamed to its digest when it is
complete, and only then does ``current`` move (both renames are atomic), so that a reader sees the old image or the
new one. The digest is that of the built bytes: two builds of one definition may differ in package versions, and who
keys anything by an image must notice. ``inputs_digest`` is that of what was asked for, by which a build is found to
be up to date.

One earlier image is kept, for servers that still run machines on it; older ones go with the next build.
"""

import fcntl
import json
import os
import shutil
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from terraphim_runner.model.errors import InfrastructureError, UsageError
from terraphim_runner.providers.image.definition import NAME_PATTERN
from terraphim_runner.providers.image.namespace import remove_tree

MANIFEST = "image.json"
KERNEL = "vmlinux"
INITRD = "initrd.img"
ROOTFS = "rootfs.ext4"
_CURRENT = "current"
_BUILDING = ".building-"
_FORMAT = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """One complete image. ``kernel`` is an uncompressed ELF file, ``initrd`` a cpio to which another may be appended,
    ``rootfs`` a raw, sparse ext4 file that must be used read-only. ``size_bytes`` is what it takes on the disk.
    """

    name: str
    digest: str
    inputs_digest: str
    directory: Path
    kernel: Path
    initrd: Path
    rootfs: Path
    suite: str
    kernel_release: str
    packages: tuple[tuple[str, str], ...]
    """Every Debian package with its version."""
    created_at: datetime
    size_bytes: int


class ImageMissingError(InfrastructureError):
    """No complete image of that name is in the store."""

    def __init__(self, name: str, reason: str) -> None:
        self.name = name
        command = "terraphim-runner image build" + ("" if name == "default" else f" {name}")
        super().__init__(doing=f"find the VM image {name!r}", reason=reason, fix=f"run: {command}")


class ImageStore:
    """The images below one directory, which need not exist yet. Safe to use from several processes."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def find(self, name: str) -> Image:
        """Return the current image of that name, all of whose files exist.

        Raises ``ImageMissingError``, whose text says how to build it.
        """
        current = self._home(name) / _CURRENT
        try:
            directory = current.resolve(strict=True)
        except OSError:
            raise ImageMissingError(name, f"there is none in {self.directory}") from None
        return _read(name, directory)

    def list(self) -> tuple[Image, ...]:
        """Return the current image of every name, sorted; incomplete ones are left out."""
        images: tuple[Image, ...] = ()
        for path in sorted(self.directory.glob(f"*/{_CURRENT}")):
            try:
                images += (self.find(path.parent.name),)
            except (ImageMissingError, UsageError):
                continue
        return images

    def remove(self, name: str) -> int:
        """Remove every version of an image, unfinished ones too, and return how many bytes that freed.

        Machines that run on it keep their open files. Raises ``ImageMissingError`` when there is nothing, and
        ``InfrastructureError`` while somebody builds it.
        """
        home = self._home(name)
        if not home.is_dir() or not (_versions(home) or self.leftovers(name)):
            raise ImageMissingError(name, f"there is none in {self.directory}")
        try:
            with self.lock(name):
                freed = disk_usage(home)
                (home / _CURRENT).unlink(missing_ok=True)
                for path in (*_versions(home), *self.leftovers(name)):
                    remove_tree(path)
        except BlockingIOError as error:
            reason = "it is being built"
            raise InfrastructureError(doing=f"remove the VM image {name!r}", reason=reason, retryable=True) from error
        return freed

    @contextmanager
    def lock(self, name: str) -> Generator[int]:
        """Hold the right to change images of that name; yields the lock's file descriptor.

        The lock is the kernel's: it ends with the last process that holds the descriptor, however that ends.
        Raises ``BlockingIOError`` when somebody else has it.
        """
        home = self._home(name)
        home.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(home / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield descriptor
        finally:
            os.close(descriptor)

    def building_directory(self, name: str) -> Path:
        """Return a new directory for a build, on the store's own file system. The lock must be held."""
        path = self._home(name) / f"{_BUILDING}{os.getpid()}-{os.urandom(4).hex()}"
        path.mkdir(mode=0o755)
        return path

    def leftovers(self, name: str) -> tuple[Path, ...]:
        """Return the directories of builds that did not end. With the lock held, nobody works in them any more."""
        return tuple(path for path in self._home(name).glob(f"{_BUILDING}*") if not path.is_symlink())

    def adopt(self, name: str, built: Path, digest: str) -> Image:
        """Make a complete directory the current image of its name. The lock must be held; a crash changes nothing."""
        home = self._home(name)
        target = home / digest
        if target.exists():
            shutil.rmtree(built)
        else:
            _sync(built)
            built.rename(target)
        image = _read(name, target)
        previous = (home / _CURRENT).resolve()
        link = home / f"{_BUILDING}link"
        link.unlink(missing_ok=True)
        link.symlink_to(digest)
        link.rename(home / _CURRENT)
        for path in _versions(home):
            if path not in (target.resolve(), previous):
                shutil.rmtree(path)
        return image

    def _home(self, name: str) -> Path:
        if not NAME_PATTERN.fullmatch(name):
            raise UsageError(
                f"{name!r} is not an image name: expected lower-case letters, digits, '.', '_' and '-', up to 63"
            )
        return self.directory / name


def write_manifest(directory: Path, fields: dict[str, Any]) -> None:
    """Write ``image.json``; the files beside it must be complete."""
    text = json.dumps({"format": _FORMAT, **fields}, indent=1, sort_keys=True)
    (directory / MANIFEST).write_text(text + "\n", encoding="utf-8")


def disk_usage(directory: Path) -> int:
    """Return the bytes that the files below a directory really take; holes in sparse files take none."""
    return sum(path.lstat().st_blocks * 512 for path in directory.rglob("*"))


def _versions(home: Path) -> list[Path]:
    return [
        path.resolve() for path in home.iterdir() if path.is_dir() and not path.is_symlink() and path.name[0] != "."
    ]


def _read(name: str, directory: Path) -> Image:
    try:
        raw = json.loads((directory / MANIFEST).read_text(encoding="utf-8"))
        if raw["format"] != _FORMAT:
            raise ImageMissingError(name, f"the one in {directory} has format {raw['format']!r}, expected {_FORMAT}")
        for file, size in dict(raw["files"]).items():
            found = (directory / file).stat().st_size
            if found != size:
                raise ImageMissingError(name, f"{directory / file} has {found} bytes, expected {size}: it is damaged")
        return Image(
            name=name,
            digest=directory.name,
            inputs_digest=raw["inputs_digest"],
            directory=directory,
            kernel=directory / KERNEL,
            initrd=directory / INITRD,
            rootfs=directory / ROOTFS,
            suite=raw["suite"],
            kernel_release=raw["kernel_release"],
            packages=tuple((package, version) for package, version in raw["packages"]),
            created_at=datetime.fromisoformat(raw["created_at"]).astimezone(UTC),
            size_bytes=disk_usage(directory),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ImageMissingError(name, f"the one in {directory} is damaged: {error}") from error


def _sync(directory: Path) -> None:
    """Bring the files to the disk before they get their final name, or a power cut could leave empty ones under it."""
    for path in (*directory.iterdir(), directory):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
