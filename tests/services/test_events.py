"""Which runs see secrets."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from terraphim_runner.github.webhooks.decoding import Ignored
from terraphim_runner.model.event import Delivery
from terraphim_runner.model.ids import DeliveryId
from terraphim_runner.services.events import events_of, gets_secrets

SHA = "a" * 40


def _entitled(event: str, payload: dict[str, Any], *, sender: str = "someone") -> dict[str, bool]:
    repository = {"full_name": "o/r", "clone_url": "https://github.com/o/r.git", "default_branch": "main"}
    body = json.dumps({"repository": repository, "sender": {"login": sender}, **payload}).encode()
    delivery = Delivery(id=DeliveryId("d"), event=event, body=body, received_at=datetime.now(UTC))
    found = events_of(delivery)
    assert not isinstance(found, Ignored)
    return {item.name: gets_secrets(item) for item in found}


def _pull_request(head: str | None) -> dict[str, Any]:
    repo = {"full_name": head} if head else None
    return {
        "action": "opened",
        "pull_request": {
            "number": 1,
            "head": {"ref": "x", "sha": SHA, "repo": repo},
            "base": {"ref": "main", "sha": SHA},
        },
    }


PUSH = {"ref": "refs/heads/main", "after": SHA, "before": SHA}


def test_push_sees_secrets_unless_dependabot_made_it() -> None:
    assert _entitled("push", PUSH) == {"push": True}
    assert _entitled("push", PUSH, sender="dependabot[bot]") == {"push": False}


@pytest.mark.parametrize(("head", "sees"), [("o/r", True), ("O/R", True), ("evil/r", False), (None, False)])
def test_pull_request_sees_secrets_from_its_own_repository_only(head: str | None, sees: bool) -> None:
    assert _entitled("pull_request", _pull_request(head)) == {"pull_request": sees, "pull_request_target": True}
    review = {**_pull_request(head), "action": "submitted"}
    assert _entitled("pull_request_review", review) == {"pull_request_review": sees}


def test_pull_request_of_dependabot_sees_no_secrets() -> None:
    found = _entitled("pull_request", _pull_request("o/r"), sender="dependabot[bot]")
    assert found == {"pull_request": False, "pull_request_target": True}


def test_event_on_the_default_branch_sees_secrets() -> None:
    assert _entitled("issue_comment", {"action": "created", "issue": {"pull_request": {}}}) == {"issue_comment": True}
