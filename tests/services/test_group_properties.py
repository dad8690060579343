"""For any workflows and any order of what happens to their runs: groups are respected, and every run ends."""

import shutil
from pathlib import Path
from typing import Any

import anyio
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select

from terraphim_runner.model.ids import RunId
from terraphim_runner.model.secret import Secret
from terraphim_runner.model.states import Conclusion
from terraphim_runner.store import tables
from terraphim_runner.store.database import open_database

STEPS = "runs-on: x\n    steps: [{run: x}]\n"
CALLED = f"on: workflow_call\njobs:\n  in:\n    {STEPS}  inner:\n    needs: in\n    {{}}\n    {STEPS}"
ENDS = st.sampled_from([Conclusion.SUCCESS, Conclusion.FAILURE, Conclusion.CANCELLED])


@st.composite
def concurrency(draw) -> str:
    name = draw(st.sampled_from(["", "a", "B", "b", "c"]))
    more = draw(st.sampled_from(["", ", cancel-in-progress: true", ", queue: max"]))
    return f"concurrency: {{group: {name}{more}}}" if name else ""


@st.composite
def workflows(draw) -> tuple[str, str]:
    """A workflow, and the one that its job ``call`` calls."""
    text = f"on: push\n{draw(concurrency())}\njobs:\n  one:\n    {draw(concurrency())}\n    {STEPS}"
    text += f"  two:\n    needs: one\n    {draw(concurrency())}\n    {STEPS}"
    text += f"  call:\n    {draw(concurrency())}\n    uses: ./.github/workflows/called.yml\n"
    text += f"  last:\n    needs: [two, call]\n    if: always()\n    {draw(concurrency())}\n    {STEPS}"
    return text, draw(concurrency()) + "\n" + CALLED.replace("{}", draw(concurrency()))


class Look:
    """What the groups and the runs look like at one moment."""

    def __init__(self, connection: Any) -> None:
        claims, jobs, runs = tables.claims, tables.jobs, tables.runs
        on_the_way = jobs.c.status.in_(["queued", "in_progress"])
        holders = select(claims.c.key, func.count()).where(claims.c.holds).group_by(claims.c.key)
        self.holders = [count for _, count in connection.execute(holders)]
        held = select(claims.c.job_id, func.count()).where(claims.c.holds).group_by(claims.c.job_id)
        self.held = dict(connection.execute(held).all())
        active = select(jobs.c.id, jobs.c.leg).where(on_the_way)
        self.active = {row.id: len(row.leg["groups"]) for row in connection.execute(active)}
        waiting = select(claims.c.run_id).where(claims.c.job_id.is_(None), ~claims.c.holds)
        self.planned_too_early = connection.execute(select(jobs.c.id).where(jobs.c.run_id.in_(waiting))).all()
        self.unfinished = connection.execute(select(runs.c.id).where(runs.c.status != "completed")).all()
        self.claims = connection.execute(select(claims.c.id)).all()
        legs = select(jobs.c.run_id, jobs.c.leg_key, jobs.c.status).where(on_the_way, jobs.c.kind == "leg")
        self.legs = [
            (RunId(str(row.run_id)), row.leg_key, row.status) for row in connection.execute(legs.order_by(jobs.c.id))
        ]

    def check(self) -> None:
        assert all(count == 1 for count in self.holders), "a group has one holder"
        for job, groups in self.active.items():
            assert self.held.get(job, 0) == groups, "whoever is on its way holds all its groups"
        assert not self.planned_too_early, "nothing is planned of a run that waits"


class Play:
    """Some runs, and what happens to them."""

    def __init__(self, floor: Any, texts: list[tuple[str, str]], draw: Any) -> None:
        self.floor, self.coming, self.draw, self.pushed = floor, list(texts), draw, 0

    async def look(self) -> Look:
        found = await self.floor.database.read(Look)
        found.check()
        return found

    async def push(self) -> None:
        if self.coming:
            await self.floor.push(*self.coming.pop())
            self.pushed += 1

    async def end(self, *, crash: bool = False) -> None:
        if legs := (await self.look()).legs:
            run, leg, _ = self.draw(st.sampled_from(legs))
            await self.floor.end(run, leg, self.draw(ENDS), crash=crash)

    async def crash(self) -> None:
        await self.end(crash=True)

    async def begin(self) -> None:
        if legs := [leg for leg in (await self.look()).legs if leg[2] == "queued"]:
            run, leg, _ = self.draw(st.sampled_from(legs))
            await self.floor.begin(run, leg)

    async def cancel(self) -> None:
        if self.pushed:
            await self.floor.advancer.cancel(RunId(str(self.draw(st.integers(1, self.pushed)))), "somebody asked")

    async def sweep(self) -> None:
        await self.floor.recovery.sweep_once(starting=True)

    async def to_the_end(self) -> None:
        actions = st.sampled_from([self.push, self.push, self.end, self.end, self.begin, self.crash, self.cancel])
        for action in self.draw(st.lists(actions | st.just(self.sweep), min_size=4, max_size=12)):
            await action()
            await self.look()
        while self.coming:
            await self.push()
        while True:
            await self.floor.recovery.sweep_once()
            found = await self.look()
            if not found.unfinished:
                assert not found.claims
                return
            assert found.legs, "something of what is not over is on its way"
            # One end may cancel others that were on their way.
            run, leg, _ = found.legs[0]
            await self.floor.end(run, leg, self.draw(ENDS))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("examples")


@settings(
    suppress_health_check=[HealthCheck.too_slow],
    deadline=None,
    max_examples=25,
    # To explain a failure every line is traced, which takes many times as long.
    phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],
)
@given(texts=st.lists(workflows(), min_size=2, max_size=4), data=st.data())
def test_any_runs_take_turns_in_their_groups_and_end(floor_of, sqlite_template, folder, texts, data):
    path = folder / "example.sqlite"
    shutil.copy(sqlite_template, path)
    database = open_database(Secret(f"sqlite:///{path}"))
    try:
        anyio.run(Play(floor_of(database), texts, data.draw).to_the_end)
    finally:
        database.close()
        for part in folder.iterdir():
            part.unlink()
