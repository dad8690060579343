"""The parts of a job that its machine will need, as data for people and programs: before anything ran.

``container``, ``services``, ``environment``, ``permissions`` and ``defaults``. What hangs on secrets or on the steps'
own environment is not known before the job runs: it stays as it is written.
"""

from collections.abc import Mapping
from typing import Any, Final

from terraphim_runner.expressions import (
    EvaluationError,
    Scope,
    Template,
    TemplateTree,
    evaluate_tree,
    references,
    to_json,
)
from terraphim_runner.planning.evaluation import Contexts
from terraphim_runner.workflow.tree import Container, Credentials, Job, RunDefaults, Service, Workflow

_LATER: Final = frozenset({"secrets", "env", "job", "steps", "runner"})


def sections(workflow: Workflow, job: Job, contexts: Contexts) -> dict[str, Any]:
    """Return the sections that the job has, as JSON values. ``contexts`` are those of one leg. Never raises."""
    names = Scope(contexts=contexts)
    found = {
        "permissions": workflow.permissions if job.permissions is None else job.permissions,
        "defaults": _defaults(workflow.defaults, job.defaults, names),
        "environment": _environment(job, names),
        "container": None if job.container is None else _container(job.container, names),
        "services": _services(job, names),
    }
    return {name: value for name, value in found.items() if value is not None}


def _defaults(outer: RunDefaults, inner: RunDefaults, names: Scope) -> dict[str, Any] | None:
    if inner.whole is not None:
        return {"run": _value(inner.whole, names)}
    pairs = (
        ("shell", inner.shell or outer.shell),
        ("working-directory", inner.working_directory or outer.working_directory),
    )
    found = {name: _value(template, names) for name, template in pairs if template is not None}
    return {"run": found} if found else None


def _environment(job: Job, names: Scope) -> Any:
    environment = job.environment
    if environment is None:
        return None
    name = _value(environment.name, names)
    if not isinstance(name, str):
        # The expression yields the whole mapping.
        return name
    more = {"url": environment.url, "deployment": environment.deployment}
    return {"name": name} | {key: _value(value, names) for key, value in more.items() if value is not None}


def _services(job: Job, names: Scope) -> Any:
    if isinstance(job.services, Template):
        return _value(job.services, names)
    if not job.services:
        return None
    return {name: _container(service, names) for name, service in job.services.items()}


def _container(container: Container, names: Scope) -> Any:
    image = _value(container.image, names)
    if not isinstance(image, str):
        # The expression yields the whole mapping.
        return image
    parts: dict[str, TemplateTree | Credentials | None] = {
        "credentials": container.credentials,
        "env": container.env,
        "ports": container.ports,
        "volumes": container.volumes,
        "options": container.options,
    }
    if isinstance(container, Service):
        parts |= {"entrypoint": container.entrypoint, "command": container.command}
    shown: dict[str, Any] = {"image": image}
    for name, part in parts.items():
        if isinstance(part, Credentials):
            both = {"username": part.username, "password": part.password}
            shown[name] = {key: _value(value, names) for key, value in both.items() if value is not None}
        elif part is not None and (part or isinstance(part, Template)):
            shown[name] = _value(part, names)
    return shown


def _value(tree: TemplateTree, names: Scope) -> Any:
    """Return the tree's value as JSON; a text as it is written where it cannot be known yet, or does not evaluate."""
    if isinstance(tree, Template):
        if any(context in _LATER for expression in tree.expressions for context, _ in references(expression)):
            return tree.source
        try:
            value = evaluate_tree(tree, names)
        except EvaluationError:
            return tree.source
        return to_json(value)
    if isinstance(tree, Mapping):
        return {name: _value(item, names) for name, item in tree.items()}
    return [_value(item, names) for item in tree]
