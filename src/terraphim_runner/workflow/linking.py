"""Workflows and those that they call, joined into one tree: what has to be fetched, what is wrong, the result.

Pure. Whoever links fetches what is ``missing``, adds it, and links again until nothing is missing. A file is parsed
once and linked once, however many jobs call it, so that what is made is a graph and never an exponential tree. What one
call hands over is checked in ``call_checks``.

https://docs.github.com/en/actions/reference/workflows-and-actions/reusable-workflows
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Final

from terraphim_runner.model.source import Diagnostic, Related, Severity, has_errors
from terraphim_runner.workflow.call_checks import Callee, Demand, check_call, check_permissions, demand
from terraphim_runner.workflow.document import ParseResult, parse
from terraphim_runner.workflow.fields import guess, listed
from terraphim_runner.workflow.findings import Findings, TooManyError, shown
from terraphim_runner.workflow.references import RemoteWorkflow
from terraphim_runner.workflow.signature import EVENT, signature
from terraphim_runner.workflow.text import SourceText
from terraphim_runner.workflow.tree import CallJob, Origin, Workflow

MAX_LEVELS: Final = 10
"""Of workflows that call each other; the run's own is the first. GitHub allowed 4 until November 2025."""

MAX_CALLED: Final = 50
"""Different workflows that a run may call, directly or not; GitHub's number."""

MAX_JOBS: Final = 4096
"""Of a run and all that it calls, a called workflow's as often as it is called. GitHub names no bound."""

MAX_BYTES: Final = 4 * 1024 * 1024
"""Of all called files together: they are stored with the run, and parsed for as long as it lasts."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FileReference:
    """A workflow file. Without ``repository`` and ``ref`` it is of the run's own repository at the run's own commit.

    Names of repositories compare without case.
    """

    path: str
    repository: str | None = None
    ref: str | None = None

    @property
    def title(self) -> str:
        """The path, for a file of another repository or commit as ``owner/name/path@ref``."""
        return self.path if self.repository is None else f"{self.repository}/{self.path}@{self.ref}"

    @property
    def _identity(self) -> tuple[str, str | None, str | None]:
        return self.path, None if self.repository is None else self.repository.lower(), self.ref

    def __eq__(self, other: object) -> bool:
        return isinstance(other, FileReference) and self._identity == other._identity

    def __hash__(self) -> int:
        return hash(self._identity)


@dataclass(frozen=True, slots=True, kw_only=True)
class CalledFile:
    """What a reference leads to: a text, or why there is none.

    ``sha`` is the commit that the ``ref`` of another repository meant. ``error`` says why there is no text, as in
    "there is no such file"; ``known`` are the workflow files that stand where this one was looked for.
    """

    text: str = ""
    sha: str | None = None
    error: str | None = None
    known: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Linked:
    """``workflow`` has what is known of its calls; it may be run when nothing is ``missing`` and nothing is wrong.

    ``files`` are the called ones that were reached, in the order of the calls.
    """

    workflow: Workflow
    diagnostics: tuple[Diagnostic, ...] = ()
    missing: tuple[FileReference, ...] = ()
    files: Mapping[FileReference, CalledFile] = field(default_factory=dict[FileReference, CalledFile])

    @property
    def has_errors(self) -> bool:
        return has_errors(self.diagnostics)

    def source_of(self, diagnostic: Diagnostic) -> str | None:
        """Return the text of the file that a diagnostic is about."""
        if diagnostic.path == self.workflow.path:
            return self.workflow.source
        return next((file.text for reference, file in self.files.items() if reference.title == diagnostic.path), None)


def references(workflow: Workflow, at: FileReference | None = None) -> tuple[FileReference, ...]:
    """Return what a workflow calls, each file once, in the order of its jobs.

    ``at`` is where the workflow itself stands: a path without a repository means that repository at that commit.
    """
    return tuple(_calls(workflow, at))


def _calls(workflow: Workflow, at: FileReference | None) -> dict[FileReference, list[CallJob]]:
    found: dict[FileReference, list[CallJob]] = {}
    for job in workflow.jobs.values():
        if isinstance(job, CallJob):
            found.setdefault(_reference(job, at), []).append(job)
    return found


def _reference(job: CallJob, at: FileReference | None) -> FileReference:
    named = job.workflow
    if isinstance(named, RemoteWorkflow):
        return FileReference(path=named.path, repository=f"{named.owner}/{named.repository}", ref=named.ref)
    if at is None:
        return FileReference(path=named.path)
    return FileReference(path=named.path, repository=at.repository, ref=at.ref)


def link(root: Workflow, files: Mapping[FileReference, CalledFile]) -> Linked:
    """Return a valid workflow with its calls, as far as the files are there. Never raises for what they say."""
    linker = Linker(root)
    for reference, file in files.items():
        linker.add(reference, file)
    return linker.link()


class Linker:
    """Links one workflow while its files come in. ``add`` and ``link`` may be called in any order, again and again.

    ``at`` is where the workflow stands, should its ``path`` be spelled otherwise. Without ``check_support`` what this
    runner does not carry out yet is no error of a called file.
    """

    def __init__(self, root: Workflow, *, at: FileReference | None = None, check_support: bool = True) -> None:
        self._root = root
        self._at = at or FileReference(path=root.path)
        self._check_support = check_support
        self._nodes: dict[FileReference, _Node] = {self._at: _Node(reference=self._at, title=root.path, workflow=root)}

    def add(self, reference: FileReference, file: CalledFile) -> None:
        """Take in what a reference leads to, and parse it; the run's own file is here already."""
        if reference == self._at:
            return
        result = ParseResult(workflow=None)
        if file.error is None:
            result = parse(reference.title, file.text, check_support=self._check_support)
        workflow = result.workflow
        if workflow is not None:
            origin = None
            if reference.repository is not None:
                origin = Origin(repository=reference.repository, ref=reference.ref or "", sha=file.sha or "")
            workflow = replace(workflow, path=reference.path, origin=origin)
        errors = tuple(item for item in result.diagnostics if item.severity is Severity.ERROR)
        self._nodes[reference] = _Node(
            reference=reference, title=reference.title, workflow=workflow, file=file, diagnostics=errors
        )

    def follow(self, read: Callable[[FileReference], CalledFile | None]) -> Linked:
        """Link what ``read`` has at once; what it has nothing for (None) stays missing."""
        refused: set[FileReference] = set()
        while True:
            linked = self.link()
            wanted = [reference for reference in linked.missing if reference not in refused]
            if linked.has_errors or not wanted:
                return linked
            for reference in wanted:
                file = read(reference)
                if file is None:
                    refused.add(reference)
                else:
                    self.add(reference, file)

    def link(self) -> Linked:
        """Return the workflow with what is known of its calls, what is wrong with them, and what is missing."""
        return _Pass(self._nodes, self._at).linked()


@dataclass(kw_only=True)
class _Node:
    """A file. ``workflow`` is None when there is none that is valid."""

    reference: FileReference
    title: str
    workflow: Workflow | None
    file: CalledFile = field(default_factory=CalledFile)
    diagnostics: tuple[Diagnostic, ...] = ()

    @cached_property
    def calls(self) -> dict[FileReference, list[CallJob]]:
        return _calls(self.workflow, self.reference) if self.workflow is not None else {}

    @cached_property
    def callee(self) -> Callee | None:
        """What a call of it is checked against; None when it cannot be called."""
        takes = signature(self.workflow) if self.workflow is not None else None
        return Callee.of(self.title, takes) if takes is not None else None


class _Pass:
    """One look at the whole graph. What cannot be followed, a circle among it, is an error at the call, and cut off."""

    def __init__(self, nodes: Mapping[FileReference, _Node], at: FileReference) -> None:
        self._nodes = nodes
        self._at = at
        self._faults: dict[tuple[FileReference, FileReference], str] = {}
        """What is wrong with a call as such, by who calls and what."""
        self._rules: dict[tuple[FileReference, FileReference], str] = {}
        self._seen: dict[FileReference, None] = {}
        """In the order in which the calls lead to them."""
        self._done: dict[FileReference, None] = {}
        """Each after all that it calls."""
        self._missing: dict[FileReference, None] = {}
        self._size_bytes = 0

    def linked(self) -> Linked:
        self._walk(self._at, ())
        self._cut_deep_calls()
        workflows: dict[FileReference, Workflow] = {}
        demands: dict[FileReference, Demand] = {}
        jobs: dict[FileReference, int] = {}
        for reference in self._done:
            node = self._nodes[reference]
            workflow = node.workflow
            if workflow is None:
                continue
            followed = {job.key: target for target, job in self._followed(node) if target in workflows}
            calls = {key: followed[key] for key in workflow.jobs if key in followed}
            workflows[reference] = replace(workflow, calls={key: workflows[target] for key, target in calls.items()})
            jobs[reference] = len(workflow.jobs) + sum(jobs[target] for target in calls.values())
            demands[reference] = demand(workflow, node.title, {key: demands[target] for key, target in calls.items()})
        diagnostics: list[Diagnostic] = []
        for reference in self._seen:
            diagnostics += self._check(self._nodes[reference], demands)
        if jobs[self._at] > MAX_JOBS:
            diagnostics.append(self._too_many_jobs(jobs[self._at]))
        return Linked(
            workflow=workflows[self._at],
            diagnostics=tuple(diagnostics),
            missing=tuple(self._missing),
            files={reference: self._nodes[reference].file for reference in self._seen if reference != self._at},
        )

    def _walk(self, reference: FileReference, above: tuple[FileReference, ...]) -> None:
        """Visit everything that a known file calls, depth first. A graph of 50 files is no deeper than that."""
        self._seen[reference] = None
        node = self._nodes[reference]
        path = (*above, reference)
        for target in node.calls:
            if target in path:
                self._cut(reference, target, "call-circle", _circle(path, target))
            elif target in self._seen or target in self._missing:
                continue
            elif len(self._seen) + len(self._missing) > MAX_CALLED:
                message = f"found more than {MAX_CALLED} called workflows, expected at most that many in one run"
                self._cut(reference, target, "call-count", message)
            elif target not in self._nodes:
                self._missing[target] = None
            elif self._fits(self._nodes[target].file):
                self._walk(target, path)
            else:
                message = f"the called workflows have more than {MAX_BYTES} bytes together, expected at most that many"
                self._cut(reference, target, "call-size", message)
        self._done[reference] = None

    def _fits(self, file: CalledFile) -> bool:
        self._size_bytes += len(file.text.encode("utf-8", "surrogatepass"))
        return self._size_bytes <= MAX_BYTES

    def _cut(self, caller: FileReference, target: FileReference, rule: str, message: str) -> None:
        self._faults[caller, target] = message
        self._rules[caller, target] = rule

    def _cut_deep_calls(self) -> None:
        """Cut off what the last level calls. The longest way to a file counts."""
        levels: dict[FileReference, int] = {self._at: 1}
        for reference in reversed(self._done):
            level = levels.get(reference)
            if level is None:
                continue
            for target in self._nodes[reference].calls:
                if (reference, target) in self._faults:
                    continue
                if level == MAX_LEVELS:
                    message = f"which would be level {level + 1}, expected at most {MAX_LEVELS} levels of workflows"
                    self._cut(reference, target, "call-depth", f"found the call of {shown(target.title)}, {message}")
                    continue
                levels[target] = max(levels.get(target, 0), level + 1)
        self._missing = {target: None for target in self._missing if target in levels}

    def _followed(self, node: _Node) -> Iterator[tuple[FileReference, CallJob]]:
        for target, jobs in node.calls.items():
            if (node.reference, target) not in self._faults:
                yield from ((target, job) for job in jobs)

    def _check(self, node: _Node, demands: Mapping[FileReference, Demand]) -> tuple[Diagnostic, ...]:
        """Return what is wrong with a file and with its calls."""
        if node.workflow is None:
            return node.diagnostics
        if not node.calls:
            return ()
        findings = Findings(node.title, SourceText(node.workflow.source))
        try:
            for target, jobs in node.calls.items():
                for job in jobs:
                    self._check_job(findings, node, job, target, demands)
        except TooManyError:
            pass
        return findings.in_order()

    def _check_job(
        self,
        findings: Findings,
        node: _Node,
        job: CallJob,
        target: FileReference,
        demands: Mapping[FileReference, Demand],
    ) -> None:
        fault = self._faults.get((node.reference, target))
        if fault is not None:
            findings.error(job.uses_span, self._rules[node.reference, target], fault)
            return
        called = self._nodes.get(target)
        if called is None or node.workflow is None:
            return
        if called.callee is None:
            _note_uncallable(findings, job, called)
            return
        check_call(findings, job, called.callee)
        check_permissions(findings, job, node.workflow, demands[target])

    def _too_many_jobs(self, count: int) -> Diagnostic:
        node = self._nodes[self._at]
        job = next(job for jobs in node.calls.values() for job in jobs)
        number = str(count) if count < 10**6 else "over a million"
        message = f"the workflow has {number} jobs with those that it calls, expected at most {MAX_JOBS}"
        return Diagnostic(path=node.title, span=job.uses_span, rule="call-jobs", message=message)


def _circle(path: tuple[FileReference, ...], target: FileReference) -> str:
    circle = path[path.index(target) :]
    if len(circle) == 1:
        return f"the workflow {shown(circle[0].title)} calls itself"
    words = " → ".join(shown(reference.title) for reference in (*circle[:10], circle[0]))
    return f"the workflows call each other in a circle: {words}"


def _note_uncallable(findings: Findings, job: CallJob, called: _Node) -> None:
    what = f"found {shown(job.uses)}, which cannot be called"
    if called.file.error is not None:
        near = guess(_name(called.reference.path), map(_name, called.file.known))
        findings.error(job.uses_span, "call-file", f"{what}: {called.file.error}{near}")
    elif called.workflow is None:
        count = len(called.diagnostics)
        errors = "1 error" if count == 1 else f"{count} errors"
        related = tuple(
            Related(message=item.message, span=item.span, path=called.title) for item in called.diagnostics[:1]
        )
        findings.error(job.uses_span, "call-invalid", f"{what}: it has {errors}", related=related)
    else:
        trigger = called.workflow.triggers[0]
        events = listed([trigger.event for trigger in called.workflow.triggers][:8])
        findings.error(
            job.uses_span,
            "call-trigger",
            f"{what}: it is triggered by {events}, expected '{EVENT}' among the events of its 'on'",
            related=(Related(message="its 'on' stands here", span=trigger.span, path=called.title),),
        )


def _name(path: str) -> str:
    return path.rpartition("/")[2]
