"""An event for commands that work on a local checkout: what GitHub would send if its head were pushed now.

Reads the checkout with the real git, or does without one; takes everything that a given event file says from there.
An event file is a stranger's: every member that is used is checked, and a wrong one is told by its name.
"""

import difflib
import json
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, cast

from terraphim_runner.cli.checkout import NO_COMMIT, LocalCheckout, read_checkout
from terraphim_runner.model.errors import UsageError
from terraphim_runner.model.event import Event, Repository
from terraphim_runner.workflow.events import EVENTS
from terraphim_runner.workflow.tree import Workflow
from terraphim_runner.workflow.triggers import TriggerMatch, match

MAX_EVENT_FILE_BYTES: Final = 25 * 1024 * 1024
"""GitHub's own limit for a webhook's body."""

_PULL_REQUESTS: Final = frozenset(
    {"pull_request", "pull_request_target", "pull_request_review", "pull_request_review_comment"}
)
_SOME_COMMIT: Final = "f" * 40
_SHA: Final = re.compile(r"[0-9a-f]{40}")
_NAME: Final = re.compile(r"[A-Za-z0-9._-]+")
_REF: Final = re.compile(r"refs/(?:heads|tags|pull)/[^\s\x00-\x1f\x7f~^:?*\[\\]+")


def local_event(name: str, repo: Path, event_file: Path | None, inputs: Mapping[str, str]) -> Event:
    """Return the event ``name`` for the checkout at ``repo``.

    ``ref`` and ``sha`` are the event file's where it has them, else those of the checkout's head; a directory that is
    no git repository has the commit ``000…0``. Raises ``UsageError`` for an unknown event, an unusable directory or
    event file, and for ``inputs`` to an event that takes none.
    """
    _check_name(name)
    if inputs and name != "workflow_dispatch":
        raise UsageError(f"inputs were given for {name!r}; only 'workflow_dispatch' takes inputs")
    checkout = read_checkout(repo)
    payload = _payload(name, checkout) if event_file is None else _read_payload(event_file)
    if inputs:
        payload["inputs"] = {**_Members(payload, "the event").object("inputs"), **inputs}
    return _event(name, checkout, payload, f"event file {event_file}" if event_file else "the event")


def local_match(workflow: Workflow, event: Event) -> TriggerMatch:
    """Tell whether a local event triggers the workflow.

    A checkout without any commit has the commit ``000…0``, which in a real push means that the branch was deleted;
    it is judged as an ordinary push.
    """
    return match(workflow, replace(event, sha=_SOME_COMMIT) if event.sha == NO_COMMIT else event)


def _check_name(name: str) -> None:
    if name in EVENTS:
        return
    near = difflib.get_close_matches(name.lower().replace("-", "_"), EVENTS, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}?" if near else f"known events: {', '.join(EVENTS)}"
    raise UsageError(f"unknown event {name!r}; {hint}")


def _read_payload(event_file: Path) -> dict[str, Any]:
    try:
        with event_file.open("rb") as stream:
            content = stream.read(MAX_EVENT_FILE_BYTES + 1)
    except OSError as error:
        raise UsageError(f"cannot read event file {event_file}: {error.strerror}") from error
    if len(content) > MAX_EVENT_FILE_BYTES:
        raise UsageError(
            f"event file {event_file} is larger than {MAX_EVENT_FILE_BYTES} bytes; expected one webhook's body"
        )
    try:
        payload = json.loads(content, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"event file {event_file} is not valid JSON: {error}") from error
    if not isinstance(payload, dict):
        raise UsageError(f"event file {event_file} holds {type(payload).__name__}; expected a JSON object")
    return cast("dict[str, Any]", payload)


def _refuse_constant(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


class _Members:
    """Reads members of a payload by dotted names and refuses wrong kinds by name. A null counts as absent."""

    def __init__(self, payload: Mapping[str, Any], where: str) -> None:
        self._payload = payload
        self._where = where

    def get(self, path: str, expected: str, kind: type) -> Any:
        value: Any = self._payload
        for part in path.split("."):
            if value is None:
                return None
            if not isinstance(value, Mapping):
                raise self.wrong(path, value, expected)
            value = cast("Mapping[str, Any]", value).get(part)
        if value is None or (isinstance(value, kind) and not (kind is int and isinstance(value, bool))):
            return value
        raise self.wrong(path, value, expected)

    def wrong(self, path: str, value: object, expected: str) -> UsageError:
        shown = repr(value) if isinstance(value, str | int | float) else type(value).__name__
        return UsageError(f"{self._where}: {path!r} is {shown[:80]}; expected {expected}")

    def object(self, path: str) -> Mapping[str, Any]:
        return self.get(path, "an object", dict) or {}

    def text(self, path: str) -> str | None:
        """Names only: they become variables and parts of messages, so control characters are refused."""
        value: str | None = self.get(path, "a string", str)
        if value is not None and not value.isprintable():
            raise self.wrong(path, value, "a string without control characters")
        return value

    def branch(self, path: str) -> str | None:
        """A branch's bare name."""
        full = self.ref(path)
        return full.removeprefix("refs/heads/") if full else None

    def number(self, path: str) -> int | None:
        return self.get(path, "a whole number", int)

    def sha(self, path: str) -> str | None:
        value = self.text(path)
        if value is not None and not _SHA.fullmatch(value):
            raise self.wrong(path, value, "a commit of 40 hexadecimal digits")
        return value

    def ref(self, path: str) -> str | None:
        """A full ref; a bare name is a branch, as GitHub sends it with some events."""
        value = self.text(path)
        if value is None:
            return None
        full = value if value.startswith("refs/") else f"refs/heads/{value}"
        if not _REF.fullmatch(full) or ".." in full:
            raise self.wrong(path, value, "a ref such as 'refs/heads/main'")
        return full


def _event(name: str, checkout: LocalCheckout, payload: dict[str, Any], where: str) -> Event:
    members = _Members(payload, where)
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
    return replace(event, ref=members.ref("ref") or event.ref)


def _push(event: Event, members: _Members, checkout: LocalCheckout) -> Event:
    sha, before = members.sha("after") or event.sha, members.sha("before")
    return replace(
        event,
        ref=members.ref("ref") or event.ref,
        sha=sha,
        before=before,
        changed_files=checkout.changed_files(before, sha) if before else None,
    )


def _pull_request(event: Event, members: _Members, checkout: LocalCheckout) -> Event:
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
        return replace(event, ref=f"refs/heads/{base}", sha=members.sha("pull_request.base.sha") or event.sha)
    merged = members.sha("pull_request.merge_commit_sha")
    return replace(event, ref=f"refs/pull/{number}/merge", sha=merged or head_sha)


def _repository(members: _Members, checkout: LocalCheckout) -> Repository:
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
