"""How long a delivery takes to its reply and to a step's first output, and what the server needs."""

import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import psutil
from demo.delivery import deliver, push_payload
from demo.stage import make_repository, running_server

from bench.figures import Figures

WORKFLOW = """\
on: push
jobs:
  hello:
    runs-on: ubuntu-latest
    timeout-minutes: 5
    steps:
      - run: echo hello
"""
_DEADLINE_S = 60


def measure(figures: Figures, *, rounds: int) -> None:
    """Deliver signed pushes of a real repository to a real server, one after the other."""
    with tempfile.TemporaryDirectory(prefix="terraphim-bench-") as name:
        folder = Path(name)
        origin = make_repository(folder / "repositories", workflows={"hello.yml": WORKFLOW})
        with (
            running_server(folder, demo_token="not-used", pool=2) as server,
            httpx.Client(base_url=server.url, timeout=30) as client,
        ):
            body = push_payload(origin)
            replies: list[float] = []
            outputs: list[float] = []
            for _ in range(rounds):
                sent_at = datetime.now(UTC)
                began = time.perf_counter()
                delivered = deliver(client, server, body)
                replies.append((time.perf_counter() - began) * 1000)
                outputs.append((_first_output_at(client, delivered.id) - sent_at).total_seconds() * 1000)
            figures.add("server_rss_mib", psutil.Process(server.pid).memory_info().rss / 2**20)
    figures.add("webhook_reply_ms", replies)
    figures.add("webhook_to_first_output_ms", outputs)


def _first_output_at(client: httpx.Client, delivery: str) -> datetime:
    """Wait for the run's end, so that the next one finds the machine idle, and return when its step first spoke."""
    deadline = time.monotonic() + _DEADLINE_S
    while time.monotonic() < deadline:
        runs = _get(client, "/api/runs", delivery=delivery)["runs"]
        if runs and runs[0]["status"] == "completed":
            return _spoke_at(client, _get(client, runs[0]["url"]))
        time.sleep(0.05)
    raise SystemExit(f"the run of delivery {delivery} did not end within {_DEADLINE_S} s")


def _spoke_at(client: httpx.Client, run: dict[str, Any]) -> datetime:
    if run["conclusion"] != "success":
        raise SystemExit(f"the benchmark's run ended with {run['conclusion']}: {run}")
    lines = _get(client, run["jobs"][0]["logs_url"], format="json")["lines"]
    return next(datetime.fromisoformat(line["at"]) for line in lines if line["text"] == "hello")


def _get(client: httpx.Client, path: str, **query: Any) -> Any:
    reply = client.get(path, params=query)
    reply.raise_for_status()
    return reply.json()
