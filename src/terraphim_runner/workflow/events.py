"""The events that can trigger a workflow: which filters and activity types GitHub knows for each.

Source: GitHub's documentation, "Events that trigger workflows", and the schema of its parser. The documentation of
some events leaves types out that their schema lists: those of the schema count.
"""

from dataclasses import dataclass
from typing import Final

BRANCH_FILTERS: Final = ("branches", "branches-ignore")
TAG_FILTERS: Final = ("tags", "tags-ignore")
PATH_FILTERS: Final = ("paths", "paths-ignore")
PATTERN_FILTERS: Final = frozenset({*BRANCH_FILTERS, *TAG_FILTERS, *PATH_FILTERS, "names", "versions"})
"""Filters whose items are patterns; ``types`` and ``workflows`` hold names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EventRule:
    """``types`` are the activity types, None where there are none to ask for.

    ``default_types`` are those that count when nobody asks; without any, all count.
    ``filters`` are the keys with patterns or names, ``settings`` the other ones.
    """

    types: tuple[str, ...] | None = None
    default_types: tuple[str, ...] = ()
    filters: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()
    free_types: bool = False
    """Types are the sender's own words, as with ``repository_dispatch``."""
    instead: str | None = None
    """What to listen to, where GitHub knows the event and never sends it."""

    @property
    def keys(self) -> tuple[str, ...]:
        """Every key that may stand below the event."""
        types = ("types",) if self.types is not None or self.free_types else ()
        return (*types, *self.filters, *self.settings)


_PULL_REQUEST: Final = EventRule(
    types=(
        *("assigned", "unassigned", "labeled", "unlabeled", "opened", "edited", "closed", "reopened", "synchronize"),
        *("converted_to_draft", "locked", "unlocked", "enqueued", "dequeued", "milestoned", "demilestoned"),
        *("ready_for_review", "review_requested", "review_request_removed"),
        *("auto_merge_enabled", "auto_merge_disabled", "stacked"),
    ),
    default_types=("opened", "synchronize", "reopened"),
    filters=(*BRANCH_FILTERS, *PATH_FILTERS),
)
_COMMENT_TYPES: Final = ("created", "edited", "deleted")
_COMMENT: Final = EventRule(types=_COMMENT_TYPES)
_BARE: Final = EventRule()

EVENTS: Final[dict[str, EventRule]] = {
    "branch_protection_rule": EventRule(types=("created", "edited", "deleted")),
    "check_run": EventRule(types=("created", "rerequested", "completed", "requested_action")),
    "check_suite": EventRule(types=("completed",)),
    "create": _BARE,
    "delete": _BARE,
    "deployment": _BARE,
    "deployment_status": _BARE,
    "discussion": EventRule(
        types=(
            *("created", "edited", "deleted", "transferred", "pinned", "unpinned", "labeled", "unlabeled"),
            *("locked", "unlocked", "category_changed", "answered", "unanswered"),
        )
    ),
    "discussion_comment": _COMMENT,
    "fork": _BARE,
    "gollum": _BARE,
    "image_version": EventRule(types=("created", "ready", "deleted"), filters=("names", "versions")),
    "issue_comment": _COMMENT,
    "issues": EventRule(
        types=(
            *("opened", "edited", "deleted", "transferred", "pinned", "unpinned", "closed", "reopened", "assigned"),
            *("unassigned", "labeled", "unlabeled", "locked", "unlocked", "milestoned", "demilestoned"),
            *("field_added", "field_removed", "typed", "untyped"),
        )
    ),
    "label": EventRule(types=("created", "edited", "deleted")),
    "merge_group": EventRule(types=("checks_requested",), filters=BRANCH_FILTERS),
    "milestone": EventRule(types=("created", "closed", "opened", "edited", "deleted")),
    "page_build": _BARE,
    "project": EventRule(types=("created", "closed", "reopened", "edited", "deleted")),
    "project_card": EventRule(types=("created", "moved", "converted", "edited", "deleted")),
    "project_column": EventRule(types=("created", "updated", "moved", "deleted")),
    "public": _BARE,
    "pull_request": _PULL_REQUEST,
    "pull_request_comment": EventRule(types=_COMMENT_TYPES, instead="issue_comment"),
    "pull_request_review": EventRule(types=("submitted", "edited", "dismissed")),
    "pull_request_review_comment": _COMMENT,
    "pull_request_target": _PULL_REQUEST,
    "push": EventRule(filters=(*BRANCH_FILTERS, *TAG_FILTERS, *PATH_FILTERS)),
    "registry_package": EventRule(types=("published", "updated")),
    "release": EventRule(
        types=("published", "unpublished", "created", "edited", "deleted", "prereleased", "released"),
    ),
    "repository_dispatch": EventRule(free_types=True),
    "schedule": EventRule(settings=("cron", "timezone")),
    "status": _BARE,
    "watch": EventRule(types=("started",)),
    "workflow_call": EventRule(settings=("inputs", "outputs", "secrets")),
    "workflow_dispatch": EventRule(settings=("inputs",)),
    "workflow_run": EventRule(types=("completed", "requested", "in_progress"), filters=("workflows", *BRANCH_FILTERS)),
}
