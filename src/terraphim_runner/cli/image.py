"""``terraphim-runner image``: builds, lists and removes the images that machines boot from."""

import json
import os
import time
from collections.abc import Generator
from contextlib import contextmanager
from typing import Annotated

import anyio
import typer
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.text import Text

from terraphim_runner.data_directory import image_directory
from terraphim_runner.providers.image.builder import BuildRequest, build, up_to_date
from terraphim_runner.providers.image.definition import definition_names, load_definition
from terraphim_runner.providers.image.progress import BuildProgress, BuildStage
from terraphim_runner.providers.image.store import Image, ImageStore

_STAGE_TEXTS = {
    BuildStage.WAIT: "waiting for another build",
    BuildStage.DOWNLOAD: "downloading packages",
    BuildStage.INSTALL: "installing Debian",
    BuildStage.KERNEL: "taking the kernel",
    BuildStage.INITRAMFS: "packing the initramfs",
    BuildStage.FILESYSTEM: "making the file system",
    BuildStage.FINISH: "storing the image",
}

_images = typer.Typer(help="Build, list and remove the images that machines boot from.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the ``image`` commands to an application."""
    app.add_typer(_images, name="image")


@_images.command("build")
def build_command(
    name: Annotated[str, typer.Argument(help="The definition to build.")] = "default",
    *,
    force: Annotated[bool, typer.Option("--force", help="Build although it is up to date: newer packages.")] = False,
    suite: Annotated[str | None, typer.Option(help="Another Debian suite than the definition's.")] = None,
    mirror: Annotated[str | None, typer.Option(help="A Debian mirror's address; else the host's own sources.")] = None,
) -> None:
    """Build an image, unless it is up to date."""
    definition = load_definition(name)
    if suite is not None:
        definition = definition.with_suite(suite)
    store = ImageStore(image_directory(os.environ))
    if not force and (image := up_to_date(definition, store)):
        typer.echo(f"image {name!r} is up to date: {_summary(image)}")
        return
    began = time.monotonic()
    request = BuildRequest(definition=definition, mirror=mirror, force=force)
    with _progress(Console(stderr=True)) as progress:
        image = anyio.run(lambda: build(request, store, progress, environ=os.environ))
    typer.echo(f"image {name!r} built in {time.monotonic() - began:.1f} s: {_summary(image)}")


@_images.command("list")
def list_command(
    *, as_json: Annotated[bool, typer.Option("--json", help="One JSON array instead of a table.")] = False
) -> None:
    """List the images that are built, and the definitions that are not yet."""
    store = ImageStore(image_directory(os.environ))
    images = store.list()
    if as_json:
        typer.echo(json.dumps([_as_json(image, store) for image in images], indent=2))
        return
    rows = [("NAME", "SUITE", "KERNEL", "SIZE", "BUILT", "DIGEST")]
    for image in images:
        built = f"{image.created_at:%Y-%m-%d %H:%M} UTC" + ("" if _is_current(image, store) else " (outdated)")
        size = _megabytes(image.size_bytes)
        rows.append((image.name, image.suite, image.kernel_release, size, built, image.digest[:12]))
    unbuilt = sorted(set(definition_names()) - {image.name for image in images})
    rows += [(name, "", "", "", "not built", "") for name in unbuilt]
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    for row in rows:
        typer.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


@_images.command("remove")
def remove_command(name: Annotated[str, typer.Argument(help="The image to remove.")]) -> None:
    """Remove an image with all of its versions. Machines that run on it keep running."""
    freed = ImageStore(image_directory(os.environ)).remove(name)
    typer.echo(f"image {name!r} removed, {_megabytes(freed)} freed")


class _PlainProgress:
    """One line per stage, for logs and pipes."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._began = time.monotonic()

    def stage(self, stage: BuildStage) -> None:
        self._console.print(Text(f"[{time.monotonic() - self._began:6.1f} s] {_STAGE_TEXTS[stage]}"), soft_wrap=True)

    def detail(self, text: str) -> None:
        pass


class _LiveProgress:
    """A line per stage with its own elapsed time; the running one shows what its program says."""

    def __init__(self, display: Progress) -> None:
        self._display = display
        self._task: TaskID | None = None

    def stage(self, stage: BuildStage) -> None:
        self.done()
        self._task = self._display.add_task(_STAGE_TEXTS[stage], total=1, detail="")

    def detail(self, text: str) -> None:
        if self._task is not None:
            # Rich reads brackets as markup.
            self._display.update(self._task, detail=text[:60].replace("[", "\\["))

    def done(self) -> None:
        if self._task is not None:
            self._display.update(self._task, completed=1, detail="")


@contextmanager
def _progress(console: Console) -> Generator[BuildProgress]:
    if not console.is_terminal:
        yield _PlainProgress(console)
        return
    columns = (
        SpinnerColumn(finished_text="✓"),
        TextColumn("{task.description:<26}"),
        TimeElapsedColumn(),
        TextColumn("[dim]{task.fields[detail]}"),
    )
    with Progress(*columns, console=console) as display:
        live = _LiveProgress(display)
        yield live
        live.done()


def _summary(image: Image) -> str:
    return (
        f"Debian {image.suite}, kernel {image.kernel_release}, {len(image.packages)} packages, "
        f"{_megabytes(image.size_bytes)} in {image.directory}"
    )


def _as_json(image: Image, store: ImageStore) -> dict[str, object]:
    return {
        "name": image.name,
        "digest": image.digest,
        "suite": image.suite,
        "kernel_release": image.kernel_release,
        "packages": len(image.packages),
        "size_bytes": image.size_bytes,
        "created_at": image.created_at.isoformat(),
        "directory": str(image.directory),
        "up_to_date": _is_current(image, store),
    }


def _is_current(image: Image, store: ImageStore) -> bool:
    if image.name not in definition_names():
        return True
    return up_to_date(load_definition(image.name).with_suite(image.suite), store) is not None


def _megabytes(size_bytes: int) -> str:
    return f"{size_bytes / 1e6:.0f} MB"
