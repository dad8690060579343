"""An event for commands that work on a local checkout: what GitHub would send if its head were pushed now.

Reads the checkout with the real git, or does without one; takes everything that a given event file says from there.
Each event is placed on the ref and commit that GitHub documents for it ("Events that trigger workflows").
"""

import difflib
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, cast

from terraphim_runner.cli.checkout import NO_COMMIT, LocalCheckout, read_checkout
from terraphim_runner.cli.event_file import Members, check_kind, read_payload
from terraphim_runner.model.errors import UsageError
from terraphim_runner.model.event import Event, Repository
from terraphim_runner.workflow.events import EVENTS
from terraphim_runner.workflow.payloads import member

_PULL_REQUESTS: Final = frozenset(
    {"pull_request", "pull_request_target", "pull_request_review", "pull_request_review_comment"}
)
_NAME: Final = re.compile(r"[A-Za-z0-9._-]+")
_MAX_TOLD_COMMITS: Final = 2048
"""A webhook names at most as many commits, so one of that many may have more."""


def local_event(name: str, repo: Path, event_file: Path | None, inputs: Mapping[str, str]) -> Event:
    """Return the event ``name`` for the checkout at ``repo``.

    ``ref`` and ``sha`` are the event file's where it has them, else those of the checkout's head, or of the default
    branch for events that run there; a directory that is no git repository has the commit ``000…0``. A deployment of
    a bare commit has no ref. Raises ``UsageError`` for an unknown event, an unusable directory or
    event file, and for ``inputs`` to an event that takes none.
    """
    _check_name(name)
    if inputs and name != "workflow_dispatch":
        raise UsageError(f"inputs were given for {name!r}; only 'workflow_dispatch' takes inputs")
    checkout = read_checkout(repo)
    payload = _payload(name, checkout) if event_file is None else read_payload(event_file)
    if event_file is not None:
        check_kind(name, payload, event_file)
    if inputs:
        payload["inputs"] = {**Members(payload, "the event").object("inputs"), **inputs}
    return _event(name, checkout, payload, f"event file {event_file}" if event_file else "the event")


def _check_name(name: str) -> None:
    rule = EVENTS.get(name)
    if name == "workflow_call":
        raise UsageError("'workflow_call' is no event of its own; name the event that starts the calling workflow")
    if rule is not None and rule.instead is not None:
        raise UsageError(f"GitHub never sends {name!r}; use {rule.instead!r}")
    if rule is not None:
        return
    near = difflib.get_close_matches(name.lower().replace("-", "_"), EVENTS, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}?" if near else f"known events: {', '.join(EVENTS)}"
    raise UsageError(f"unknown event {name!r}; {hint}")


def _event(name: str, checkout: LocalCheckout, payload: dict[str, Any], where: str) -> Event:
    members = Members(payload, where)
    event = Event(
        name=name,
        action=members.text("action"),
        repository=_repository(members, checkout),
        ref=checkout.ref,
        sha=checkout.sha,
        actor=members.text("sender.login") or "local",
        payload=payload,
    )
    if name in _PULL_REQUESTS:
        return _pull_request(event, members, checkout)
    if name == "push":
        return _push(event, members, checkout)
    place = _PLACES.get(name)
    return _on_default_branch(event, checkout) if place is None else place(event, members, checkout)


def _push(event: Event, members: Members, checkout: LocalCheckout) -> Event:
    sha, before = members.sha("after") or event.sha, members.sha("before")
    ref = members.ref("ref") or event.ref
    if members.get("deleted", "true or false", bool) or (sha == NO_COMMIT and event.sha != NO_COMMIT):
        payload = {**event.payload, "ref": ref, "deleted": True}
        return _on_default_branch(replace(event, payload=payload), checkout)
    files = _pushed_files(event, checkout, before, sha)
    return replace(
        event, ref=ref, sha=sha, before=before, changed_files=_told_files(event.payload) if files is None else files
    )


def _told_files(payload: Mapping[str, Any]) -> tuple[str, ...] | None:
    """Return the files that a push's commits name: they stand in for the diff of commits that are not here.

    GitHub lists them in webhooks, and leaves them out of what a workflow sees. None when they are not all told.
    """
    commits: object = payload.get("commits")
    if not isinstance(commits, list) or len(cast("list[object]", commits)) >= _MAX_TOLD_COMMITS:
        return None
    files: set[str] = set()
    for commit in cast("list[object]", commits):
        for kind in ("added", "modified", "removed"):
            names = member(cast("dict[str, Any]", commit), kind) if isinstance(commit, dict) else None
            if not isinstance(names, list):
                return None
            files.update(name for name in cast("list[object]", names) if isinstance(name, str))
    return tuple(sorted(files)) or None


def _pushed_files(event: Event, checkout: LocalCheckout, before: str | None, sha: str) -> tuple[str, ...] | None:
    if before is None:
        return None
    commits: object = event.payload.get("commits")
    if before != NO_COMMIT or not isinstance(commits, list) or sha == NO_COMMIT:
        return checkout.changed_files(before, sha)
    if not commits:
        return ()
    # A new branch is compared with the commit before the first that came with it; without one everything is new.
    first = Members({"first": cast("list[object]", commits)[0]}, "commits").sha("first.id")
    return checkout.changed_files((checkout.parent(first) if first else None) or NO_COMMIT, sha)


def _pull_request(event: Event, members: Members, checkout: LocalCheckout) -> Event:
    number = members.number("pull_request.number") or members.number("number") or 1
    base = members.branch("pull_request.base.ref") or event.repository.default_branch
    head_sha = members.sha("pull_request.head.sha") or event.sha
    event = replace(
        event,
        head_ref=members.branch("pull_request.head.ref"),
        base_ref=base,
        changed_files=checkout.changed_since_fork(base, head_sha),
    )
    if event.name == "pull_request_target":
        return _on_default_branch(event, checkout)
    merged = members.get("pull_request.merged", "true or false", bool) is True
    return replace(
        event,
        ref=f"refs/heads/{base}" if merged else f"refs/pull/{number}/merge",
        sha=members.sha("pull_request.merge_commit_sha") or head_sha,
        head_message=checkout.message(head_sha) if event.name == "pull_request" else None,
    )


def _on_default_branch(event: Event, checkout: LocalCheckout) -> Event:
    branch = event.repository.default_branch
    return replace(event, ref=f"refs/heads/{branch}", sha=checkout.tip(branch) or event.sha)


def _dispatch(event: Event, members: Members, checkout: LocalCheckout) -> Event:
    return _at(event, members.ref("ref") or event.ref, checkout)


def _create(event: Event, members: Members, checkout: LocalCheckout) -> Event:
    name = members.text("ref")
    kind = "tags" if members.text("ref_type") == "tag" else "heads"
    ref = members.checked_ref("ref", f"refs/{kind}/{name}") if name else event.ref
    return _at(event, ref, checkout)


def _release(event: Event, members: Members, checkout: LocalCheckout) -> Event:
    tag = members.text("release.tag_name")
    ref = members.checked_ref("release.tag_name", f"refs/tags/{tag}") if tag else event.ref
    return _at(event, ref, checkout)


def _deployment(event: Event, members: Members, checkout: LocalCheckout) -> Event:
    sha = members.sha("deployment.sha")
    if sha is not None and members.text("deployment.ref") == sha:
        return replace(event, ref="", sha=sha)
    found = _at(event, members.ref("deployment.ref") or event.ref, checkout)
    return replace(found, sha=sha or found.sha)


def _package(event: Event, members: Members, checkout: LocalCheckout) -> Event:
    version = "registry_package.package_version"
    ref = members.ref(f"{version}.target_commitish")
    found = _on_default_branch(event, checkout) if ref is None else _at(event, ref, checkout)
    return replace(found, sha=members.sha(f"{version}.target_oid") or found.sha)


def _merge_group(event: Event, members: Members, checkout: LocalCheckout) -> Event:
    found = _at(event, members.ref("merge_group.head_ref") or event.ref, checkout)
    return replace(found, sha=members.sha("merge_group.head_sha") or found.sha)


def _at(event: Event, ref: str, checkout: LocalCheckout) -> Event:
    """Put the event on a ref, at its commit where that is here."""
    if ref == event.ref:
        return event
    is_tag = ref.startswith("refs/tags/")
    found = checkout.tagged(ref.removeprefix("refs/tags/")) if is_tag else checkout.tip(ref.removeprefix("refs/heads/"))
    return replace(event, ref=ref, sha=found or event.sha)


_PLACES: Final[Mapping[str, Callable[[Event, Members, LocalCheckout], Event]]] = {
    "workflow_dispatch": _dispatch,
    "create": _create,
    "release": _release,
    "deployment": _deployment,
    "deployment_status": _deployment,
    "registry_package": _package,
    "merge_group": _merge_group,
}
"""The events that have a ref of their own; all others are for the default branch."""


def _repository(members: Members, checkout: LocalCheckout) -> Repository:
    full_name = members.text("repository.full_name") or checkout.full_name
    parts = full_name.split("/")
    if len(parts) != 2 or not all(_NAME.fullmatch(part) and part not in {".", ".."} for part in parts):
        raise members.wrong("repository.full_name", full_name, "'owner/name'")
    return Repository(
        full_name=full_name,
        clone_url=members.text("repository.clone_url") or checkout.url,
        default_branch=members.branch("repository.default_branch") or checkout.default_branch,
    )


def _payload(name: str, checkout: LocalCheckout) -> dict[str, Any]:
    payload: dict[str, Any] = {
        "repository": _repository_payload(checkout),
        "sender": {"login": "local", "id": 0, "type": "User"},
    }
    rule = EVENTS[name]
    activities = rule.default_types or rule.types
    if activities:
        payload["action"] = activities[0]
    if name == "push":
        return payload | _push_payload(checkout)
    if name in _PULL_REQUESTS:
        return payload | _pull_request_payload(checkout)
    if name == "workflow_dispatch":
        return payload | {"ref": checkout.ref, "inputs": {}}
    return payload


def _repository_payload(checkout: LocalCheckout) -> dict[str, Any]:
    owner, name = checkout.full_name.split("/")
    return {
        "id": 0,
        "name": name,
        "full_name": checkout.full_name,
        "private": True,
        "visibility": "private",
        "owner": {"login": owner, "name": owner, "id": 0, "type": "User"},
        "html_url": checkout.url,
        "clone_url": checkout.url,
        "git_url": checkout.url,
        "default_branch": checkout.default_branch,
        "master_branch": checkout.default_branch,
        "fork": False,
        "archived": False,
    }


def _push_payload(checkout: LocalCheckout) -> dict[str, Any]:
    head = checkout.head_commit
    return {
        "ref": checkout.ref,
        "before": checkout.parent_sha,
        "after": checkout.sha,
        "base_ref": None,
        "created": checkout.parent_sha == NO_COMMIT,
        "deleted": False,
        "forced": False,
        "compare": "",
        "commits": [head] if head else [],
        "head_commit": head,
        "pusher": {"name": "local", "email": ""},
    }


def _pull_request_payload(checkout: LocalCheckout) -> dict[str, Any]:
    repository = _repository_payload(checkout)
    owner = repository["owner"]["login"]

    def side(branch: str, sha: str) -> dict[str, Any]:
        return {"ref": branch, "sha": sha, "label": f"{owner}:{branch}", "repo": repository}

    title = (checkout.head_commit or {}).get("message", "").partition("\n")[0]
    return {
        "number": 1,
        "pull_request": {
            "number": 1,
            "state": "open",
            "title": title or checkout.branch,
            "body": None,
            "draft": False,
            "merged": False,
            "labels": [],
            "user": {"login": "local", "id": 0, "type": "User"},
            "head": side(checkout.branch, checkout.sha),
            "base": side(checkout.default_branch, checkout.fork_point()),
            "merge_commit_sha": None,
        },
    }
