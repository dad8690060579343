"""The providers under contract, and what the cases share."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from terraphim_runner.ports import Command, Exit, MachineSpec, Session, Stream
from terraphim_runner.providers.process.provider import ProcessProvider

SPEC = MachineSpec(image="default")
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


class Output:
    """Keeps what a command printed."""

    def __init__(self) -> None:
        self.stdout = bytearray()
        self.stderr = bytearray()

    async def __call__(self, stream: Stream, data: bytes) -> None:
        (self.stdout if stream is Stream.STDOUT else self.stderr).extend(data)


class Machine:
    """A session with shortcuts for the cases."""

    def __init__(self, session: Session) -> None:
        self.session = session

    def command(self, *argv: str, stdin: bytes = b"", cwd: str | None = None, user: str = "runner") -> Command:
        return Command(argv=argv, env={"PATH": PATH}, cwd=cwd or self.session.home, user=user, stdin=stdin)

    async def run(self, *argv: str, stdin: bytes = b"", cwd: str | None = None, user: str = "runner") -> tuple[Exit, Output]:
        output = Output()
        async with self.session.exec(self.command(*argv, stdin=stdin, cwd=cwd, user=user), output) as process:
            return await process.wait(), output

    async def shell(self, script: str, **more: str) -> tuple[Exit, Output]:
        return await self.run("sh", "-c", script, **more)


@pytest.fixture
async def process_provider(tmp_path: Path) -> AsyncIterator[ProcessProvider]:
    async with ProcessProvider(tmp_path / "sessions") as provider:
        yield provider


@pytest.fixture
async def machine(process_provider: ProcessProvider) -> AsyncIterator[Machine]:
    async with process_provider.acquire(SPEC) as session:
        yield Machine(session)
