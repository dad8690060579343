"""From a verified delivery to an event, or to the reason why nothing can run for it.

The event's name is the header's, never guessed from the body. Refs and commits follow GitHub's "Events that trigger
workflows". An **empty ``sha``** means: the payload names no commit, resolve ``ref`` in the repository
(``contents.settle`` does). A push of an annotated tag is for the commit that the tag points to; the deletion of a
branch or tag is a push, too, and its runs are for the default branch.

What no workflow can ask for, or what GitHub starts no run for whatever a workflow says, is ignored here, before
anything is fetched: its commit may not even exist.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, TypeVar, cast

from pydantic import ValidationError
from pydantic_core import from_json

from terraphim_runner.github.names import is_zero
from terraphim_runner.github.webhooks.payloads import (
    CreatePayload,
    DeploymentPayload,
    DispatchPayload,
    MergeGroupPayload,
    PackagePayload,
    Payload,
    PullRequestEventPayload,
    PushPayload,
    ReleasePayload,
    RepositoryEventPayload,
)
from terraphim_runner.model.event import Delivery, Event, Repository
from terraphim_runner.workflow.events import EVENTS
from terraphim_runner.workflow.refusals import refusal

_EVENT_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,63}")
_MAX_ACTION_CHARS: Final = 200
_FALLBACK_BRANCH: Final = "main"
"""Stands in the contexts when a hand-made payload names no default branch; nothing is ever fetched by it."""

_T = TypeVar("_T", bound=Payload)


class PayloadError(Exception):
    """The body is not what GitHub sends for this event; ``reason`` says where and how."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ignored:
    """A good delivery for which nothing can run."""

    reason: str
    action: str | None


def decode(delivery: Delivery) -> Event | Ignored:
    """Return the event that was delivered, every name in it checked, or why it triggers nothing.

    Raises ``PayloadError``, and nothing else, for whatever bytes the body has. For pull requests ``before`` is the
    base commit; whether ``sha`` is the current merge commit is settled against the repository, for the payload's
    may be that of the last push.
    """
    if not _EVENT_NAME.fullmatch(delivery.event):
        raise PayloadError(f"found the event {delivery.event[:80]!r}, expected a name such as 'push'")
    payload = _json_object(delivery.body)
    action = _action(payload)
    if delivery.event == "ping":
        return Ignored(reason="a ping", action=action)
    if delivery.event not in _DECODERS and payload.get("repository") is None:
        return Ignored(reason=f"the event {delivery.event!r} is not of a repository", action=action)
    untriggering = _triggers_nothing(delivery.event, action)
    if untriggering is not None:
        return Ignored(reason=untriggering, action=action)
    event = _DECODERS.get(delivery.event, _other)(delivery.event, action, payload)
    # A pull request in conflict starts no run, but the 'pull_request_target' that is made of it does.
    refused = refusal(event, None) if isinstance(event, Event) and event.name != "pull_request" else None
    return event if refused is None else Ignored(reason=refused, action=action)


def _triggers_nothing(name: str, action: str | None) -> str | None:
    rule = EVENTS.get(name)
    if rule is None or rule.instead is not None:
        return f"the event {name!r} triggers no workflow"
    if rule.types is not None and action is not None and action not in rule.types:
        return f"the activity {action!r} of the event {name!r} triggers no workflow"
    return None


def as_pull_request_target(event: Event) -> Event:
    """Return the ``pull_request_target`` event that the same delivery means.

    It runs the default branch's code, never the pull request's: that is what makes its secrets safe to give.
    """
    return replace(event, name="pull_request_target", ref=f"refs/heads/{event.repository.default_branch}", sha="")


def from_fork(event: Event) -> bool:
    """Tell whether a pull request's head is in another repository; a deleted fork counts as one."""
    if "pull_request" not in event.payload:
        return False
    head = _validate(PullRequestEventPayload, event.payload).pull_request.head
    return head.repo is None or head.repo.full_name.lower() != event.repository.full_name.lower()


def _json_object(body: bytes) -> Mapping[str, Any]:
    try:
        value: object = from_json(body, allow_inf_nan=False)
    except ValueError as error:
        hint = ": set the webhook's content type to application/json" if body.startswith(b"payload=") else ""
        raise PayloadError(f"the body is not JSON ({error}){hint}") from None
    if not isinstance(value, dict):
        raise PayloadError(f"found a JSON {type(value).__name__} as the body, expected an object")
    return cast("dict[str, Any]", value)


def _action(payload: Mapping[str, Any]) -> str | None:
    action: object = payload.get("action")
    if action is None:
        return None
    if not isinstance(action, str) or len(action) > _MAX_ACTION_CHARS or not action.isprintable():
        raise PayloadError(f"action: expected printable text of at most {_MAX_ACTION_CHARS} characters")
    return action


def _validate(model: type[_T], payload: Mapping[str, Any]) -> _T:
    try:
        return model.model_validate(payload)
    except ValidationError as error:
        faults = error.errors(include_url=False, include_context=False, include_input=False)
        told = "; ".join(f"{'.'.join(str(part) for part in fault['loc'])}: {fault['msg']}" for fault in faults[:3])
        raise PayloadError(told) from None


def _event(
    name: str,
    action: str | None,
    payload: Mapping[str, Any],
    checked: RepositoryEventPayload,
    *,
    ref: str,
    sha: str,
    before: str | None = None,
) -> Event:
    repository = Repository(
        full_name=checked.repository.full_name,
        clone_url=checked.repository.clone_url or "",
        default_branch=checked.repository.default_branch or _FALLBACK_BRANCH,
    )
    return Event(
        name=name,
        action=action,
        repository=repository,
        ref=ref,
        sha=sha,
        before=before,
        actor=checked.sender.login,
        payload=payload,
    )


def _push(name: str, action: str | None, payload: Mapping[str, Any]) -> Event | Ignored:
    push = _validate(PushPayload, payload)
    if not push.ref.startswith(("refs/heads/", "refs/tags/")):
        return Ignored(reason=f"the pushed ref {push.ref!r} is neither a branch nor a tag", action=action)
    if push.deleted or is_zero(push.after):
        return _on_default_branch(name, action, {**payload, "deleted": True}, push)
    # ``after`` of an annotated tag is the tag object; a run is for a commit.
    tag = push.ref.startswith("refs/tags/")
    sha = push.head_commit.id if tag and push.head_commit else push.after
    return _event(name, action, payload, push, ref=push.ref, sha=sha, before=push.before)


def _pull_request(name: str, action: str | None, payload: Mapping[str, Any]) -> Event:
    checked = _validate(PullRequestEventPayload, payload)
    pull = checked.pull_request
    # Once it is merged there is no merge commit to try any more: the run is for the branch it was merged into.
    event = _event(
        name,
        action,
        payload,
        checked,
        ref=f"refs/heads/{pull.base.ref}" if pull.merged else f"refs/pull/{pull.number}/merge",
        sha=pull.merge_commit_sha or pull.head.sha,
        before=pull.base.sha,
    )
    return replace(event, base_ref=pull.base.ref, head_ref=pull.head.ref)


def _pull_request_target(name: str, action: str | None, payload: Mapping[str, Any]) -> Event:
    if _validate(RepositoryEventPayload, payload).repository.default_branch is None:
        raise PayloadError(f"repository.default_branch: {name!r} needs it")
    return as_pull_request_target(_pull_request(name, action, payload))


def _dispatch(name: str, action: str | None, payload: Mapping[str, Any]) -> Event:
    checked = _validate(DispatchPayload, payload)
    ref = checked.ref if checked.ref.startswith("refs/") else f"refs/heads/{checked.ref}"
    return _event(name, action, payload, checked, ref=ref, sha="")


def _create(name: str, action: str | None, payload: Mapping[str, Any]) -> Event | Ignored:
    checked = _validate(CreatePayload, payload)
    if checked.ref_type == "repository":
        return Ignored(reason="a repository was created", action=action)
    kind = "tags" if checked.ref_type == "tag" else "heads"
    return _event(name, action, payload, checked, ref=f"refs/{kind}/{checked.ref}", sha="")


def _release(name: str, action: str | None, payload: Mapping[str, Any]) -> Event:
    checked = _validate(ReleasePayload, payload)
    return _event(name, action, payload, checked, ref=f"refs/tags/{checked.release.tag_name}", sha="")


def _merge_group(name: str, action: str | None, payload: Mapping[str, Any]) -> Event:
    checked = _validate(MergeGroupPayload, payload)
    group = checked.merge_group
    return _event(name, action, payload, checked, ref=group.head_ref, sha=group.head_sha, before=group.base_sha)


def _deployment(name: str, action: str | None, payload: Mapping[str, Any]) -> Event:
    """The payload does not tell a branch from a tag; one that was asked for by its commit has no ref."""
    checked = _validate(DeploymentPayload, payload)
    target = checked.deployment
    if target.ref == target.sha:
        return _event(name, action, payload, checked, ref="", sha=target.sha)
    ref = target.ref if target.ref.startswith("refs/") else f"refs/heads/{target.ref}"
    return _event(name, action, payload, checked, ref=ref, sha=target.sha)


def _registry_package(name: str, action: str | None, payload: Mapping[str, Any]) -> Event:
    """Packages that were published without a word of a commit are for the default branch."""
    checked = _validate(PackagePayload, payload)
    version = checked.registry_package.package_version
    if version is None or not version.target_commitish:
        return _on_default_branch(name, action, payload, checked)
    branch = version.target_commitish.removeprefix("refs/heads/")
    ref = branch if branch.startswith("refs/") else f"refs/heads/{branch}"
    return _event(name, action, payload, checked, ref=ref, sha=version.target_oid or "")


def _other(name: str, action: str | None, payload: Mapping[str, Any]) -> Event:
    return _on_default_branch(name, action, payload, _validate(RepositoryEventPayload, payload))


def _on_default_branch(
    name: str, action: str | None, payload: Mapping[str, Any], checked: RepositoryEventPayload
) -> Event:
    branch = checked.repository.default_branch
    if branch is None:
        raise PayloadError(f"repository.default_branch: the event {name!r} runs on it, so it is needed")
    return _event(name, action, payload, checked, ref=f"refs/heads/{branch}", sha="")


_DECODERS: Final[Mapping[str, Callable[[str, str | None, Mapping[str, Any]], Event | Ignored]]] = {
    "push": _push,
    "pull_request": _pull_request,
    "pull_request_review": _pull_request,
    "pull_request_review_comment": _pull_request,
    "pull_request_target": _pull_request_target,
    "workflow_dispatch": _dispatch,
    "create": _create,
    "deployment": _deployment,
    "deployment_status": _deployment,
    "registry_package": _registry_package,
    "release": _release,
    "merge_group": _merge_group,
}
