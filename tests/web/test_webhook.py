import socket
from collections.abc import Callable
from typing import Any

import anyio
import httpx
import pytest

pytestmark = pytest.mark.anyio

PULL_REQUEST: dict[str, Any] = {
    "action": "opened",
    "number": 7,
    "pull_request": {
        "number": 7,
        "head": {"ref": "f", "sha": "b" * 40, "repo": {"full_name": "acme/app"}},
        "base": {"ref": "main", "sha": "c" * 40, "repo": {"full_name": "acme/app"}},
        "merge_commit_sha": "d" * 40,
    },
    "repository": {
        "id": 1,
        "name": "app",
        "full_name": "acme/app",
        "owner": {"login": "acme", "id": 2},
        "clone_url": "https://127.0.0.1:1/none.git",
        "default_branch": "main",
    },
    "sender": {"login": "x", "id": 3},
}
PUSH: dict[str, Any] = {
    "ref": "refs/heads/topic",
    "before": "0" * 40,
    "after": "a" * 40,
    "deleted": False,
    "head_commit": {"id": "a" * 40, "message": "m"},
    "repository": PULL_REQUEST["repository"],
    "sender": {"login": "x", "id": 3},
}


@pytest.fixture
def client(shared_client: Any) -> Any:
    return shared_client


@pytest.mark.parametrize("action", ["opened", "synchronize", "reopened"])
async def test_pull_request_that_starts_work_is_answered_in_the_known_words(client: Any, action: str) -> None:
    answer = await client.deliver("pull_request", PULL_REQUEST | {"action": action})
    assert answer.status_code == 200
    assert answer.json() == {
        "message": "Pull request webhook received and workflow execution started",
        "status": "success",
        "delivery": client.deliveries[-1],
        "runs": f"/api/runs?delivery={client.deliveries[-1]}",
    }


async def test_push_is_answered_in_the_known_words(client: Any) -> None:
    answer = await client.deliver("push", PUSH)
    assert answer.status_code == 200
    assert answer.json()["message"] == "Push webhook received for refs/heads/topic"
    assert answer.json()["status"] == "success"


@pytest.mark.parametrize(
    ("event", "payload", "action"),
    [
        ("ping", {"zen": "z", "hook_id": 1}, "none"),
        ("installation", {"action": "created"}, "created"),
        ("pull_request", PULL_REQUEST | {"action": "labeled"}, "labeled"),
    ],
)
async def test_event_that_starts_nothing_is_acknowledged(
    client: Any, event: str, payload: dict[str, Any], action: str
) -> None:
    answer = await client.deliver(event, payload)
    assert answer.status_code == 200
    assert answer.json()["message"] == f"Webhook received (action={action})"
    assert answer.json()["status"] == "acknowledged"


async def test_delivery_is_stored_when_it_is_answered(client: Any) -> None:
    await client.deliver("ping", {"zen": "z"}, delivery="stored-1")
    found = await client.get("/api/runs", delivery="stored-1")
    assert found["delivery"]["state"] == "ignored"
    assert found["runs"] == []


async def test_body_without_a_signature_is_refused_with_400(client: Any) -> None:
    answer = await client.deliver("push", PUSH, **{"X-Hub-Signature-256": ""})
    assert answer.status_code == 400
    assert "X-Hub-Signature-256" in answer.json()["message"]


@pytest.mark.parametrize("header", ["x", "sha256=", "sha256=zz", "sha1=" + "0" * 40, "sha256=" + "0" * 64])
async def test_body_with_a_wrong_signature_is_refused_with_403(client: Any, header: str) -> None:
    answer = await client.deliver("push", PUSH, delivery="forged", **{"X-Hub-Signature-256": header})
    assert answer.status_code == 403
    assert (await client.get("/api/runs", delivery="forged"))["delivery"] is None


async def test_body_that_was_changed_after_signing_is_refused_with_403(
    client: Any, signature_of: Callable[..., str]
) -> None:
    answer = await client.deliver("push", b'{"a": 2}', **{"X-Hub-Signature-256": signature_of(b'{"a": 1}')})
    assert answer.status_code == 403


async def test_body_over_the_limit_is_refused_with_413(client: Any) -> None:
    for size in (4097, 3_000_000):
        answer = await client.deliver("push", b" " * size)
        assert answer.status_code == 413
        assert "4096" in answer.json()["message"]


async def test_body_over_the_limit_of_undeclared_length_is_refused_with_413(client: Any) -> None:
    async def chunks() -> Any:
        for _ in range(100):
            yield b" " * 1000

    answer = await client.http.post("/webhook", content=chunks())
    assert answer.status_code == 413


async def test_body_of_exactly_the_limit_is_taken(client: Any) -> None:
    body = b'{"zen": "' + b"x" * (4096 - 11) + b'"}'
    assert len(body) == 4096
    assert (await client.deliver("ping", body)).status_code == 200


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff", b'{"a": NaN}', b"payload=%7B%7D", b"[" * 4000])
async def test_body_that_is_not_a_json_object_is_refused_with_400_and_the_reason(client: Any, body: bytes) -> None:
    answer = await client.deliver("push", body)
    assert answer.status_code == 400
    assert answer.json()["message"]


@pytest.mark.parametrize("header", ["X-GitHub-Event", "X-GitHub-Delivery"])
async def test_delivery_without_its_headers_is_refused_with_400(client: Any, header: str) -> None:
    answer = await client.deliver("push", PUSH, **{header: ""})
    assert answer.status_code == 400
    assert header in answer.json()["message"]


async def test_delivery_whose_commit_cannot_be_fetched_is_failed_with_the_reason(client: Any) -> None:
    payload = PUSH | {"repository": PUSH["repository"] | {"clone_url": "file:///nonexistent/repo"}}
    await client.deliver("push", payload)
    found = await client.until(
        f"/api/runs?delivery={client.deliveries[-1]}", lambda found: found["delivery"]["state"] != "received"
    )
    assert found["delivery"]["state"] == "failed"
    assert "acme/app" in found["delivery"]["note"]


async def test_many_deliveries_of_one_id_at_once_are_stored_once(client: Any) -> None:
    answers: list[httpx.Response] = []

    async def deliver() -> None:
        answers.append(await client.deliver("push", PUSH, delivery="same"))

    async with anyio.create_task_group() as tasks:
        for _ in range(10):
            tasks.start_soon(deliver)
    statuses = sorted(answer.json()["status"] for answer in answers)
    assert statuses == ["acknowledged"] * 9 + ["success"]


async def test_client_that_stops_sending_does_not_keep_others_waiting(client: Any) -> None:
    with socket.create_connection(("127.0.0.1", client.http.base_url.port), timeout=10) as slow:
        slow.sendall(b"POST /webhook HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf")
        answer = await client.deliver("ping", {"zen": "z"})
        assert answer.status_code == 200


@pytest.mark.parametrize("path", ["/nothing", "/api", "/docs", "/api/runs/1/jobs/1"])
async def test_unknown_path_is_told_in_json(client: Any, path: str) -> None:
    answer = await client.http.get(path)
    assert answer.status_code == 404
    assert answer.json()["status"] == "error"


async def test_health_answers(client: Any) -> None:
    found = await client.get("/health")
    assert found["status"] == "healthy"
    assert found["service"] == "terraphim-runner"
