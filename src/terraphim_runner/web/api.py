"""The read-only API: runs, their jobs and steps, and logs that can be followed while they grow."""

from collections.abc import AsyncGenerator
from typing import Annotated, Any, Final, Literal

import anyio.to_thread
from fastapi import APIRouter, Depends, HTTPException, Path, Query
from fastapi.responses import JSONResponse, Response, StreamingResponse
from sqlalchemy import Connection

from terraphim_runner.model.ids import DeliveryId, JobId, RunId
from terraphim_runner.model.states import Status
from terraphim_runner.store import claims, deliveries, jobs, runs, steps
from terraphim_runner.store.database import Database
from terraphim_runner.store.logs import LogStore, as_json, as_text
from terraphim_runner.web.access import Access
from terraphim_runner.web.views import run_detail, run_summary

MAX_RUNS: Final = 200
MAX_SLICE_BYTES: Final = 1024 * 1024

# Not more digits than the databases' numbers have.
Number = Annotated[str, Path(pattern=r"^[0-9]{1,18}$")]
Offset = Annotated[int | None, Query(ge=0, le=2**62)]


def api_routes(*, database: Database, logs: LogStore, access: Access) -> APIRouter:
    """Return the routes of the API, every one of them behind ``access``."""
    router = APIRouter(prefix="/api", dependencies=[Depends(access.check)])

    @router.get("/runs")
    async def list_runs(
        limit: Annotated[int, Query(ge=1, le=MAX_RUNS)] = 30,
        delivery: Annotated[str | None, Query(max_length=100)] = None,
    ) -> JSONResponse:
        """The newest runs first. With ``delivery``, only that delivery's, and how far it came."""
        wanted = DeliveryId(delivery) if delivery is not None else None
        return JSONResponse(await database.read(_list, limit=limit, delivery=wanted))

    @router.get("/runs/{run_id}")
    async def show_run(run_id: Number) -> JSONResponse:
        """One run with its jobs, steps, annotations, summaries and diagnostics."""
        found = await database.read(_show, RunId(run_id))
        if found is None:
            raise HTTPException(404, f"there is no run {run_id}")
        return JSONResponse(found)

    @router.get("/runs/{run_id}/jobs/{job_id}/logs")
    async def show_logs(run_id: Number, job_id: Number, form: FormQuery = "text", after: Offset = None) -> Response:
        """A job's log, as text (time, space, line) or JSON.

        With ``after`` at most 1 MiB from that offset on; the header ``X-Log-Next``, or ``next`` in JSON, is where to
        go on, and ``X-Log-Complete``, or ``complete``, says that nothing more will come. Without it the whole log.
        """
        run, job = RunId(run_id), JobId(job_id)
        row = await database.read(jobs.describe_one, run, job)
        if row is None:
            raise HTTPException(404, f"run {run_id} has no job {job_id}")
        # Asked before the log is read: a job that ends in between is reported as complete the next time.
        is_complete = row["status"] == Status.COMPLETED
        if form == "text" and after is None:
            return StreamingResponse(_whole(logs, run, job), media_type="text/plain; charset=utf-8")
        found = await anyio.to_thread.run_sync(lambda: logs.read(run, job, after=after or 0, max_bytes=MAX_SLICE_BYTES))
        at_end = is_complete and not found.lines
        if form == "json":
            lines = [as_json(line) for line in found.lines]
            return JSONResponse({"lines": lines, "next": found.next, "complete": at_end})
        text = "".join(f"{as_text(line)}\n" for line in found.lines)
        headers = {"X-Log-Next": str(found.next), "X-Log-Complete": str(at_end).lower()}
        return Response(text, media_type="text/plain; charset=utf-8", headers=headers)

    return router


FormQuery = Annotated[Literal["text", "json"], Query(alias="format")]


async def _whole(logs: LogStore, run_id: RunId, job_id: JobId) -> AsyncGenerator[bytes]:
    offset = 0
    while True:
        found = await anyio.to_thread.run_sync(
            lambda after: logs.read(run_id, job_id, after=after, max_bytes=MAX_SLICE_BYTES), offset
        )
        if found.next == offset:
            return
        offset = found.next
        yield "".join(f"{as_text(line)}\n" for line in found.lines).encode(errors="replace")


def _list(connection: Connection, *, limit: int, delivery: DeliveryId | None) -> dict[str, Any]:
    rows = runs.listing(connection, limit=limit, delivery=delivery)
    pending = [RunId(str(row["id"])) for row in rows if row["status"] == Status.PENDING]
    waiting = claims.describe_waiting(connection, pending) if pending else {}
    found: dict[str, Any] = {"runs": [run_summary(row, waiting) for row in rows]}
    if delivery is not None:
        known = deliveries.describe(connection, delivery)
        found["delivery"] = (
            {"id": delivery, "state": known["state"], "note": known["note"], "event": known["event"]} if known else None
        )
    return found


def _show(connection: Connection, run_id: RunId) -> dict[str, Any] | None:
    row = runs.describe(connection, run_id)
    if row is None:
        return None
    return run_detail(
        row,
        jobs.describe(connection, run_id),
        steps.describe(connection, run_id),
        steps.describe_annotations(connection, run_id),
        claims.describe_waiting(connection, [run_id]),
    )
