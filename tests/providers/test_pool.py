"""The pool by itself, with machines that are only names."""

from contextlib import AsyncExitStack

import anyio
import anyio.lowlevel
import pytest

from terraphim_runner.model.errors import InfrastructureError
from terraphim_runner.providers.pool import Made, Pool

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("trouble", [InfrastructureError(doing="x", reason="y"), OSError(24, "too many open files")])
async def test_machine_that_cannot_be_made_ends_no_task_of_the_others(trouble: Exception) -> None:
    async def make() -> Made[str]:
        raise trouble

    async def live() -> None:
        nonlocal lived
        await anyio.lowlevel.checkpoint()
        await pool.settled("kind")
        lived = True

    lived = False
    async with anyio.create_task_group() as tasks:
        pool = Pool[str](tasks, size=1, refill_after_s=0, is_good=lambda _: True)
        pool.refill("kind", make)
        tasks.start_soon(live)
    assert lived
    assert await pool.take("kind") is None


async def test_machine_that_was_made_is_handed_out_once() -> None:
    async def make() -> Made[str]:
        return "machine", AsyncExitStack()

    async with anyio.create_task_group() as tasks:
        pool = Pool[str](tasks, size=1, refill_after_s=0, is_good=lambda _: True)
        pool.refill("kind", make)
        with anyio.fail_after(20):
            await pool.settled("kind")
    taken = await pool.take("kind")
    assert taken is not None
    assert taken[0] == "machine"
    assert await pool.take("kind") is None
