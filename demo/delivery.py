"""A push as GitHub delivers it: the payload, signed with the webhook's secret."""

import hashlib
import hmac
import json
import uuid
from dataclasses import dataclass

import httpx

from demo.stage import REPOSITORY, Origin, RunningServer


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivered:
    """A delivery that the server has answered."""

    id: str
    status_code: int
    body: dict[str, object]


def push_payload(origin: Origin) -> bytes:
    """Return the body that GitHub sends for the first push of ``main``."""
    owner, name = REPOSITORY.split("/")
    author = {"name": "Demo", "email": "demo@example.invalid", "username": "demo"}
    commit = {
        "id": origin.sha,
        "message": origin.message,
        "timestamp": "2026-01-01T00:00:00Z",
        "author": author,
        "committer": author,
        "added": ["README.md"],
        "removed": [],
        "modified": [],
    }
    payload = {
        "ref": "refs/heads/main",
        "before": "0" * 40,
        "after": origin.sha,
        "created": True,
        "deleted": False,
        "forced": False,
        "base_ref": None,
        "commits": [commit],
        "head_commit": commit,
        "pusher": {"name": "demo", "email": "demo@example.invalid"},
        "sender": {"login": "demo", "id": 1, "type": "User"},
        "repository": {
            "id": 1,
            "name": name,
            "full_name": REPOSITORY,
            "private": False,
            "owner": {"login": owner, "name": owner, "id": 2},
            "html_url": f"https://github.com/{REPOSITORY}",
            "clone_url": f"https://github.com/{REPOSITORY}.git",
            "default_branch": "main",
            "master_branch": "main",
        },
    }
    return json.dumps(payload).encode()


def deliver(client: httpx.Client, server: RunningServer, body: bytes) -> Delivered:
    """Post the body to the server's webhook with GitHub's headers."""
    delivery = str(uuid.uuid4())
    signature = hmac.new(server.webhook_secret, body, hashlib.sha256).hexdigest()
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "GitHub-Hookshot/demo",
        "X-GitHub-Event": "push",
        "X-GitHub-Delivery": delivery,
        "X-Hub-Signature-256": f"sha256={signature}",
    }
    reply = client.post("/webhook", content=body, headers=headers)
    return Delivered(id=delivery, status_code=reply.status_code, body=reply.json())
