"""How a build tells where it stands."""

from collections.abc import Callable
from enum import StrEnum
from typing import Protocol

LineSink = Callable[[str], None]
"""Takes one line of a program's output, printable and without its end."""


class BuildStage(StrEnum):
    """The stages in their order. ``WAIT`` comes only when somebody else builds the same image."""

    WAIT = "wait"
    DOWNLOAD = "download"
    INSTALL = "install"
    KERNEL = "kernel"
    INITRAMFS = "initramfs"
    FILESYSTEM = "filesystem"
    FINISH = "finish"


class BuildProgress(Protocol):
    """Is told of a build's progress, from the event loop's thread. Must not block.

    ``stage`` is called once when a stage begins; ``detail`` any number of times within one, with one line of
    printable text.
    """

    def stage(self, stage: BuildStage) -> None: ...

    def detail(self, text: str) -> None: ...


class SilentProgress:
    """For who does not want to know."""

    def stage(self, stage: BuildStage) -> None:
        pass

    def detail(self, text: str) -> None:
        pass
