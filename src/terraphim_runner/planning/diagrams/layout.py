"""Where each job stands in a picture: a column per depth of ``needs``, jobs of a column below each other."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from terraphim_runner.model.ids import JobKey
from terraphim_runner.planning.plan import JobOutline, PlanOutline

Place = tuple[JobKey, int]
"""A job and a column: its own column, or one that a line from it to a later job passes through."""

_MAX_ROUTED: Final = 300
"""With more jobs than that, lines pass behind the boxes between: rooms for them all would be too many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """``column`` is one more than the greatest of the job's needs; ``row`` counts from the top."""

    job: JobOutline
    column: int
    row: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """``rows`` has the row of each place: where a line over several columns passes, there is no box."""

    cells: Mapping[JobKey, Cell]
    rows: Mapping[Place, int]
    row_count: int

    def route(self, source: JobKey, target: JobKey) -> list[tuple[int, int]]:
        """Return the columns and rows that the line from one job to the other passes, both ends included."""
        begin, end = self.cells[source], self.cells[target]
        between = range(begin.column + 1, end.column)
        bends = [(column, self.rows[source, column]) for column in between if (source, column) in self.rows]
        return [(begin.column, begin.row), *bends, (end.column, end.row)]


def lay_out(plan: PlanOutline) -> Layout:
    """Return the place of every job. Within a column, jobs stand about where those are that they need.

    The order within a column follows the mean row of what comes from the left, else the file's: few lines cross, and
    the same plan always gives the same picture.
    """
    depth = _depths(plan)
    jobs = {job.key: job for job in plan.jobs}
    columns: dict[int, list[Place]] = {}
    for place in _places(plan, depth):
        columns.setdefault(place[1], []).append(place)
    rows: dict[Place, int] = {}
    for column in sorted(columns):
        keys = {place: _mean_row(place, jobs[place[0]], depth, rows) for place in columns[column]}
        rows.update({place: row for row, place in enumerate(sorted(columns[column], key=keys.__getitem__))})
    cells = {job.key: Cell(job=job, column=depth[job.key], row=rows[job.key, depth[job.key]]) for job in plan.jobs}
    return Layout(cells=cells, rows=rows, row_count=1 + max(rows.values(), default=0))


def _depths(plan: PlanOutline) -> dict[JobKey, int]:
    depth: dict[JobKey, int] = {}
    for job in plan.jobs:
        depth[job.key] = 1 + max((depth[key] for key in job.needs if key in depth), default=-1)
    return depth


def _places(plan: PlanOutline, depth: Mapping[JobKey, int]) -> list[Place]:
    """Return each job's own place, and one in each column that a line from it passes; lines from one job share them."""
    places: dict[Place, None] = {(job.key, depth[job.key]): None for job in plan.jobs}
    if len(plan.jobs) <= _MAX_ROUTED:
        for job in plan.jobs:
            for need in job.needs:
                if need in depth:
                    places.update({(need, column): None for column in range(depth[need] + 1, depth[job.key])})
    return list(places)


def _mean_row(place: Place, job: JobOutline, depth: Mapping[JobKey, int], rows: Mapping[Place, int]) -> float:
    key, column = place
    sources = job.needs if depth[key] == column else (key,)
    found = [rows[source, column - 1] for source in sources if (source, column - 1) in rows]
    return sum(found) / len(found) if found else 0.0
