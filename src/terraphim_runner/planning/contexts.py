"""The contexts that are the same for a whole run: ``github``, and the default variables derived from it.

Everything here is plain JSON. What depends on the machine or the step (``workspace``, ``job``, ``action``,
``event_path``, ``RUNNER_*`` …) is added by execution; until then it is null, as on GitHub. Properties and variables
as documented in
https://docs.github.com/en/actions/reference/workflows-and-actions/contexts#github-context and
https://docs.github.com/en/actions/reference/workflows-and-actions/variables#default-environment-variables.
"""

from collections.abc import Mapping
from typing import Any, Final, cast

from terraphim_runner.model.event import Event
from terraphim_runner.model.secret import Secret
from terraphim_runner.planning.inputs import dispatch_inputs
from terraphim_runner.workflow.payloads import member, text
from terraphim_runner.workflow.tree import Workflow

DEFAULT_SERVER_URL: Final = "https://github.com"
DEFAULT_API_URL: Final = "https://api.github.com"

_DEPENDABOT: Final = "dependabot[bot]"
_DEPENDABOT_EVENTS: Final = frozenset(
    {
        *("create", "deployment", "deployment_status", "push"),
        *("pull_request", "pull_request_review", "pull_request_review_comment"),
    }
)
"""What Dependabot starts with these sees Dependabot's own secrets only."""


def github_context(
    event: Event,
    *,
    workflow: Workflow,
    run_id: str,
    run_number: int,
    run_attempt: int = 1,
    server_url: str = DEFAULT_SERVER_URL,
    api_url: str = DEFAULT_API_URL,
    triggering_actor: str | None = None,
    ref_protected: bool = False,
    retention_days: int = 90,
    token: Secret | None = None,
) -> dict[str, Any]:
    """Return the ``github`` context of a run, as JSON values of the kinds that GitHub documents.

    Numbers of the run and all ids are strings, as on GitHub. ``head_ref`` and ``base_ref`` are empty outside of
    pull requests. ``ref``, ``ref_name`` and ``ref_type`` are empty for a deployment of a bare commit. ``token`` is in
    it only when one is given: the result must then not be stored or shown.
    """
    sender, repository = _object(event.payload, "sender"), _object(event.payload, "repository")
    actor = event.actor or _text(sender, "login")
    context: dict[str, Any] = {
        "event": _event_payload(event, workflow),
        "event_name": event.name,
        "sha": event.sha,
        "ref": event.ref,
        "ref_name": ref_name(event.ref),
        "ref_type": _ref_type(event.ref),
        "ref_protected": ref_protected,
        "head_ref": event.head_ref or "",
        "base_ref": event.base_ref or "",
        "actor": actor,
        "actor_id": _text(sender, "id"),
        "triggering_actor": triggering_actor or actor,
        "repository": event.repository.full_name,
        "repository_id": _text(repository, "id"),
        "repository_owner": event.repository.owner,
        "repository_owner_id": _text(_object(repository, "owner"), "id"),
        "repository_visibility": _text(repository, "visibility"),
        "repositoryUrl": _text(repository, "git_url") or event.repository.clone_url,
        "workflow": workflow.title,
        "workflow_ref": f"{event.repository.full_name}/{workflow.path}@{event.ref or event.sha}",
        "workflow_sha": event.sha,
        "run_id": run_id,
        "run_number": str(run_number),
        "run_attempt": str(run_attempt),
        "retention_days": str(retention_days),
        "server_url": server_url.rstrip("/"),
        "api_url": api_url.rstrip("/"),
        "graphql_url": graphql_url(api_url),
        "secret_source": _secret_source(event),
    }
    if token is not None:
        context["token"] = token.reveal()
    return context


def default_variables(github: Mapping[str, Any]) -> dict[str, str]:
    """Return ``CI``, ``GITHUB_ACTIONS`` and every documented ``GITHUB_*`` variable that mirrors the ``github`` context.

    A property that the context lacks gives no variable. Never contains the token.
    """
    variables = {"CI": "true", "GITHUB_ACTIONS": "true"}
    for name in _MIRRORED:
        value = github.get(name)
        if value is not None:
            variables[f"GITHUB_{name.upper()}"] = _scalar_text(value)
    return variables


_MIRRORED: Final = (
    "actor",
    "actor_id",
    "api_url",
    "base_ref",
    "event_name",
    "graphql_url",
    "head_ref",
    "ref",
    "ref_name",
    "ref_protected",
    "ref_type",
    "repository",
    "repository_id",
    "repository_owner",
    "repository_owner_id",
    "retention_days",
    "run_attempt",
    "run_id",
    "run_number",
    "server_url",
    "sha",
    "triggering_actor",
    "workflow",
    "workflow_ref",
    "workflow_sha",
)


def ref_name(ref: str) -> str:
    """Return the short name that GitHub shows: ``main``, ``v1.2``, ``7/merge``."""
    for prefix in ("refs/heads/", "refs/tags/", "refs/pull/"):
        if ref.startswith(prefix):
            return ref.removeprefix(prefix)
    return ref


def _ref_type(ref: str) -> str:
    if not ref:
        return ""
    return "tag" if ref.startswith("refs/tags/") else "branch"


def _secret_source(event: Event) -> str:
    """Return where the run's secrets are from: nowhere for a fork's code, which sees none."""
    if event.name == "pull_request_target":
        return "Actions"
    head = member(event.payload, "pull_request", "head")
    if head is not None:
        origin = text(event.payload, "pull_request", "head", "repo", "full_name") or ""
        if origin.lower() != event.repository.full_name.lower():
            return "None"
    return "Dependabot" if event.actor == _DEPENDABOT and event.name in _DEPENDABOT_EVENTS else "Actions"


def graphql_url(api_url: str) -> str:
    """Return the GraphQL address beside a REST one: an Enterprise server's is ``/api/graphql``, not ``/api/v3/…``."""
    return f"{api_url.rstrip('/').removesuffix('/v3')}/graphql"


def _event_payload(event: Event, workflow: Workflow) -> dict[str, Any]:
    payload = dict(event.payload)
    if event.name == "workflow_dispatch":
        # GitHub fills in the defaults before it sends the event, and sends every value as a string.
        payload["inputs"] = dict(dispatch_inputs(workflow, event).texts)
    return payload


def _object(holder: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = holder.get(name)
    return cast("Mapping[str, Any]", value) if isinstance(value, Mapping) else {}


def _text(holder: Mapping[str, Any], name: str) -> str:
    value = holder.get(name)
    return _scalar_text(value) if isinstance(value, str | int) else ""


def _scalar_text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
