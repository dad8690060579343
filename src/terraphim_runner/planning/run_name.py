"""What a run is called: the workflow's ``run-name``, or what GitHub shows without one."""

from collections.abc import Mapping
from typing import Any, Final

from terraphim_runner.expressions import EvaluationError, Scope, render
from terraphim_runner.planning.evaluation import Contexts
from terraphim_runner.workflow.payloads import text
from terraphim_runner.workflow.tree import Workflow

MAX_RUN_NAME: Final = 255
"""No bound of GitHub's: what is longer is cut, for it is shown on one line."""

_COMMIT: Final = ("head_commit", "message")
_PULL: Final = ("pull_request", "title")
_ISSUE: Final = ("issue", "title")
_TITLES: Final[Mapping[str, tuple[str, ...]]] = {
    "push": _COMMIT,
    "merge_group": ("merge_group", *_COMMIT),
    **dict.fromkeys(
        ("pull_request", "pull_request_target", "pull_request_review", "pull_request_review_comment"), _PULL
    ),
    **dict.fromkeys(("issues", "issue_comment"), _ISSUE),
}
"""Where the event's own title stands in its payload."""


def run_name(workflow: Workflow, contexts: Mapping[str, Any]) -> str:
    """Return the run's name on one line; ``contexts`` hold ``github``, ``inputs`` and ``vars`` as JSON.

    Without a ``run-name``, or when it comes to nothing or does not evaluate: the first line of the head commit's
    message for a push, the title of a pull request or an issue for their events, else the workflow's name. Never
    raises. Source: "Workflow syntax", ``run-name``.
    """
    return _line(_evaluated(workflow, contexts)) or _line(_title(contexts)) or _line(workflow.title)


def _evaluated(workflow: Workflow, contexts: Mapping[str, Any]) -> str:
    if workflow.run_name is None:
        return ""
    try:
        return render(workflow.run_name, Scope(contexts=Contexts(contexts)))
    except EvaluationError:
        return ""


def _title(contexts: Mapping[str, Any]) -> str:
    path = _TITLES.get(text(contexts, "github", "event_name") or "")
    found = text(contexts, "github", "event", *path) if path else None
    return found.strip().partition("\n")[0] if found else ""


def _line(name: str) -> str:
    line = " ".join(name.split())
    return line if len(line) <= MAX_RUN_NAME else f"{line[: MAX_RUN_NAME - 1]}…"
