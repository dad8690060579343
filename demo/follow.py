"""Follows the runs of one delivery through the server's API, as it prints them."""

import time
from dataclasses import dataclass, field
from typing import Any

import httpx

from terraphim_runner.cli.console import for_terminal

_POLL_S = 0.05
_LEVELS = {"group": "▸ ", "error": "error: ", "warning": "warning: ", "notice": "notice: "}


@dataclass(slots=True)
class Followed:
    """What the runs came to. ``first_output_s`` counts from the delivery to the first line of a step's own output."""

    runs: list[dict[str, Any]] = field(default_factory=list)
    first_output_s: float | None = None
    text: str = ""


class Follower:
    """Polls until every run of the delivery is complete, and prints each log line once."""

    def __init__(self, client: httpx.Client, delivery: str, *, runs: int, began: float) -> None:
        self._client = client
        self._delivery = delivery
        self._expected = runs
        self._began = began
        self._offsets: dict[str, int] = {}
        self._finished: set[str] = set()
        self._told: set[tuple[str, str]] = set()
        self._followed = Followed()

    def follow(self, deadline_s: float) -> Followed:
        """Return when all runs are complete; raise ``TimeoutError`` with what is missing after the deadline."""
        while time.monotonic() - self._began < deadline_s:
            runs = [self._get(run["url"]) for run in self._get("/api/runs", delivery=self._delivery)["runs"]]
            for run in runs:
                for job in run["jobs"]:
                    self._show(run, job)
            done = [run for run in runs if run["status"] == "completed"]
            if len(done) >= self._expected and all(job["id"] in self._finished for run in done for job in run["jobs"]):
                self._followed.runs = sorted(done, key=lambda run: run["workflow"]["path"])
                return self._followed
            time.sleep(_POLL_S)
        raise TimeoutError(f"the runs of delivery {self._delivery} did not end within {deadline_s:g} s")

    def _show(self, run: dict[str, Any], job: dict[str, Any]) -> None:
        if job["id"] in self._finished:
            return
        found = self._get(job["logs_url"], format="json", after=self._offsets.get(job["id"], 0))
        self._offsets[job["id"]] = found["next"]
        steps = {step["number"]: step["name"] for step in job["steps"]}
        if any(line["step"] and line["step"] not in steps for line in found["lines"]):
            # The step began after the run was asked for.
            fresh = next(item for item in self._get(run["url"])["jobs"] if item["id"] == job["id"])
            steps = {step["number"]: step["name"] for step in fresh["steps"]}
        for line in found["lines"]:
            self._line(f"{run['workflow']['name']} / {job['name']}", steps.get(line["step"], ""), line)
        if found["complete"]:
            self._finished.add(job["id"])
            reason = f" ({job['reason']})" if job["reason"] else ""
            self._print(f"{run['workflow']['name']} / {job['name']}: {job['conclusion']}{reason}")

    def _line(self, job: str, step: str, line: dict[str, Any]) -> None:
        self._followed.text += line["text"] + "\n"
        if self._followed.first_output_s is None and line["step"] > 0:
            self._followed.first_output_s = time.monotonic() - self._began
        if line["kind"] in {"command", "endgroup"}:
            return
        if step and (job, step) not in self._told:
            self._told.add((job, step))
            self._print(f"{job} │ ● {step}")
        self._print(f"{job} │   {_LEVELS.get(line['kind'], '')}{line['text']}")

    def _print(self, text: str) -> None:
        print(f"[{time.monotonic() - self._began:7.2f}s] {for_terminal(text)}", flush=True)  # noqa: T201

    def _get(self, path: str, **query: Any) -> Any:
        reply = self._client.get(path, params=query)
        reply.raise_for_status()
        return reply.json()
