"""``unset-output``: an output that is read and that nobody sets, so the value is empty.

``needs.<job>.outputs.<name>`` is wrong when the job does not declare that output, or is not among the direct needs; for
a job that calls a workflow, when that one does not declare it, if it is a file of the same checkout.
``steps.<id>.outputs.<name>`` is wrong when the step's script mentions neither the name nor ``GITHUB_OUTPUT``, or when
all that it appends to that file is plain ``echo "other=…"``. A script that hands over to another program is believed:
the program may write the file.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from terraphim_runner.expressions.paths import ANY, Path, paths_in
from terraphim_runner.expressions.printing import to_source
from terraphim_runner.expressions.tree import Node
from terraphim_runner.model.ids import JobKey
from terraphim_runner.model.source import Related
from terraphim_runner.workflow.lint.subject import Finding, JobSpots, Subject
from terraphim_runner.workflow.signature import signature
from terraphim_runner.workflow.tree import CallJob, Job, RunStep, Step, Workflow

ID: Final = "unset-output"
SUMMARY: Final = "an output that is read and that nobody sets"

_FILE: Final = "GITHUB_OUTPUT"
_COMMAND: Final = "set-output"
_WORD: Final = re.compile(r"[\w-]+")
_ECHO: Final = re.compile(
    r"""\s*echo\s+(?:-[neE]+\s+)?["']?(?P<name>[A-Za-z_][A-Za-z0-9_-]*)=[^\n]*>>\s*["']?\$\{?GITHUB_OUTPUT\}?["']?\s*$"""
)
_PROGRAM: Final = re.compile(
    r"(?:^|[\s;|&(\"'])(?:\.{1,2}/|[\w.-]+/|source\s|\.\s)"
    r"|\.(?:sh|bash|py|js|mjs|cjs|ts|rb|pl|ps1|php|go)\b"
    r"|\b(?:make|just|task|npm|npx|yarn|pnpm|bun|deno|node|python3?|uv|poetry|nox|tox|go|cargo|bundle|rake"
    r"|gradle|mvn|dotnet|nix|docker|bash|sh)\s",
    re.MULTILINE,
)
"""What a script of its own may call that writes the file, or another one beside it."""


_Problem = tuple[str, tuple[Related, ...]]


class _Scripts:
    """What the scripts of a job's steps set, each read once."""

    def __init__(self, steps: Iterable[Step]) -> None:
        self.steps = {step.id.lower(): step for step in steps if step.id is not None}
        self._known: dict[str, frozenset[str] | None] = {}

    def may_set(self, key: str, name: str) -> bool:
        if key not in self._known:
            step = self.steps[key]
            self._known[key] = _names(step) if isinstance(step, RunStep) else None
        names = self._known[key]
        return names is None or name in names


def _names(step: RunStep) -> frozenset[str] | None:
    """Return every name that the script may set, in lower case; None when that cannot be told."""
    script = step.run.source
    if _PROGRAM.search(script) or not any(isinstance(part, str) and part.strip() for part in step.run.parts):
        return None
    if _FILE not in script and _COMMAND not in script:
        return frozenset(_WORD.findall(script.lower()))
    lines = [line for line in script.splitlines() if _FILE in line or _COMMAND in line]
    names = [found["name"].lower() for found in map(_ECHO.match, lines) if found]
    return frozenset(names) if len(names) == len(lines) else None


def check(subject: Subject) -> Iterator[Finding]:
    """Look at each expression of each job."""
    outputs = _outputs_of_calls(subject.workflow)
    for item in subject.jobs.values():
        yield from _job(subject, item, outputs)


_Outputs = Mapping[JobKey, tuple[str, ...]]
"""What the workflow declares that a job calls, for the calls that are linked."""


def _outputs_of_calls(workflow: Workflow) -> _Outputs:
    # Many jobs may call one workflow: it is asked once.
    asked: dict[int, tuple[str, ...]] = {}
    for called in workflow.calls.values():
        if id(called) not in asked:
            takes = signature(called)
            asked[id(called)] = tuple(takes.outputs) if takes is not None else ()
    return {key: asked[id(called)] for key, called in workflow.calls.items()}


def _job(subject: Subject, item: JobSpots, outputs: _Outputs) -> Iterator[Finding]:
    scripts = _Scripts(step for step, _ in item.steps)
    needs = {need.job.lower(): subject.workflow.jobs[need.job] for need in item.job.needs}
    for spot in (*item.own, *(spot for _, spots in item.steps for spot in spots)):
        for path, node in paths_in(spot.expression.root):
            found = _problem(path, node, scripts, needs, outputs)
            if found is not None:
                message, related = found
                yield Finding(span=subject.place(spot, node), message=message, related=related)


def _problem(path: Path, node: Node, scripts: _Scripts, needs: dict[str, Job], calls: _Outputs) -> _Problem | None:
    if path[0] == "needs" and len(path) > 1 and path[1] not in (ANY, *needs):
        return f"found {to_source(node)!r}, but that job is not among the direct 'needs': the value is empty", ()
    if len(path) < 4 or path[2] != "outputs" or ANY in path[1:4]:
        return None
    name = path[3]
    if path[0] == "needs":
        return _undeclared(needs[path[1]], name, node, calls)
    if path[0] == "steps" and path[1] in scripts.steps:
        step = scripts.steps[path[1]]
        if not scripts.may_set(path[1], name):
            related = (Related(message="the step", span=step.span),)
            return f"found {to_source(node)!r}, but the script of step {step.id!r} never sets it", related
    return None


def _undeclared(job: Job, name: str, node: Node, calls: _Outputs) -> _Problem | None:
    """Tell whether a job declares an output: for a call, the called workflow does, in a file of its own."""
    what = f"job {str(job.key)!r}"
    names = sorted(job.outputs)
    if isinstance(job, CallJob):
        if job.key not in calls:
            return None
        what = f"{job.uses!r}, which {what} calls,"
        names = sorted(calls[job.key])
    if name in {output.lower() for output in names}:
        return None
    words = f"declares {_listed(names)}" if names else "declares no outputs"
    related = (Related(message="the job", span=job.span),)
    return f"found {to_source(node)!r}, but {what} {words}: the value is empty", related


def _listed(names: list[str]) -> str:
    shown = ", ".join(map(repr, names[:8]))
    return shown if len(names) <= 8 else f"{shown} and {len(names) - 8} more"
