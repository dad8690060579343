"""``needs``: the order of jobs, checked as a whole once all of them were read."""

from collections.abc import Mapping
from itertools import pairwise

from terraphim_runner.expressions.casing import fold
from terraphim_runner.model.ids import JobKey
from terraphim_runner.model.source import Related
from terraphim_runner.workflow.fields import MAX_DEFINED, guess_for, texts
from terraphim_runner.workflow.findings import Findings, shown
from terraphim_runner.workflow.nodes import Node, Scalar
from terraphim_runner.workflow.tree import Need


def parse_needs(findings: Findings, node: Node) -> tuple[Need, ...]:
    """Return what a job waits for, as written; a job that is named twice counts once."""
    needs: dict[str, Need] = {}
    for name, place in texts(findings, node, "a job's id in 'needs'"):
        needs.setdefault(fold(name), Need(job=JobKey(name), span=findings.source.of(place)))
    return tuple(needs.values())


def check_needs(
    findings: Findings, jobs: Scalar, needs: Mapping[JobKey, tuple[Need, ...]]
) -> dict[JobKey, tuple[Need, ...]]:
    """Return the needs with each job's id as it is defined (ids compare without case).

    Noted: jobs that do not exist, circles, and a workflow in which every job waits. ``jobs`` is the key above all.
    """
    spelling = {fold(key): key for key in needs}
    known: dict[JobKey, tuple[Need, ...]] = {}
    for key, wanted in needs.items():
        found: list[Need] = []
        for need in wanted:
            target = spelling.get(fold(need.job))
            if target is None:
                message = f"job '{key}' needs {shown(need.job)}, which is no job of this workflow"
                findings.error(
                    need.span, "needs-unknown", message + guess_for(findings, need.job, needs, most=MAX_DEFINED)
                )
            else:
                found.append(Need(job=target, span=need.span))
        known[key] = tuple(found)
    _check_circles(findings, known)
    if needs and all(needs.values()):
        message = "no job can start: every job needs another one, expected at least one job without 'needs'"
        findings.error(jobs, "needs-start", message)
    return known


def _check_circles(findings: Findings, needs: Mapping[JobKey, tuple[Need, ...]]) -> None:
    """Walk the graph depth first; an edge back into the walk's own path closes a circle, which is noted once."""
    done: set[JobKey] = set()
    for root in needs:
        if root in done:
            continue
        path: dict[JobKey, None] = {root: None}
        pending = [iter(needs[root])]
        while pending:
            need = next(pending[-1], None)
            if need is None:
                pending.pop()
                done.add(path.popitem()[0])
            elif need.job in path:
                _report_circle(findings, needs, [*path], need)
            elif need.job not in done:
                path[need.job] = None
                pending.append(iter(needs[need.job]))


def _report_circle(
    findings: Findings, needs: Mapping[JobKey, tuple[Need, ...]], path: list[JobKey], closing: Need
) -> None:
    circle = path[path.index(closing.job) :]
    if len(circle) == 1:
        findings.error(closing.span, "needs-cycle", f"job '{circle[0]}' needs itself")
        return
    words = " → ".join(f"'{key}'" for key in ([*circle, circle[0]] if len(circle) <= 20 else circle[:20]))
    message = f"the jobs need each other in a circle: {words}" + (" → …" if len(circle) > 20 else "")
    related = tuple(
        Related(message=f"'{key}' needs '{need.job}'", span=need.span)
        for key, following in pairwise(circle[:21])
        for need in needs[key]
        if need.job == following
    )
    findings.error(closing.span, "needs-cycle", message, related=related)
