"""``make demo``: exit 0 only if every verdict is the expected one."""

import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console
from rich.table import Table

from demo.delivery import deliver, push_payload
from demo.follow import Followed, Follower
from demo.stage import make_repository, running_server

TOKEN = "correct-horse-battery-staple"  # noqa: S105 - it is there to be leaked, and masked
DEADLINE_S = 180
EXPECTED = {
    ".github/workflows/ci.yml": (
        "success",
        {"Build (sweet)": "success", "Build (salty)": "success", "Taste": "success"},
    ),
    ".github/workflows/red.yml": ("failure", {"Fail": "failure", "Depends on the failure": "skipped"}),
}
MARKS = {"success": "[green]✓[/]", "failure": "[red]✗[/]", "skipped": "[dim]-[/]", "cancelled": "[yellow]⊘[/]"}


def main() -> int:
    """Run the demonstration."""
    console = Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else 110)
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="terraphim-demo-") as name:
        folder = Path(name)
        console.rule("A repository, a server, a signed push")
        origin = make_repository(folder / "repositories")
        with running_server(folder, demo_token=TOKEN, pool=2) as server:
            console.print(f"repository {origin.path} at {origin.sha[:12]}")
            console.print(f"server     {server.url}, ready after {time.monotonic() - began:.1f} s")
            with httpx.Client(base_url=server.url, timeout=30) as client:
                sent = time.monotonic()
                delivered = deliver(client, server, push_payload(origin))
                replied_ms = (time.monotonic() - sent) * 1000
                console.print(f"POST /webhook → {delivered.status_code} {delivered.body.get('message')}")
                console.rule("Live")
                followed = Follower(client, delivered.id, runs=len(EXPECTED), began=sent).follow(DEADLINE_S)
            console.rule("Verdicts")
            for run in followed.runs:
                _show_run(console, run)
            problems = _problems(followed)
            _show_figures(console, followed, replied_ms, time.monotonic() - sent)
    for problem in problems:
        console.print(f"[red]unexpected:[/] {problem}")
    verdict = "[red]not what was expected[/]" if problems else "[green]every verdict is the expected one[/]"
    console.print(f"{verdict}, {time.monotonic() - began:.1f} s in all")
    console.print(
        "where to look: demo/repository/.github/workflows has the workflows, README.md the flow, and\n"
        "  .venv/bin/terraphim-runner run push --repo YOUR-CHECKOUT    runs your own"
    )
    return 1 if problems else 0


def _show_run(console: Console, run: dict[str, Any]) -> None:
    table = Table(title=f"{run['workflow']['name']}: {run['conclusion']}", title_justify="left", pad_edge=False)
    for title in ("job", "step", "verdict", "time"):
        table.add_column(title)
    for job in run["jobs"]:
        table.add_row(f"[bold]{job['name']}[/]", "", _mark(job["conclusion"]), _seconds(job))
        for step in job["steps"]:
            differs = f" (outcome {step['outcome']})" if step["outcome"] != step["conclusion"] else ""
            table.add_row("", step["name"], _mark(step["conclusion"]) + differs, _seconds(step))
        for note in job["annotations"]:
            table.add_row("", f"{note['level']} at {note['file']}:{note['line']}: {note['message']}", "", "")
    console.print(table)


def _mark(conclusion: str) -> str:
    return f"{MARKS.get(conclusion, '?')} {conclusion}"


def _seconds(row: dict[str, Any]) -> str:
    seconds = _duration_s(row)
    return "" if seconds is None else f"{seconds:.2f} s"


def _duration_s(row: dict[str, Any]) -> float | None:
    if not row["started_at"] or not row["completed_at"]:
        return None
    return (datetime.fromisoformat(row["completed_at"]) - datetime.fromisoformat(row["started_at"])).total_seconds()


def _problems(followed: Followed) -> list[str]:
    problems: list[str] = []
    found = {run["workflow"]["path"]: run for run in followed.runs}
    for path, (conclusion, jobs) in EXPECTED.items():
        run = found.get(path)
        if run is None:
            problems.append(f"{path} did not run")
            continue
        if run["conclusion"] != conclusion:
            problems.append(f"{path}: found {run['conclusion']}, expected {conclusion}; {run['error'] or ''}")
        seen = {job["name"]: job["conclusion"] for job in run["jobs"]}
        if seen != jobs:
            problems.append(f"{path}: found the jobs {seen}, expected {jobs}")
    if TOKEN in followed.text or "derived-1" in followed.text:
        problems.append("a secret is in the log")
    return problems


def _show_figures(console: Console, followed: Followed, replied_ms: float, total_s: float) -> None:
    busy = [_duration_s(job) or 0 for run in followed.runs for job in run["jobs"]]
    first = followed.first_output_s
    console.rule("Figures")
    console.print(f"webhook → reply                 {replied_ms:8.1f} ms")
    console.print(f"webhook → first output of a step{(first or 0) * 1000:8.1f} ms (seen through the API)")
    console.print(f"webhook → last verdict          {total_s:8.1f} s")
    console.print(f"time in VMs                     {sum(busy):8.1f} s over {sum(1 for item in busy if item)} VMs")


if __name__ == "__main__":
    sys.exit(main())
