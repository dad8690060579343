"""One call of a workflow, held against what the called one takes: inputs, secrets, permissions."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Final

from terraphim_runner.expressions import Template
from terraphim_runner.model.ids import JobKey
from terraphim_runner.model.source import Related, Span
from terraphim_runner.workflow.fields import guess, listed
from terraphim_runner.workflow.findings import Findings, shown
from terraphim_runner.workflow.signature import CallInput, InputType, Signature
from terraphim_runner.workflow.tree import CallJob, Workflow

_MAX_LISTED: Final = 12
_MAX_PERMISSIONS: Final = 4
_MAX_GUESSED: Final = 64
"""How many names are compared with an unknown one: the search takes time for each."""
_LEVELS: Final = ("none", "read", "write")
_WORDS: Final = {InputType.BOOLEAN: "true or false", InputType.NUMBER: "a number"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Callee:
    """What a called workflow takes; ``path`` is how diagnostics name its file.

    Made once for all calls of it: thousands of them may call a workflow with thousands of inputs. Names are in lower
    case, but for those that ``required_inputs`` and ``required_secrets`` map them to.
    """

    path: str
    signature: Signature
    inputs: Mapping[str, CallInput]
    required_inputs: Mapping[str, str]
    secrets: frozenset[str]
    required_secrets: Mapping[str, str]

    @classmethod
    def of(cls, path: str, signature: Signature) -> "Callee":
        return cls(
            path=path,
            signature=signature,
            inputs={name.lower(): item for name, item in signature.inputs.items()},
            required_inputs={name.lower(): name for name, item in signature.inputs.items() if item.required},
            secrets=frozenset(map(str.lower, signature.secrets)),
            required_secrets={name.lower(): name for name, is_required in signature.secrets.items() if is_required},
        )

    def related(self, what: str) -> tuple[Related, ...]:
        return (Related(message=f"its {what} are declared here", span=self.signature.span, path=self.path),)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """The most that a called workflow, or what it calls in turn, asks for of one permission, and where."""

    level: str
    who: str
    path: str
    span: Span


Demand = Mapping[str, Ask]
"""By the names of permissions; a workflow that states none asks for nothing."""


def check_call(findings: Findings, job: CallJob, callee: Callee) -> None:
    """Note inputs and secrets that are unknown, missing, or literals of a wrong type.

    What is an expression is checked when it is evaluated. Inherited secrets are looked for when a job wants them.
    """
    for name, value in job.with_.items():
        wanted = callee.inputs.get(name.lower())
        if wanted is None:
            _unknown(findings, "input", name, value, job, callee, callee.signature.inputs)
        elif not _is_of(value, wanted.type):
            _wrong_type(findings, wanted.name, wanted.type, value, callee)
    _missing(findings, "input", _not_given(callee.required_inputs, job.with_), "with", job, callee)
    if job.inherits_secrets:
        return
    for name, value in job.secrets.items():
        if name.lower() not in callee.secrets:
            _unknown(findings, "secret", name, value, job, callee, callee.signature.secrets)
    _missing(findings, "secret", _not_given(callee.required_secrets, job.secrets), "secrets", job, callee)


def _not_given(required: Mapping[str, str], given: Mapping[str, Template]) -> list[str]:
    names = {name.lower() for name in given}
    return [name for key, name in required.items() if key not in names]


def _unknown(
    findings: Findings,
    kind: str,
    name: str,
    value: Template,
    job: CallJob,
    callee: Callee,
    known: Mapping[str, object],
) -> None:
    expected = f"one of {_listed(known)}" if known else "none"
    message = f"found the {kind} {shown(name)}, which {shown(job.uses)} does not declare, expected {expected}"
    related = callee.related(f"{kind}s")
    findings.error(value.span, f"call-{kind}", message + guess(name, islice(known, _MAX_GUESSED)), related=related)


def _missing(findings: Findings, kind: str, names: list[str], key: str, job: CallJob, callee: Callee) -> None:
    if not names:
        return
    what = f"the {kind} {listed(names)}" if len(names) == 1 else f"the {kind}s {_listed(dict.fromkeys(names))}"
    message = f"job '{job.key}' does not give {what}, which {shown(job.uses)} requires"
    fix = f"add {'it' if len(names) == 1 else 'them'} below '{key}'"
    if kind == "secret":
        fix += ", or hand down all with 'secrets: inherit'"
    findings.error(job.uses_span, f"call-{kind}", message, fix=fix, related=callee.related(f"{kind}s"))


def _is_of(value: Template, wanted: InputType) -> bool:
    """Tell whether a value may be of a type: any scalar is a string, and an expression may be anything."""
    if wanted is InputType.STRING or not value.is_literal:
        return True
    is_boolean = isinstance(value.parts[0], bool) if len(value.parts) == 1 else False
    is_number = not is_boolean and len(value.parts) == 1 and isinstance(value.parts[0], int | float)
    return is_boolean if wanted is InputType.BOOLEAN else is_number


def _wrong_type(findings: Findings, name: str, wanted: InputType, value: Template, callee: Callee) -> None:
    part = value.parts[0] if len(value.parts) == 1 else value.source
    kind = "boolean" if isinstance(part, bool) else "string" if isinstance(part, str) else "number"
    message = f"found the {kind} {shown(value.source)} for the input '{name}', expected {_WORDS[wanted]}"
    literal = isinstance(part, str) and value.source.lower() in {"true", "false"} and wanted is InputType.BOOLEAN
    fix = "take the quotes away" if literal else None
    findings.error(value.span, "call-input", message, fix=fix, related=callee.related("inputs"))


def demand(workflow: Workflow, path: str, calls: Mapping[JobKey, Demand]) -> Demand:
    """Return the most that a workflow asks of who calls it, given what those ask that it calls.

    A call for which nothing is stated passes on what it was given, so what its workflow asks is asked of the caller.
    """
    asked: dict[str, Ask] = {}
    if workflow.permissions is not None:
        _add(asked, _stated(workflow.permissions, "the workflow", path, workflow.triggers[0].span))
    for job in workflow.jobs.values():
        if job.permissions is not None:
            _add(asked, _stated(job.permissions, f"job '{job.key}'", path, job.span))
        elif workflow.permissions is None and job.key in calls:
            _add(asked, calls[job.key])
    return asked


def _stated(permissions: Mapping[str, str], who: str, path: str, span: Span) -> Demand:
    return {name: Ask(level=level, who=who, path=path, span=span) for name, level in permissions.items()}


def _add(asked: dict[str, Ask], more: Demand) -> None:
    for name, ask in more.items():
        if _rank(ask.level) > (_rank(asked[name].level) if name in asked else 0):
            asked[name] = ask


def check_permissions(findings: Findings, job: CallJob, workflow: Workflow, asked: Demand) -> None:
    """Note that a called workflow asks for more than its caller states; nothing, when the caller states nothing."""
    stated = job.permissions if job.permissions is not None else workflow.permissions
    if stated is None:
        return
    excess = {name: ask for name, ask in asked.items() if _rank(ask.level) > _rank(stated.get(name, "none"))}
    if not excess:
        return
    shown_names = list(excess)[:_MAX_PERMISSIONS]
    more = f" and {len(excess) - len(shown_names)} more" if len(excess) > len(shown_names) else ""
    wants = ", ".join(f"'{name}: {excess[name].level}'" for name in shown_names) + more
    has = ", ".join(f"'{name}: {stated.get(name, 'none')}'" for name in shown_names)
    first = next(iter(excess.values()))
    where = f"job '{job.key}'" if job.permissions is not None else "the calling workflow"
    findings.error(
        job.uses_span,
        "call-permissions",
        f"{shown(job.uses)} asks for {wants}, but {where} allows {has} only",
        fix="allow it in the 'permissions' of the calling job, or ask for less in the called workflow",
        related=(Related(message=f"{first.who} asks for it", span=first.span, path=first.path),),
    )


def _rank(level: str) -> int:
    return _LEVELS.index(level)


def _listed(names: Mapping[str, object]) -> str:
    shown_names = listed(list(names)[:_MAX_LISTED])
    return shown_names if len(names) <= _MAX_LISTED else f"{shown_names} and {len(names) - _MAX_LISTED} more"
