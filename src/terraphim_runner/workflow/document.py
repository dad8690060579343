"""A workflow file from text to tree: the sections of the top level, and the one entry ``parse``."""

from dataclasses import dataclass
from typing import Final

from terraphim_runner.model.source import Diagnostic, Span
from terraphim_runner.workflow import nodes
from terraphim_runner.workflow.availability import RUN_NAME, WORKFLOW_CONCURRENCY, WORKFLOW_ENV
from terraphim_runner.workflow.concurrency import parse_concurrency
from terraphim_runner.workflow.defaults import parse_defaults
from terraphim_runner.workflow.fields import Shape, expected, text
from terraphim_runner.workflow.findings import Findings, TooManyError
from terraphim_runner.workflow.jobs import parse_jobs
from terraphim_runner.workflow.nodes import Node
from terraphim_runner.workflow.on import parse_on
from terraphim_runner.workflow.permissions import parse_permissions
from terraphim_runner.workflow.support import unsupported
from terraphim_runner.workflow.templates import environment, template
from terraphim_runner.workflow.text import SourceText
from terraphim_runner.workflow.tree import RunDefaults, Workflow
from terraphim_runner.workflow.yaml import load

_SHAPE: Final = Shape(
    what="a workflow",
    keys=("name", "description", "run-name", "on", "permissions", "env", "defaults", "concurrency", "jobs"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ParseResult:
    """``workflow`` is None exactly when one of the diagnostics is an error; they are in the order of their places."""

    workflow: Workflow | None
    diagnostics: tuple[Diagnostic, ...] = ()


def parse(path: str, text: str, *, check_support: bool = True) -> ParseResult:
    """Return the workflow that a file's text spells, with all that is wrong in it at once.

    What GitHub takes and this runner does not carry out yet is an error, too, of the rule ``not-supported``; without
    ``check_support`` it is none, and such a workflow must not be planned. Never raises, whatever the text; takes time
    in proportion to it. ``path`` is only named in diagnostics.
    """
    source = SourceText(text.removeprefix("\ufeff"))
    findings = Findings(path, source)
    try:
        root = load(findings)
        workflow = None if root is None else _workflow(findings, root)
        if workflow is not None and check_support:
            for gap in unsupported(workflow):
                findings.error(gap.span, gap.rule, gap.message)
    except TooManyError:
        workflow = None
    return ParseResult(workflow=None if findings.has_errors else workflow, diagnostics=findings.in_order())


def _workflow(findings: Findings, root: Node) -> Workflow | None:
    if not isinstance(root, nodes.Mapping):
        expected(findings, root, "a workflow as a mapping with 'on' and 'jobs'")
        return None
    entries = _SHAPE.read(findings, root) or {}
    for name in ("on", "jobs"):
        if name not in entries:
            detail = "a workflow without jobs" if name == "jobs" else "a workflow that nothing triggers"
            findings.error(Span.at(1, 1), "missing-key", f"found {detail}, expected the key '{name}'")
    triggers = parse_on(findings, entries["on"]) if "on" in entries else ()
    jobs = parse_jobs(findings, entries["jobs"]) if "jobs" in entries else {}
    # The description is checked, and nothing shows it yet.
    labels = {
        key: text(findings, entries[key].value, f"'{key}'", may_be_empty=True)
        for key in ("name", "description")
        if key in entries
    }
    run_name = entries.get("run-name")
    env = entries.get("env")
    defaults = entries.get("defaults")
    permissions = entries.get("permissions")
    concurrency = entries.get("concurrency")
    return Workflow(
        path=findings.path,
        source=findings.source.text,
        jobs=jobs,
        triggers=triggers,
        name=labels.get("name"),
        run_name=template(findings, run_name.value, "'run-name'", RUN_NAME) if run_name else None,
        env=environment(findings, env.value, "'env'", WORKFLOW_ENV) if env else {},
        defaults=parse_defaults(findings, defaults.value, None) if defaults else RunDefaults(),
        permissions=parse_permissions(findings, permissions.value) if permissions else None,
        concurrency=(
            parse_concurrency(findings, concurrency, WORKFLOW_CONCURRENCY, may_be_none=True) if concurrency else None
        ),
    )
