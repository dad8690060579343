"""An event file: a payload as GitHub sends it, or as somebody wrote it by hand.

It is a stranger's: every member that is used is checked, and a wrong one is told by its name.
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, cast

from terraphim_runner.model.errors import UsageError

MAX_EVENT_FILE_BYTES: Final = 25 * 1024 * 1024
"""GitHub's own limit for a webhook's body."""

_SHA: Final = re.compile(r"[0-9a-f]{40}")
_REF: Final = re.compile(r"refs/(?:heads|tags|pull)/[^\s\x00-\x1f\x7f~^:?*\[\\]+")


def read_payload(event_file: Path) -> dict[str, Any]:
    """Return the file's JSON object. Raises ``UsageError`` when it cannot be read, is too large, or is none."""
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


def check_kind(name: str, payload: Mapping[str, Any], event_file: Path) -> None:
    """Raise ``UsageError`` for the payload of another event: filters would be judged on what is not there."""
    own = _SUBJECTS.get(name)
    if own is None or own in payload:
        return
    # A ref says little: half of the events have one.
    other = next((member for member in _SUBJECTS.values() if member in payload and member != "ref"), None)
    if other is not None:
        of = ", ".join(repr(event) for event, member in _SUBJECTS.items() if member == other)
        raise UsageError(
            f"event file {event_file} has {other!r} and no {own!r}: it is of {of}, expected one of {name!r}"
        )


_SUBJECTS: Final = {
    "push": "ref",
    "pull_request": "pull_request",
    "pull_request_target": "pull_request",
    "pull_request_review": "pull_request",
    "pull_request_review_comment": "pull_request",
    "issues": "issue",
    "issue_comment": "issue",
    **{
        name: name
        for name in (
            "release",
            "workflow_run",
            "check_run",
            "check_suite",
            "merge_group",
            "registry_package",
            "deployment",
        )
    },
    "discussion": "discussion",
    "discussion_comment": "discussion",
    "deployment_status": "deployment",
}
"""The member of an event's payload that it is about."""


class Members:
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
        return self.checked_ref(path, value if value.startswith("refs/") else f"refs/heads/{value}")

    def checked_ref(self, path: str, full: str) -> str:
        """Return a full ref that was made of the member, once it is known to be one."""
        if not _REF.fullmatch(full) or ".." in full:
            raise self.wrong(path, full, "a ref such as 'refs/heads/main'")
        return full
