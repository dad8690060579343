"""Builds that end badly: real ones, with the host's own programs."""

import os
import sys
import time
from pathlib import Path

import anyio
import pytest

from terraphim_runner.model.errors import InfrastructureError
from terraphim_runner.providers.image.builder import BuildRequest, build, up_to_date
from terraphim_runner.providers.image.definition import load_definition
from terraphim_runner.providers.image.progress import BuildStage, SilentProgress
from terraphim_runner.providers.image.requirements import missing_requirements
from terraphim_runner.providers.image.store import ImageStore

pytestmark = [pytest.mark.vm, pytest.mark.anyio]

REQUEST = BuildRequest(definition=load_definition("default"))


@pytest.fixture(autouse=True)
def _tools():
    if missing := missing_requirements(os.getuid()):
        pytest.skip("; ".join(item.what for item in missing))


@pytest.fixture
def store(tmp_path):
    return ImageStore(tmp_path / "images")


class Recorder(SilentProgress):
    """Remembers the stages, and tells when one begins."""

    def __init__(self):
        self.stages = []
        self.changed = anyio.Event()

    def stage(self, stage):
        self.stages.append(stage)
        self.changed.set()
        self.changed = anyio.Event()

    async def reached(self, stage, within_s=60):
        with anyio.fail_after(within_s):
            while stage not in self.stages:
                await self.changed.wait()


def traces(directory):
    """Processes and mounts that have to do with a directory."""
    found = [line for line in Path("/proc/mounts").read_text().splitlines() if str(directory) in line]
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if str(directory) in command and int(entry.name) != os.getpid():
            found.append(command)
    return found


async def wait_until(condition, within_s=10):
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true in time"
        await anyio.sleep(0.02)


async def test_build_cancelled_while_it_installs_leaves_nothing(store):
    progress = Recorder()
    async with anyio.create_task_group() as group:
        group.start_soon(_build, store, progress)
        await progress.reached(BuildStage.INSTALL)
        assert len(store.leftovers("default")) == 1
        group.cancel_scope.cancel()
    assert store.leftovers("default") == ()
    assert traces(store.directory) == []
    assert up_to_date(REQUEST.definition, store) is None
    with store.lock("default"):
        pass


async def test_build_whose_process_was_killed_is_cleaned_up_by_the_next(store):
    program = (
        "import anyio, os, sys, pathlib\n"
        "from terraphim_runner.providers.image.builder import BuildRequest, build\n"
        "from terraphim_runner.providers.image.definition import load_definition\n"
        "from terraphim_runner.providers.image.progress import SilentProgress\n"
        "from terraphim_runner.providers.image.store import ImageStore\n"
        "class Told(SilentProgress):\n"
        "    def stage(self, stage): print(stage, flush=True)\n"
        "request = BuildRequest(definition=load_definition('default'))\n"
        "store = ImageStore(pathlib.Path(sys.argv[1]))\n"
        "anyio.run(lambda: build(request, store, Told(), environ=os.environ))\n"
    )
    command = [sys.executable, "-c", program, str(store.directory)]
    async with await anyio.open_process(command) as process:
        with anyio.fail_after(60):
            said = b""
            while BuildStage.INSTALL.encode() not in said:
                said += await process.stdout.receive()
        process.kill()
    await wait_until(lambda: traces(store.directory) == [])
    (leftover,) = store.leftovers("default")
    progress = Recorder()
    async with anyio.create_task_group() as group:
        group.start_soon(_build, store, progress)
        await progress.reached(BuildStage.DOWNLOAD)
        assert leftover not in store.leftovers("default")
        group.cancel_scope.cancel()
    assert store.leftovers("default") == ()


async def test_build_with_a_mirror_that_does_not_answer_says_so(store):
    request = BuildRequest(definition=REQUEST.definition, mirror="http://127.0.0.1:9/debian")
    with pytest.raises(InfrastructureError, match="could not install Debian bookworm") as caught:
        await build(request, store, SilentProgress(), environ={})
    assert "127.0.0.1" in caught.value.reason
    assert caught.value.retryable
    assert store.leftovers("default") == ()


async def test_build_while_another_one_goes_on_waits(store):
    progress = Recorder()
    async with anyio.create_task_group() as group:
        with store.lock("default"):
            group.start_soon(_build, store, progress)
            await progress.reached(BuildStage.WAIT)
            assert progress.stages == [BuildStage.WAIT]
        await progress.reached(BuildStage.DOWNLOAD)
        group.cancel_scope.cancel()


async def test_build_that_is_up_to_date_does_nothing(built_image):
    progress = Recorder()
    store = ImageStore(built_image.directory.parents[1])
    if up_to_date(REQUEST.definition, store) is None:
        pytest.skip("the built image is from another definition")
    assert await build(REQUEST, store, progress, environ={}) == built_image
    assert progress.stages == []


async def _build(store, progress):
    await build(REQUEST, store, progress, environ=os.environ)
