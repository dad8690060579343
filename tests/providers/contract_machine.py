"""A session with shortcuts, and the search for what sessions leave behind; shared by the cases."""

import os
from contextlib import suppress
from pathlib import Path

import anyio

from terraphim_runner.ports import Command, Exit, MachineSpec, Session, Stream

SPEC = MachineSpec(image="default")
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Output:
    """Keeps what a command printed."""

    def __init__(self) -> None:
        self.stdout = bytearray()
        self.stderr = bytearray()
        self._changed = anyio.Event()

    async def __call__(self, stream: Stream, data: bytes) -> None:
        (self.stdout if stream is Stream.STDOUT else self.stderr).extend(data)
        self._changed.set()
        self._changed = anyio.Event()

    async def until(self, text: bytes) -> None:
        """Return when that was printed."""
        with anyio.fail_after(20):
            while text not in self.stdout:
                await self._changed.wait()


class Machine:
    """A session with shortcuts for the cases."""

    def __init__(self, session: Session, kind: str) -> None:
        self.session = session
        self.kind = kind

    def command(self, *argv: str, stdin: bytes = b"", cwd: str | None = None, user: str = "runner") -> Command:
        return Command(argv=argv, env={"PATH": PATH}, cwd=cwd or self.session.home, user=user, stdin=stdin)

    async def run(
        self, *argv: str, stdin: bytes = b"", cwd: str | None = None, user: str = "runner"
    ) -> tuple[Exit, Output]:
        output = Output()
        async with self.session.exec(self.command(*argv, stdin=stdin, cwd=cwd, user=user), output) as process:
            return await process.wait(), output

    async def shell(self, script: str, user: str = "runner") -> tuple[Exit, Output]:
        return await self.run("sh", "-c", script, user=user)

    async def text(self, script: str, user: str = "runner") -> str:
        ended, output = await self.shell(script, user)
        assert ended.ok, output.stderr.decode()
        return output.stdout.decode().rstrip("\n")


async def leftovers(directory: Path) -> list[str]:
    """Return what machines of that directory left: directories, processes, control groups."""
    found = [str(path) for parent in (directory, directory / "vms") for path in parent.glob("*-????????????*")]
    found += [f"process {pid}" for pid in processes_of(directory)]
    return found + await empty_groups()


async def empty_groups() -> list[str]:
    """Return the control groups that nobody is in. Another server's machine may just be starting or ending."""
    empty = _empty_groups() - _OTHERS
    with anyio.move_on_after(3):
        while empty:
            await anyio.sleep(0.1)
            empty &= _empty_groups()
    return sorted(map(str, empty))


def _empty_groups() -> set[Path]:
    found: set[Path] = set()
    for path in Path("/sys/fs/cgroup").glob("**/terraphim-vm-*"):
        with suppress(OSError):
            if not (path / "cgroup.procs").read_text():
                found.add(path)
    return found


_OTHERS = _empty_groups()
"""What a crashed server left here before these tests began; its next start sweeps it."""


def processes_of(directory: Path) -> list[int]:
    """Return the processes that have anything of that directory open, as their program or as their directory."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        with suppress(OSError):
            links = [entry / "cwd", *(entry / "fd").iterdir()]
            places = []
            for link in links:
                with suppress(OSError):
                    places.append(str(link.readlink()))
            if any(place.startswith(f"{directory}/") for place in places):
                found.append(int(entry.name))
    return found
