"""What happened on GitHub, as far as triggers and contexts need to know it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from terraphim_runner.model.ids import DeliveryId


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One webhook delivery whose signature was verified, before it is understood."""

    id: DeliveryId
    event: str
    """The ``X-GitHub-Event`` header; never guessed from the body."""
    body: bytes
    received_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Repository:
    """``full_name`` is ``owner/name``, checked to be safe as two path components."""

    full_name: str
    clone_url: str
    default_branch: str

    @property
    def owner(self) -> str:
        return self.full_name.split("/", 1)[0]

    @property
    def name(self) -> str:
        return self.full_name.split("/", 1)[1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One decoded event.

    ``ref`` is full (``refs/heads/main``, ``refs/pull/7/merge``); ``sha`` is the 40-digit commit that the
    run is for (``github.sha``). ``payload`` is the delivered JSON, ``github.event`` to the workflow.
    ``changed_files`` is None until somebody computed the diff that ``paths`` filters are judged on, and
    ``head_message`` until somebody read the head commit's message, which no pull request's payload carries.
    """

    name: str
    action: str | None
    repository: Repository
    ref: str
    sha: str
    before: str | None = None
    base_ref: str | None = None
    head_ref: str | None = None
    actor: str = ""
    payload: Mapping[str, Any] = field(default_factory=dict[str, Any])
    changed_files: tuple[str, ...] | None = None
    head_message: str | None = None
