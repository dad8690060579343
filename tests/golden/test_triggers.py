"""Golden pairs: a workflow, events, and which of them trigger it for which reason.

A case has two YAML documents. The first is the workflow file. The second holds ``events``, each with the verdict that
GitHub's documentation asks for (``runs``), or ``patterns`` with the names that they match and do not match. The
``.expected`` beside it has the diagnostics, then a line an event.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from terraphim_runner.model.event import Event, Repository
from terraphim_runner.planning import dispatch_inputs, github_context, run_name
from terraphim_runner.workflow import match, parse
from terraphim_runner.workflow.events import EVENTS
from terraphim_runner.workflow.patterns import select
from terraphim_runner.workflow.tree import Workflow

GOLDEN = Path(__file__).parent / "triggers"
CASES = sorted(GOLDEN.glob("*.yml"))
REPOSITORY = Repository(full_name="octo/demo", clone_url="https://example.test/octo/demo.git", default_branch="main")
JOBS = "jobs: { a: { runs-on: x, steps: [run: echo] } }\n"
NEVER_SENT = {"workflow_call", "pull_request_comment"}


def load(case: Path) -> tuple[str, dict[str, Any]]:
    """Return the workflow's text, completed by a job where it has none, and the rest of the case."""
    text, _, rest = case.read_text().partition("\n---\n")
    return f"{text}\n" if "\njobs:" in text else f"{text}\n{JOBS}", yaml.safe_load(rest) or {}


def occurrences(entry: dict[str, Any]) -> Iterator[tuple[str, Event, bool]]:
    """Yield each event that an entry stands for, with what it is called and whether it triggers."""
    for action in entry.get("actions", [entry.get("action")]):
        payload = dict(entry.get("payload", {}))
        if "message" in entry and entry["event"] == "push":
            payload["head_commit"] = {"message": entry["message"]}
        if "inputs" in entry:
            payload["inputs"] = entry["inputs"]
        files = entry.get("files")
        event = Event(
            name=entry["event"],
            action=action,
            repository=REPOSITORY,
            ref=entry.get("ref", "refs/heads/main"),
            sha="a" * 40,
            base_ref=entry.get("base"),
            actor="mona",
            payload=payload,
            changed_files=None if files is None else tuple(_files(files)),
            head_message=entry.get("message") if entry["event"] != "push" else None,
        )
        shown = {key: value for key, value in entry.items() if key not in {"event", "action", "actions", "runs"}}
        details = " ".join(f"{key}={json.dumps(value, ensure_ascii=False)}" for key, value in shown.items())
        yield " ".join(part for part in (entry["event"], action, details) if part), event, entry["runs"]


def _files(files: list[Any]) -> Iterator[str]:
    for item in files:
        if isinstance(item, dict):
            yield from (f"f{number}" for number in range(item["others"]))
        else:
            yield item


def tell(workflow: Workflow, event: Event) -> tuple[bool, str]:
    verdict = match(workflow, event)
    if not verdict.matched:
        return False, f"no: {verdict.reason}"
    inputs = dispatch_inputs(workflow, event)
    if inputs.problems:
        return False, f"refused: {'; '.join(inputs.problems)}"
    words = f"yes: {verdict.reason}"
    if event.name == "workflow_dispatch":
        words += f", inputs {json.dumps(dict(inputs.values))}, event.inputs {json.dumps(dict(inputs.texts))}"
    if workflow.run_name is not None:
        github = github_context(event, workflow=workflow, run_id="1", run_number=1)
        words += f", called {run_name(workflow, {'github': github, 'inputs': dict(inputs.values)})!r}"
    return True, words


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.stem)
def test_golden_events_trigger_as_documented_for_the_expected_reason(case: Path) -> None:
    text, rest = load(case)
    result = parse(case.name, text, check_support=False)
    lines = [item.render(text) for item in result.diagnostics]
    assert (result.workflow is None) == rest.get("broken", False), lines
    for entry in rest.get("events", []):
        for called, event, runs in occurrences(entry):
            assert result.workflow is not None
            triggered, words = tell(result.workflow, event)
            assert triggered is runs, (called, words)
            lines.append(f"{called}\n  {words}")
    for row in rest.get("patterns", []):
        patterns = row["pattern"] if isinstance(row["pattern"], list) else [row["pattern"]]
        for name in row["matches"] + row["others"]:
            assert select(patterns, name) is (name in row["matches"]), (patterns, name)
        lines.append(f"{patterns}: matches {row['matches']}, not {row['others']}")
    assert "\n".join(lines) + "\n" == case.with_suffix(".expected").read_text()


def test_golden_directory_has_a_pair_for_every_case() -> None:
    assert len(CASES) > 15
    assert {path.stem for path in CASES} == {path.stem for path in GOLDEN.glob("*.expected")}


def test_golden_cases_have_every_event_triggering_and_not() -> None:
    found: dict[bool, set[str]] = {True: set(), False: set()}
    for case in CASES:
        for entry in load(case)[1].get("events", []):
            found[entry["runs"]].add(entry["event"])
    wanted = set(EVENTS) - NEVER_SENT
    assert wanted - found[True] == set()
    assert {name for name in wanted if EVENTS[name].keys} - found[False] == set()
