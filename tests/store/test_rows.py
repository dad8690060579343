import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import anyio
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from terraphim_runner.model.event import Delivery
from terraphim_runner.model.ids import DeliveryId, HostId, JobId, JobKey, LegKey, RunId
from terraphim_runner.model.job import Annotation, AnnotationLevel, StepResult
from terraphim_runner.model.source import Diagnostic, Span
from terraphim_runner.model.states import Conclusion, Status
from terraphim_runner.planning.graph import PlannedLeg
from terraphim_runner.store import deliveries, jobs, runs, steps
from terraphim_runner.store.database import Database
from terraphim_runner.store.deliveries import DeliveryState
from terraphim_runner.store.runs import IllegalTransitionError

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 3, 4, 5, 6, 7, 123456, tzinfo=UTC)
HOST = HostId("h1")


def _delivery(name: str = "d1", body: bytes = b'{"x": 1}') -> Delivery:
    return Delivery(id=DeliveryId(name), event="push", body=body, received_at=NOW)


def _new_run(delivery: str = "d1", path: str = ".github/workflows/ci.yml", event: str = "push") -> runs.NewRun:
    return runs.NewRun(
        delivery=DeliveryId(delivery),
        repository="o/r",
        path=path,
        title="CI",
        event=event,
        ref="refs/heads/main",
        sha="a" * 40,
        source="on: push",
    )


def _leg(key: str = "build") -> PlannedLeg:
    return PlannedLeg(
        key=LegKey(key),
        job=JobKey(key.split("/", maxsplit=1)[0]),
        name=key,
        labels=("x",),
        matrix={},
        strategy={},
        timeout_minutes=1.0,
        continue_on_error=False,
    )


async def _run_with_leg(database: Database) -> tuple[RunId, jobs.StoredJob]:
    await database.write(deliveries.insert, _delivery())
    created = await database.write(runs.create, _new_run(), at=NOW)
    assert created is not None
    run_id, _ = created
    await database.write(jobs.add_legs, run_id, JobKey("build"), [_leg()], at=NOW)
    return run_id, await database.read(jobs.find, run_id, LegKey("build"))


async def _job(database: Database, job_id: JobId) -> jobs.StoredJob:
    job = await database.read(jobs.load, job_id)
    assert job is not None
    return job


async def test_delivery_inserted_twice_is_new_once_and_keeps_the_first_body(database: Database) -> None:
    assert await database.write(deliveries.insert, _delivery(body=b"1"))
    assert not await database.write(deliveries.insert, _delivery(body=b"2"))
    found = await database.read(deliveries.load, DeliveryId("d1"))
    assert found == (_delivery(body=b"1"), DeliveryState.RECEIVED)


async def test_delivery_inserted_by_many_at_once_is_new_for_exactly_one(database: Database) -> None:
    new: list[bool] = []

    async def insert() -> None:
        new.append(await database.write(deliveries.insert, _delivery()))

    async with anyio.create_task_group() as tasks:
        for _ in range(12):
            tasks.start_soon(insert)
    assert sorted(new) == [False] * 11 + [True]


async def test_delivery_that_is_settled_keeps_its_first_verdict(database: Database) -> None:
    await database.write(deliveries.insert, _delivery())
    for state in (DeliveryState.PROCESSED, DeliveryState.FAILED):
        await database.write(deliveries.settle, DeliveryId("d1"), state=state, note=state, at=NOW)
    found = await database.read(deliveries.describe, DeliveryId("d1"))
    assert found is not None
    assert (found["state"], found["note"], found["settled_at"]) == ("processed", "processed", NOW)
    assert "body" not in found


async def test_retry_unsettled_counts_and_leaves_out_busy_young_and_settled_ones(database: Database) -> None:
    for name in ("old", "busy", "done"):
        await database.write(deliveries.insert, _delivery(name))
    young = Delivery(id=DeliveryId("young"), event="push", body=b"", received_at=NOW + timedelta(hours=1))
    await database.write(deliveries.insert, young)
    await database.write(deliveries.settle, DeliveryId("done"), state=DeliveryState.IGNORED, note="", at=NOW)
    before = NOW + timedelta(minutes=1)
    for tries in (2, 3):
        found = await database.write(deliveries.retry_unsettled, before=before, busy=[DeliveryId("busy")])
        assert found == [(DeliveryId("old"), tries)]


async def test_run_numbers_count_per_workflow_file(database: Database) -> None:
    for name in ("d1", "d2"):
        await database.write(deliveries.insert, _delivery(name))
    made = [
        await database.write(runs.create, new, at=NOW)
        for new in (_new_run("d1"), _new_run("d2"), _new_run("d1", path="other.yml"), _new_run("d1", event="x"))
    ]
    assert [number for _, number in filter(None, made)] == [1, 2, 1, 3]


async def test_run_created_twice_for_one_delivery_is_created_once(database: Database) -> None:
    await database.write(deliveries.insert, _delivery())
    assert await database.write(runs.create, _new_run(), at=NOW) is not None
    assert await database.write(runs.create, _new_run(), at=NOW) is None
    assert len(await database.read(runs.listing, limit=10)) == 1


async def test_runs_created_at_once_get_different_numbers(database: Database) -> None:
    names = [f"d{number}" for number in range(8)]
    for name in names:
        await database.write(deliveries.insert, _delivery(name))
    numbers: list[int] = []

    async def create(name: str) -> None:
        created = await database.write(runs.create, _new_run(name), at=NOW)
        assert created is not None
        numbers.append(created[1])

    async with anyio.create_task_group() as tasks:
        for name in names:
            tasks.start_soon(create, name)
    assert sorted(numbers) == list(range(1, 9))


async def test_run_contexts_come_back_with_the_event_of_the_delivery(database: Database) -> None:
    payload = {"ref": "refs/heads/main", "n": 1.5, "deep": {"ü": [None, True]}}
    await database.write(deliveries.insert, _delivery(body=json.dumps(payload).encode()))
    created = await database.write(runs.create, _new_run(), at=NOW)
    assert created is not None
    contexts = {"github": {"event": payload, "actor": "me"}, "vars": {"A": "b"}, "inputs": {}}
    await database.write(runs.set_contexts, created[0], contexts, payload=payload)
    run = await database.read(runs.load, created[0])
    assert run is not None
    assert run.contexts == contexts


async def test_run_contexts_with_another_event_than_the_delivery_keep_it(database: Database) -> None:
    await database.write(deliveries.insert, _delivery(body=b'{"inputs": {}}'))
    created = await database.write(runs.create, _new_run(), at=NOW)
    assert created is not None
    contexts = {"github": {"event": {"inputs": {"a": "1"}}}, "vars": {}, "inputs": {}}
    await database.write(runs.set_contexts, created[0], contexts, payload={"inputs": {}})
    run = await database.read(runs.load, created[0])
    assert run is not None
    assert run.contexts == contexts


async def test_run_that_has_a_verdict_keeps_it(database: Database) -> None:
    run_id, _ = await _run_with_leg(database)
    diagnostic = Diagnostic(path="a.yml", span=Span.at(2, 3), rule="r", message="m")
    await database.write(runs.complete, run_id, Conclusion.FAILURE, at=NOW, error="e", diagnostics=[diagnostic])
    with pytest.raises(IllegalTransitionError):
        await database.write(runs.complete, run_id, Conclusion.SUCCESS, at=NOW)
    await database.write(runs.start, run_id, at=NOW)
    row = await database.read(runs.describe, run_id)
    assert row is not None
    assert (row["status"], row["conclusion"], row["error"]) == ("completed", "failure", "e")
    assert row["diagnostics"][0]["line"] == 2
    assert await database.read(runs.unfinished) == []


async def test_job_lives_from_waiting_to_its_verdict(database: Database) -> None:
    run_id, job = await _run_with_leg(database)
    assert job.status is Status.WAITING
    assert await database.write(jobs.enqueue, job) == 1
    job = await _job(database, job.id)
    assert (job.status, job.attempt) == (Status.QUEUED, 1)
    await database.write(jobs.begin, job, host=HOST, at=NOW)
    job = await _job(database, job.id)
    assert (job.status, job.host) == (Status.IN_PROGRESS, HOST)
    await database.write(jobs.complete, job, Conclusion.SUCCESS, at=NOW, outputs={"o": "1"})
    leg = (await database.read(jobs.snapshot, run_id))[JobKey("build")].legs[0]
    assert (leg.leg, leg.status, leg.conclusion, leg.outputs, leg.finished_order) == (
        _leg(),
        Status.COMPLETED,
        Conclusion.SUCCESS,
        {"o": "1"},
        1,
    )


async def test_job_refuses_states_that_cannot_follow(database: Database) -> None:
    _, job = await _run_with_leg(database)
    with pytest.raises(IllegalTransitionError):
        await database.write(jobs.begin, job, host=HOST, at=NOW)
    await database.write(jobs.complete, job, Conclusion.CANCELLED, at=NOW)
    done = await _job(database, job.id)
    with pytest.raises(IllegalTransitionError):
        await database.write(jobs.requeue, done, lost=True)


async def test_job_seen_before_another_changed_it_can_no_longer_be_changed(database: Database) -> None:
    _, waiting = await _run_with_leg(database)
    await database.write(jobs.enqueue, waiting)
    queued = await _job(database, waiting.id)
    await database.write(jobs.begin, queued, host=HOST, at=NOW)
    assert await database.write(jobs.requeue, await _job(database, waiting.id), lost=True) == 2
    for stale in (waiting, queued):
        with pytest.raises(IllegalTransitionError):
            await database.write(jobs.begin, stale, host=HOST, at=NOW)
    renewed = await _job(database, waiting.id)
    assert (renewed.attempt, renewed.lost_attempts, renewed.host) == (2, 1, None)


async def test_jobs_without_legs_are_snapshots_of_their_kind(database: Database) -> None:
    run_id, _ = await _run_with_leg(database)
    diagnostic = Diagnostic(path="a.yml", span=Span.at(1, 1), rule="r", message="m")
    await database.write(jobs.add_skipped, run_id, JobKey("s"), name="S", reason="why", at=NOW)
    await database.write(jobs.add_rejected, run_id, JobKey("r"), [diagnostic], name="R", at=NOW)
    await database.write(jobs.add_legs, run_id, JobKey("e"), [], at=NOW)
    found = await database.read(jobs.snapshot, run_id)
    assert [(found[JobKey(key)].skipped, found[JobKey(key)].failed) for key in "sre"] == [
        (True, False),
        (False, True),
        (False, False),
    ]
    shown = await database.read(jobs.describe, run_id)
    assert [(row["job"], row["conclusion"]) for row in shown] == [
        ("build", None),
        ("s", "skipped"),
        ("r", "failure"),
    ]


async def test_leg_that_is_asked_to_cancel_is_marked_until_it_ends(database: Database) -> None:
    run_id, job = await _run_with_leg(database)
    await database.write(jobs.enqueue, job)
    await database.write(jobs.begin, await _job(database, job.id), host=HOST, at=NOW)
    await database.write(jobs.ask_to_cancel, await _job(database, job.id), reason="fail-fast")
    assert (await database.read(jobs.snapshot, run_id))[JobKey("build")].legs[0].cancelling
    await database.write(jobs.complete, await _job(database, job.id), Conclusion.CANCELLED, at=NOW)
    assert not (await database.read(jobs.snapshot, run_id))[JobKey("build")].legs[0].cancelling


async def test_steps_of_the_current_attempt_only_are_described(database: Database) -> None:
    run_id, job = await _run_with_leg(database)
    await database.write(jobs.enqueue, job)
    await database.write(steps.start, job.id, 1, number=1, name="old", at=NOW)
    await database.write(jobs.requeue, await _job(database, job.id), lost=False)
    await database.write(steps.start, job.id, 2, number=1, name="new", at=NOW)
    result = StepResult(
        number=1,
        id="s",
        name="new",
        outcome=Conclusion.FAILURE,
        conclusion=Conclusion.SUCCESS,
        started_at=NOW,
        completed_at=NOW + timedelta(seconds=1),
        exit_code=3,
        outputs={"token": "hunter2"},
        summary="# hi",
    )
    await database.write(steps.complete, job.id, 2, result)
    annotation = Annotation(level=AnnotationLevel.WARNING, message="m", step=1, file="a", line=1)
    await database.write(steps.annotate, job.id, 2, annotation)
    (found,) = await database.read(steps.describe, run_id)
    assert (found["name"], found["outcome"], found["conclusion"], found["exit_code"]) == (
        "new",
        "failure",
        "success",
        3,
    )
    assert "hunter2" not in str(found)
    (noted,) = await database.read(steps.describe_annotations, run_id)
    assert (noted["level"], noted["file"], noted["line"]) == ("warning", "a", 1)


def _step(number: int, **changed: Any) -> StepResult:
    values: dict[str, Any] = {
        "id": None,
        "name": "n",
        "outcome": Conclusion.SUCCESS,
        "conclusion": Conclusion.SUCCESS,
        "started_at": NOW,
        "completed_at": NOW,
    }
    return StepResult(number=number, **(values | changed))


async def test_summaries_are_shown_up_to_a_bound_for_the_run(database: Database) -> None:
    run_id, job = await _run_with_leg(database)
    await database.write(jobs.enqueue, job)
    half = steps.MAX_SHOWN_SUMMARY_CHARS // 2
    for number, size in enumerate((half, 0, half, 1, 0), start=1):
        await database.write(steps.complete, job.id, 1, _step(number, summary="x" * size))
    found = await database.read(steps.describe, run_id)
    assert [(len(row["summary"]), bool(row["summary_omitted"])) for row in found] == [
        (half, False),
        (0, False),
        (half, False),
        (0, True),
        (0, False),
    ]


async def test_step_with_an_endless_name_and_error_is_stored_cut(database: Database) -> None:
    run_id, job = await _run_with_leg(database)
    await database.write(jobs.enqueue, job)
    await database.write(steps.complete, job.id, 1, _step(1, name="n" * 10**6, error="e" * 10**6))
    (row,) = await database.read(steps.describe, run_id)
    assert (len(row["name"]), len(row["error"])) == (steps.MAX_NAME_CHARS, steps.MAX_ERROR_CHARS)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(alphabet=st.characters(exclude_categories=())))
async def test_text_of_any_kind_is_stored_and_read(database: Database, text: str) -> None:
    await database.write(deliveries.insert, _delivery())
    await database.write(deliveries.insert, _delivery(f"x{abs(hash(text))}"))
    note = ("ok " + text)[:100]
    name = DeliveryId(f"x{abs(hash(text))}")
    await database.write(deliveries.settle, name, state=DeliveryState.FAILED, note=note, at=NOW)
    found = await database.read(deliveries.describe, name)
    assert found is not None
    assert found["note"].startswith("ok ")
    assert len(found["note"]) == len(note)


async def test_times_come_back_in_utc(database: Database) -> None:
    here = NOW.astimezone(timezone(timedelta(hours=5)))
    await database.write(deliveries.insert, Delivery(id=DeliveryId("d"), event="x", body=b"", received_at=here))
    found = await database.read(deliveries.load, DeliveryId("d"))
    assert found is not None
    assert found[0].received_at == NOW
    assert found[0].received_at.utcoffset() == timedelta(0)
    naive = Delivery(id=DeliveryId("e"), event="x", body=b"", received_at=NOW.replace(tzinfo=None))
    with pytest.raises(Exception, match="without a zone"):
        await database.write(deliveries.insert, naive)
