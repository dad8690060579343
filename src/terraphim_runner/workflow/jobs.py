"""``jobs``: each job by itself. What ties them together is checked in ``needs``."""

from typing import Any, Final

from terraphim_runner.expressions import TemplateTree
from terraphim_runner.model.ids import JobKey
from terraphim_runner.workflow import nodes
from terraphim_runner.workflow.availability import (
    JOB_CANCEL_TIMEOUT,
    JOB_CONCURRENCY,
    JOB_CONTINUE,
    JOB_DEFAULTS,
    JOB_ENV,
    JOB_IF,
    JOB_NAME,
    JOB_OUTPUTS,
    JOB_RUNS_ON,
    JOB_TIMEOUT,
)
from terraphim_runner.workflow.calls import parse_call
from terraphim_runner.workflow.concurrency import parse_concurrency
from terraphim_runner.workflow.containers import parse_container, parse_services
from terraphim_runner.workflow.defaults import parse_defaults
from terraphim_runner.workflow.deployment import parse_environment, parse_snapshot
from terraphim_runner.workflow.fields import Shape, expected, identifier
from terraphim_runner.workflow.findings import Findings
from terraphim_runner.workflow.needs import check_needs, parse_needs
from terraphim_runner.workflow.nodes import Entry, Node, Scalar, Sequence
from terraphim_runner.workflow.permissions import parse_permissions
from terraphim_runner.workflow.steps import parse_steps
from terraphim_runner.workflow.strategy import parse_strategy
from terraphim_runner.workflow.templates import boolean, condition, environment, number, template, templates
from terraphim_runner.workflow.tree import CallJob, Job, Need

_SHARED: Final = ("name", "needs", "if", "permissions", "concurrency", "strategy")
_SHAPE: Final = Shape(
    what="a job",
    keys=(
        *(*_SHARED, "runs-on", "env", "environment", "defaults", "outputs", "container", "services", "steps"),
        *("snapshot", "timeout-minutes", "cancel-timeout-minutes", "continue-on-error"),
    ),
    required=("runs-on", "steps"),
)
_CALL: Final = Shape(what="a job that calls a workflow", keys=(*_SHARED, "uses", "with", "secrets"))
_RUNS_ON: Final = Shape(what="'runs-on'", keys=("group", "labels"))


def parse_jobs(findings: Findings, entry: Entry) -> dict[JobKey, Job]:
    """Return the jobs by their ids, in the file's order; those with mistakes are noted and left out."""
    if not isinstance(entry.value, nodes.Mapping):
        expected(findings, entry.value, "'jobs' as a mapping of job ids to jobs")
        return {}
    if not entry.value.entries:
        findings.error(entry.value, "no-jobs", "found a workflow without jobs, expected at least one below 'jobs'")
        return {}
    read: dict[JobKey, dict[str, Any] | None] = {}
    needs: dict[JobKey, tuple[Need, ...]] = {}
    for name, job in entry.value.entries.items():
        identifier(findings, job.key, name, "a job's id")
        key = JobKey(name)
        read[key], needs[key] = _job(findings, key, job)
    known = check_needs(findings, entry.key, needs)
    return {
        key: (CallJob if "uses" in fields else Job)(**fields, needs=known[key])
        for key, fields in read.items()
        if fields is not None
    }


def _job(findings: Findings, key: JobKey, entry: Entry) -> tuple[dict[str, Any] | None, tuple[Need, ...]]:
    """Return a job's fields, None when it cannot be one, and what it needs."""
    is_call = isinstance(entry.value, nodes.Mapping) and "uses" in entry.value.entries
    entries = (_CALL if is_call else _SHAPE).read(findings, entry.value, place=entry.key)
    if entries is None:
        return None, ()
    needs = parse_needs(findings, entries["needs"].value) if "needs" in entries else ()
    fields: dict[str, Any] = {"key": key, "span": findings.source.of(entry.key)}
    for name, part in entries.items():
        if name in _FIELD:
            _FIELD[name](findings, part, fields)
    if is_call:
        call = parse_call(findings, entries)
        return (None if call is None else fields | call), needs
    complete = fields.get("runs_on") is not None and "steps" in fields
    return (fields if complete else None), needs


def _runs_on(findings: Findings, node: Node) -> TemplateTree | None:
    if not isinstance(node, nodes.Mapping):
        return _labels(findings, node)
    entries = _RUNS_ON.read(findings, node) or {}
    if not entries:
        findings.error(node, "missing-key", "'runs-on' has neither 'group' nor 'labels', expected at least one")
        return None
    labels = _labels(findings, entries["labels"].value) if "labels" in entries else None
    if "group" not in entries:
        return labels
    group = template(findings, entries["group"].value, "'group'", JOB_RUNS_ON, may_be_empty=False)
    if group is None:
        return None
    return {"group": group} if labels is None else {"group": group, "labels": labels}


def _labels(findings: Findings, node: Node) -> TemplateTree | None:
    if isinstance(node, Scalar):
        return template(findings, node, "a label in 'runs-on'", JOB_RUNS_ON, may_be_empty=False)
    if not isinstance(node, Sequence):
        expected(findings, node, "labels, one string or a sequence of strings")
        return None
    if not node.items:
        findings.error(node, "type", "found no label in 'runs-on', expected at least one")
    labels = [template(findings, item, "a label in 'runs-on'", JOB_RUNS_ON, may_be_empty=False) for item in node.items]
    return tuple(label for label in labels if label is not None)


# One reader per key: each puts what it read among the job's fields.


def _name(findings: Findings, entry: Entry, fields: dict[str, Any]) -> None:
    fields["name"] = template(findings, entry.value, "'name'", JOB_NAME)


def _machine(findings: Findings, entry: Entry, fields: dict[str, Any]) -> None:
    fields["runs_on"] = _runs_on(findings, entry.value)


def _if(findings: Findings, entry: Entry, fields: dict[str, Any]) -> None:
    fields["condition"] = condition(findings, entry.value, JOB_IF)


def _permissions(findings: Findings, entry: Entry, fields: dict[str, Any]) -> None:
    fields["permissions"] = parse_permissions(findings, entry.value)


def _env(findings: Findings, entry: Entry, fields: dict[str, Any]) -> None:
    fields["env"] = environment(findings, entry.value, "'env'", JOB_ENV)


def _defaults(findings: Findings, entry: Entry, fields: dict[str, Any]) -> None:
    fields["defaults"] = parse_defaults(findings, entry.value, JOB_DEFAULTS)


def _outputs(findings: Findings, entry: Entry, fields: dict[str, Any]) -> None:
    fields["outputs"] = templates(findings, entry.value, "'outputs'", JOB_OUTPUTS)


def _strategy(findings: Findings, entry: Entry, fields: dict[str, Any]) -> None:
    fields["strategy"] = parse_strategy(findings, entry)


def _concurrency(findings: Findings, entry: Entry, fields: dict[str, Any]) -> None:
    fields["concurrency"] = parse_concurrency(findings, entry, JOB_CONCURRENCY)


def _environment(findings: Findings, entry: Entry, fields: dict[str, Any]) -> None:
    fields["environment"] = parse_environment(findings, entry)


def _container(findings: Findings, entry: Entry, fields: dict[str, Any]) -> None:
    fields["container"] = parse_container(findings, entry)


def _services(findings: Findings, entry: Entry, fields: dict[str, Any]) -> None:
    fields["services"] = parse_services(findings, entry.value)


def _snapshot(findings: Findings, entry: Entry, fields: dict[str, Any]) -> None:
    fields["snapshot"] = parse_snapshot(findings, entry)


def _steps(findings: Findings, entry: Entry, fields: dict[str, Any]) -> None:
    fields["steps"] = parse_steps(findings, entry.value)


def _timeout(findings: Findings, entry: Entry, fields: dict[str, Any]) -> None:
    fields["timeout_minutes"] = number(findings, entry.value, "'timeout-minutes'", JOB_TIMEOUT)


def _cancel_timeout(findings: Findings, entry: Entry, fields: dict[str, Any]) -> None:
    what = "'cancel-timeout-minutes'"
    fields["cancel_timeout_minutes"] = number(findings, entry.value, what, JOB_CANCEL_TIMEOUT)


def _continue(findings: Findings, entry: Entry, fields: dict[str, Any]) -> None:
    fields["continue_on_error"] = boolean(findings, entry.value, "'continue-on-error'", JOB_CONTINUE)


_FIELD: Final = {
    "name": _name,
    "runs-on": _machine,
    "if": _if,
    "permissions": _permissions,
    "env": _env,
    "defaults": _defaults,
    "outputs": _outputs,
    "strategy": _strategy,
    "concurrency": _concurrency,
    "environment": _environment,
    "container": _container,
    "services": _services,
    "snapshot": _snapshot,
    "steps": _steps,
    "timeout-minutes": _timeout,
    "cancel-timeout-minutes": _cancel_timeout,
    "continue-on-error": _continue,
}
