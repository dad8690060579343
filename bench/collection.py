"""Check a folder of workflow files: what is refused and warned of, what is slow, what breaks.

Every file is parsed and linted; every expression is printed and parsed again, which has to give the same tree; every
valid workflow is planned and explained for each event that triggers it. Exit 1 when anything raised or an expression
changed: that is a mistake here, whatever the file says. What is refused is for a person to judge.
"""

import argparse
import json
import resource
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any, Final, cast

from rich.console import Console
from rich.table import Table

from terraphim_runner.cli.local_event import local_event
from terraphim_runner.expressions import ANYTHING, Expression
from terraphim_runner.expressions import parse as parse_expression
from terraphim_runner.expressions.printing import to_source
from terraphim_runner.model.event import Event
from terraphim_runner.model.source import Diagnostic, Severity
from terraphim_runner.planning import dispatch_inputs, github_context, outline
from terraphim_runner.planning.explanation import explain_jobs
from terraphim_runner.workflow import match, parse, unsupported
from terraphim_runner.workflow.lint import lint
from terraphim_runner.workflow.lint.subject import spots_in
from terraphim_runner.workflow.tree import Trigger, Workflow
from terraphim_runner.workflow.yaml import MAX_BYTES

_SLOWEST: Final = 5
_SLOW_MS: Final = 100
_CALLED: Final = frozenset({"workflow_call"})
"""What is no event of its own: such a workflow is planned with its caller."""


@dataclass(slots=True)
class Census:
    """What was found. ``errors`` has each place with its rule and message, ``broken`` what must not happen."""

    files: int = 0
    valid: int = 0
    plans: int = 0
    expressions: int = 0
    errors: list[str] = field(default_factory=list[str])
    errors_by_rule: Counter[str] = field(default_factory=Counter[str])
    warnings_by_rule: Counter[str] = field(default_factory=Counter[str])
    broken: list[str] = field(default_factory=list[str])
    times_ms: dict[str, float] = field(default_factory=dict[str, float])

    def as_json(self) -> dict[str, Any]:
        """Return everything, of the times only the slowest and the sum."""
        slowest = sorted(self.times_ms.items(), key=lambda item: -item[1])[:_SLOWEST]
        return {
            "files": self.files,
            "valid": self.valid,
            "plans": self.plans,
            "expressions": self.expressions,
            "errors": self.errors,
            "errors_by_rule": dict(self.errors_by_rule),
            "warnings_by_rule": dict(self.warnings_by_rule),
            "broken": self.broken,
            "slowest_ms": {name: round(value, 1) for name, value in slowest},
            "over_100_ms": sum(value > _SLOW_MS for value in self.times_ms.values()),
            "total_ms": round(sum(self.times_ms.values())),
            "peak_rss_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        }


def main() -> int:
    """Run the census; 0 when nothing is broken."""
    parser = argparse.ArgumentParser(prog="bench.collection", description=__doc__)
    parser.add_argument("directory", type=Path, help="a folder with .yml and .yaml files, at any depth")
    parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    options = parser.parse_args()
    paths = sorted(path for path in options.directory.rglob("*") if path.suffix in (".yml", ".yaml") and path.is_file())
    if not paths:
        raise SystemExit(f"found no .yml or .yaml file below {str(options.directory)!r}")
    with tempfile.TemporaryDirectory(prefix="terraphim-census-") as checkout:
        census = take(paths, Path(checkout))
    found = census.as_json()
    if options.json:
        print(json.dumps(found, indent=2))
    else:
        _print(found)
    return 1 if census.broken else 0


def take(paths: list[Path], checkout: Path) -> Census:
    """Return what is found in the files; ``checkout`` is the folder that events are about, and may be empty."""
    census = Census()
    for path in paths:
        _survive(census, str(path), lambda path=path: _file(census, path, checkout))
    return census


def _survive(census: Census, what: str, action: Callable[[], None]) -> None:
    """Run one action of many: whatever it raises is noted, so that the others are still looked at."""
    try:
        action()
    except Exception as error:  # noqa: BLE001 - any exception is what this program looks for
        census.broken.append(f"{what}: {type(error).__name__}: {error}"[:400])


def _file(census: Census, path: Path, checkout: Path) -> None:
    with path.open("rb") as stream:
        text = stream.read(MAX_BYTES + 1).decode("utf-8-sig", errors="replace")
    census.files += 1
    began = time.perf_counter()
    result = parse(str(path), text, check_support=False)
    workflow = result.workflow
    found: tuple[Diagnostic, ...] = result.diagnostics
    if workflow is not None:
        found += (*lint(workflow), *unsupported(workflow)[:1])
    census.times_ms[str(path)] = (time.perf_counter() - began) * 1e3
    for item in found:
        if item.severity is Severity.ERROR and item.rule != "not-supported":
            census.errors.append(item.headline())
            census.errors_by_rule[item.rule] += 1
        else:
            census.warnings_by_rule[item.rule] += 1
    if workflow is None:
        return
    census.valid += 1
    for expression in (spot.expression for spot in spots_in(workflow)):
        _survive(census, f"{path}: {expression.source}", lambda item=expression: _print_and_parse(census, path, item))
    for trigger in workflow.triggers:
        if trigger.event not in _CALLED:
            what = f"{path}: {trigger.event}"
            _survive(census, what, lambda trigger=trigger: _plan(census, workflow, trigger, checkout))


def _print_and_parse(census: Census, path: Path, expression: Expression) -> None:
    census.expressions += 1
    printed = to_source(expression.root)
    if _shape(parse_expression(printed, allowed=ANYTHING).root) != _shape(expression.root):
        census.broken.append(f"{path}: {expression.source!r} is printed as {printed!r}, which means something else")


def _shape(node: object) -> object:
    """Return a tree of expression nodes without their places in the text."""
    if isinstance(node, tuple):
        return tuple(map(_shape, cast("tuple[object, ...]", node)))
    if not is_dataclass(node):
        return repr(node)
    return type(node), tuple(_shape(getattr(node, item.name)) for item in fields(node) if item.name != "offset")


def _plan(census: Census, workflow: Workflow, trigger: Trigger, checkout: Path) -> None:
    event = local_event(trigger.event, checkout, None, _filled_in(trigger))
    match(workflow, event)
    contexts = _contexts(workflow, event)
    outline(workflow, event.name, contexts).render()
    explain_jobs(workflow, event.name, contexts)
    census.plans += 1


def _contexts(workflow: Workflow, event: Event) -> dict[str, Any]:
    inputs = dispatch_inputs(workflow, event)
    github = github_context(event, workflow=workflow, run_id="1", run_number=1)
    return {"github": github, "vars": {}, "inputs": dict(inputs.values)}


def _filled_in(trigger: Trigger) -> dict[str, str]:
    """Return what a person would type into the form of a run by hand: something where something is required."""
    inputs: Mapping[str, Mapping[str, Any]] = trigger.settings.get("inputs") or {}
    samples = {"boolean": "true", "number": "1"}
    return {
        name: samples.get(settings.get("type") or "", "x")
        for name, settings in inputs.items()
        if trigger.event == "workflow_dispatch"
        and settings.get("required")
        and not settings.get("default")
        and settings.get("type") != "choice"
    }


def _print(found: Mapping[str, Any]) -> None:
    table = Table(title="workflow files", title_justify="left")
    table.add_column("what")
    table.add_column("found", justify="right")
    for row in _rows(found):
        table.add_row(*row)
    console = Console(width=120)
    console.print(table)
    for name in ("errors", "broken"):
        for line in found[name]:
            console.print(f"{name}: {line}", markup=False, highlight=False, soft_wrap=True)


def _rows(found: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name in ("files", "valid", "plans", "expressions", "total_ms", "over_100_ms", "peak_rss_mib"):
        yield name, str(found[name])
    for name in ("errors_by_rule", "warnings_by_rule", "slowest_ms"):
        for key, value in sorted(found[name].items(), key=lambda item: -item[1]):
            yield f"{name}: {key}", str(value)


if __name__ == "__main__":
    sys.exit(main())
