"""``jobs``: each job by itself. What ties them together is checked in ``needs``."""

from typing import Any, Final

from terraphim_runner.expressions import TemplateTree
from terraphim_runner.model.ids import JobKey
from terraphim_runner.workflow import nodes
from terraphim_runner.workflow.availability import (
    JOB_CONTINUE,
    JOB_DEFAULTS,
    JOB_ENV,
    JOB_IF,
    JOB_NAME,
    JOB_OUTPUTS,
    JOB_RUNS_ON,
    JOB_TIMEOUT,
)
from terraphim_runner.workflow.defaults import parse_defaults
from terraphim_runner.workflow.fields import Shape, expected, identifier, not_supported
from terraphim_runner.workflow.findings import Findings, shown
from terraphim_runner.workflow.needs import check_needs, parse_needs
from terraphim_runner.workflow.nodes import Entry, Node, Scalar, Sequence
from terraphim_runner.workflow.permissions import parse_permissions
from terraphim_runner.workflow.steps import parse_steps
from terraphim_runner.workflow.strategy import parse_strategy
from terraphim_runner.workflow.templates import boolean, condition, environment, number, template, templates
from terraphim_runner.workflow.tree import Job, Need

_LATER: Final = {
    "cancel-timeout-minutes": "a cancelled job gets the default grace",
    "concurrency": "jobs do not wait for each other, and none is cancelled by a newer one",
    "container": "steps run in the machine itself",
    "environment": "there are no deployments, protection rules or environment secrets",
    "services": "no service containers are started",
    "snapshot": "no image is made of a job's machine",
}
_KEYS: Final = (
    *("name", "runs-on", "needs", "if", "permissions", "env", "defaults", "outputs", "strategy", "steps"),
    *("timeout-minutes", "continue-on-error"),
)
_CALL_KEYS: Final = ("uses", "with", "secrets")
_CALL: Final = Shape(what="a job that calls a workflow", keys=(*_KEYS, *_CALL_KEYS), later=_LATER)
_SHAPE: Final = Shape(what="a job", keys=_KEYS, required=("runs-on", "steps"), later=_LATER)
_RUNS_ON: Final = Shape(
    what="'runs-on'",
    keys=("labels",),
    required=("labels",),
    later={"group": "machines are chosen by labels only"},
)


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
    return {key: Job(**fields, needs=known[key]) for key, fields in read.items() if fields is not None}


def _job(findings: Findings, key: JobKey, entry: Entry) -> tuple[dict[str, Any] | None, tuple[Need, ...]]:
    """Return a job's fields, None when it cannot be one, and what it needs."""
    is_call = isinstance(entry.value, nodes.Mapping) and "uses" in entry.value.entries
    entries = (_CALL if is_call else _SHAPE).read(findings, entry.value, place=entry.key)
    if entries is None:
        return None, ()
    needs = parse_needs(findings, entries["needs"].value) if "needs" in entries else ()
    if is_call:
        _refuse_call(findings, entries["uses"])
    else:
        for name in ("with", "secrets"):
            # Without 'uses' these are unknown keys and were noted as such.
            entries.pop(name, None)
    fields: dict[str, Any] = {"key": key, "span": findings.source.of(entry.key)}
    for name, part in entries.items():
        _FIELD.get(name, _ignore)(findings, part, fields)
    complete = fields.get("runs_on") is not None and "steps" in fields
    return (fields if complete else None), needs


def _refuse_call(findings: Findings, uses: Entry) -> None:
    name = shown(uses.value) if isinstance(uses.value, Scalar) else "a workflow"
    not_supported(findings, uses.key, f"the call of {name} by 'uses'", "a job runs its own steps only")


def _runs_on(findings: Findings, node: Node) -> TemplateTree | None:
    if isinstance(node, nodes.Mapping):
        entries = _RUNS_ON.read(findings, node) or {}
        return _labels(findings, entries["labels"].value) if "labels" in entries else None
    return _labels(findings, node)


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


def _ignore(findings: Findings, entry: Entry, fields: dict[str, Any]) -> None:
    """``needs`` was read before; ``with`` and ``secrets`` belong to a call that was refused as a whole."""


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


def _steps(findings: Findings, entry: Entry, fields: dict[str, Any]) -> None:
    fields["steps"] = parse_steps(findings, entry.value)


def _timeout(findings: Findings, entry: Entry, fields: dict[str, Any]) -> None:
    fields["timeout_minutes"] = number(findings, entry.value, "'timeout-minutes'", JOB_TIMEOUT)


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
    "steps": _steps,
    "timeout-minutes": _timeout,
    "continue-on-error": _continue,
}
