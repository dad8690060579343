"""Locks that hold among tasks, event loops and processes."""

import subprocess
import sys

import anyio
import anyio.lowlevel
import pytest
from anyio import to_thread

from terraphim_runner.github.contents.locks import NamedLocks
from terraphim_runner.model.errors import InfrastructureError

HOLDER = """
import fcntl, sys
file = open(sys.argv[1], "w")
fcntl.flock(file, fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.read()
"""


@pytest.mark.anyio
async def test_lock_held_by_another_process_is_waited_for_until_the_deadline(tmp_path):
    (tmp_path / "octo").mkdir()
    command = [sys.executable, "-c", HOLDER, str(tmp_path / "octo" / "hello.lock")]
    async with await anyio.open_process(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdin is not None
        await holder.stdout.receive()
        with pytest.raises(InfrastructureError, match="somebody holds"):
            async with NamedLocks(tmp_path, timeout_s=0.05).hold("octo/hello"):
                pass
        await holder.stdin.aclose()
        async with NamedLocks(tmp_path, timeout_s=20).hold("octo/hello"):
            pass
        await holder.wait()


@pytest.mark.anyio
async def test_lock_is_held_by_one_task_of_several_event_loops_at_a_time(tmp_path):
    locks = NamedLocks(tmp_path, timeout_s=20)
    inside: list[int] = []
    seen: list[int] = []

    async def enter(number: int) -> None:
        async with locks.hold("a"):
            inside.append(number)
            await anyio.lowlevel.checkpoint()
            seen.append(len(inside))
            inside.remove(number)

    async with anyio.create_task_group() as tasks:
        for number in range(4):
            tasks.start_soon(enter, number)
            tasks.start_soon(to_thread.run_sync, lambda number=number: anyio.run(enter, number + 10))
    assert seen == [1] * 8


@pytest.mark.anyio
async def test_locks_of_other_names_do_not_wait(tmp_path):
    locks = NamedLocks(tmp_path, timeout_s=0.05)
    async with locks.hold("a/b"), locks.hold("a/c"):
        assert len(list((tmp_path / "a").iterdir())) == 2
