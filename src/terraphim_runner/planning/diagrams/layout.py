"""Where each job stands in a picture: a column per depth of ``needs``, jobs of a column below each other."""

from collections.abc import Mapping
from dataclasses import dataclass

from terraphim_runner.model.ids import JobKey
from terraphim_runner.planning.plan import JobOutline, PlanOutline


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """``column`` is one more than the greatest of the job's needs; ``row`` counts from the top."""

    job: JobOutline
    column: int
    row: int


def layers(plan: PlanOutline) -> Mapping[JobKey, Cell]:
    """Return the place of every job. Within a column, jobs stand about where those are that they need.

    The order within a column follows the mean row of a job's needs, else the file's: few lines cross, and the same
    plan always gives the same picture.
    """
    columns: dict[int, list[JobOutline]] = {}
    depth: dict[JobKey, int] = {}
    for job in plan.jobs:
        depth[job.key] = 1 + max((depth[key] for key in job.needs if key in depth), default=-1)
        columns.setdefault(depth[job.key], []).append(job)
    cells: dict[JobKey, Cell] = {}
    for column in sorted(columns):
        for row, job in enumerate(sorted(columns[column], key=lambda job: _mean_row(job, cells))):
            cells[job.key] = Cell(job=job, column=column, row=row)
    return cells


def _mean_row(job: JobOutline, cells: Mapping[JobKey, Cell]) -> float:
    rows = [cells[key].row for key in job.needs if key in cells]
    return sum(rows) / len(rows) if rows else 0.0
