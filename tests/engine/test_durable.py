import sqlite3
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest

from terraphim_runner.engine.durable import Engine, Work
from terraphim_runner.engine.host import host_identity
from terraphim_runner.model.errors import InfrastructureError
from terraphim_runner.model.ids import DeliveryId, HostId, JobId
from terraphim_runner.model.secret import Secret

pytestmark = pytest.mark.anyio
DEADLINE_S = 20.0


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def url(tmp_path: Path) -> Secret:
    path = tmp_path / "engine.sqlite"
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.close()
    return Secret(f"sqlite:///{path}")


class Recorder:
    """Work that notes what it is asked to do."""

    def __init__(self) -> None:
        self.calls: list[object] = []
        self._changed = anyio.Event()
        self.running = 0
        self.most_running = 0
        self.hold: anyio.Event | None = None

    async def intake(self, delivery_id: DeliveryId) -> None:
        self._note(delivery_id)

    async def attempt(self, job_id: JobId, attempt: int) -> None:
        self.running += 1
        self.most_running = max(self.running, self.most_running)
        try:
            self._note((job_id, attempt))
            if self.hold is not None:
                await self.hold.wait()
        finally:
            self.running -= 1

    def _note(self, call: object) -> None:
        self.calls.append(call)
        self._changed.set()
        self._changed = anyio.Event()

    async def until(self, condition: Callable[[], bool]) -> None:
        with anyio.fail_after(DEADLINE_S):
            while not condition():
                await self._changed.wait()

    @property
    def work(self) -> Work:
        return Work(intake=self.intake, attempt=self.attempt)


def _engine(url: Secret, concurrency: int = 4) -> Engine:
    return Engine(database_url=url, host=HostId("h1"), concurrency=concurrency)


async def test_engine_carries_out_what_it_is_asked_for_once(url: Secret) -> None:
    recorder, engine = Recorder(), _engine(url)
    async with engine.running(recorder.work):
        for _ in range(3):
            await engine.start_intake(DeliveryId("d1"))
            await engine.enqueue_attempt(JobId("1"), 1)
        await engine.start_intake(DeliveryId("d1"), number=2)
        await engine.enqueue_attempt(JobId("1"), 2)
        await recorder.until(lambda: len(recorder.calls) == 4)
    assert sorted(map(str, recorder.calls)) == ["('1', 1)", "('1', 2)", "d1", "d1"]


async def test_engine_runs_no_more_attempts_at_once_than_it_may(url: Secret) -> None:
    recorder, engine = Recorder(), _engine(url, concurrency=2)
    recorder.hold = anyio.Event()
    async with engine.running(recorder.work):
        for number in range(5):
            await engine.enqueue_attempt(JobId(str(number)), 1)
        await recorder.until(lambda: recorder.running == 2)
        recorder.hold.set()
        await recorder.until(lambda: len(recorder.calls) == 5)
    assert recorder.most_running == 2


async def test_engine_survives_work_that_breaks(url: Secret, caplog: pytest.LogCaptureFixture) -> None:
    recorder, engine = Recorder(), _engine(url)

    async def broken(delivery_id: DeliveryId) -> None:
        await recorder.intake(delivery_id)
        raise LookupError("broken")

    async with engine.running(Work(intake=broken, attempt=recorder.attempt)):
        await engine.start_intake(DeliveryId("d1"))
        await recorder.until(lambda: recorder.calls == ["d1"])
        await engine.enqueue_attempt(JobId("1"), 1)
        await recorder.until(lambda: ("1", 1) in recorder.calls)
    assert "could not take in delivery d1" in caplog.text


async def test_engine_that_is_left_cancels_what_runs_and_waits_for_its_clean_up(url: Secret) -> None:
    recorder, engine = Recorder(), _engine(url)
    recorder.hold = anyio.Event()
    async with engine.running(recorder.work):
        await engine.enqueue_attempt(JobId("1"), 1)
        await recorder.until(lambda: recorder.running == 1)
    assert recorder.running == 0


async def test_engine_tells_when_it_is_through_with_an_attempt(url: Secret) -> None:
    recorder, engine = Recorder(), _engine(url)
    recorder.hold = anyio.Event()
    async with engine.running(recorder.work):
        assert not await engine.attempt_ended(JobId("1"), 1)
        await engine.enqueue_attempt(JobId("1"), 1)
        await recorder.until(lambda: recorder.running == 1)
        assert not await engine.attempt_ended(JobId("1"), 1)
        recorder.hold.set()
        with anyio.fail_after(DEADLINE_S):
            while not await engine.attempt_ended(JobId("1"), 1):
                await anyio.lowlevel.checkpoint()


async def test_engine_on_a_database_that_cannot_be_had_says_so(tmp_path: Path) -> None:
    engine = _engine(Secret(f"sqlite:///{tmp_path / 'none' / 'x.sqlite'}"))
    with pytest.raises(ExceptionGroup) as caught:
        async with engine.running(Recorder().work):
            pass
    assert isinstance(caught.value.exceptions[0], InfrastructureError)
    assert "start the engine" in str(caught.value.exceptions[0])


async def test_engine_killed_with_its_process_carries_on_at_the_next_start(url: Secret, tmp_path: Path) -> None:
    program = """
        import sys, anyio
        from terraphim_runner.engine.durable import Engine, Work
        from terraphim_runner.model.secret import Secret
        async def hang(*args):
            print("began", flush=True)
            await anyio.sleep_forever()
        async def main():
            engine = Engine(database_url=Secret(sys.argv[1]), host="h1", concurrency=1)
            async with engine.running(Work(intake=hang, attempt=hang)):
                await engine.start_intake("d1")
                await engine.enqueue_attempt("1", 1)
                await engine.enqueue_attempt("2", 1)
                await anyio.sleep_forever()
        anyio.run(main)
    """
    argv = [sys.executable, "-c", textwrap.dedent(program), url.reveal()]
    async with await anyio.open_process(argv, stderr=None) as process:
        assert process.stdout is not None
        said = b""
        with anyio.fail_after(DEADLINE_S):
            while said.count(b"began") < 2:
                said += await process.stdout.receive()
        process.kill()
    recorder, engine = Recorder(), _engine(url)
    async with engine.running(recorder.work):
        await recorder.until(lambda: len(recorder.calls) == 3)
    assert sorted(map(str, recorder.calls)) == ["('1', 1)", "('2', 1)", "d1"]


def test_host_identity_is_made_once_and_kept(tmp_path: Path) -> None:
    first = host_identity(tmp_path / "data")
    assert host_identity(tmp_path / "data") == first
    assert host_identity(tmp_path / "other") != first


def test_host_identity_that_is_damaged_is_told(tmp_path: Path) -> None:
    (tmp_path / "host-id").write_text("../x\n")
    with pytest.raises(InfrastructureError, match="remove the file"):
        host_identity(tmp_path)


def test_host_identity_that_cannot_be_kept_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InfrastructureError, match="TERRAPHIM_DATA_DIR"):
        host_identity(tmp_path / "file")
