"""The contexts that a job's expressions see, and the environment that its steps get."""

from collections.abc import Callable, Mapping
from typing import Any

from terraphim_runner.execution.layout import Layout
from terraphim_runner.execution.request import JobRequest
from terraphim_runner.execution.state import JobState
from terraphim_runner.expressions import (
    EvaluationError,
    Object,
    Scope,
    Template,
    Value,
    evaluate_tree,
    from_json,
    to_string,
)
from terraphim_runner.model.states import Conclusion
from terraphim_runner.planning import default_variables
from terraphim_runner.workflow.references import RemoteAction
from terraphim_runner.workflow.tree import EnvTemplate

Function = Callable[[list[Value]], Value]

_SEARCH_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class JobContexts:
    """Builds scopes. What does not change during the job is converted once."""

    def __init__(self, request: JobRequest, layout: Layout) -> None:
        self._request = request
        self._layout = layout
        self._github: dict[str, Any] = {
            **request.contexts.get("github", {}),
            "job": request.job.key,
            "workspace": layout.workspace,
            "event_path": layout.event_file,
            "action_status": "success",
            "action_repository": "",
            "action_ref": "",
        }
        # Only here, where everything is masked: the run-wide context is stored and shown.
        token = next((secret for name, secret in request.secrets.items() if name.upper() == "GITHUB_TOKEN"), None)
        if token is not None:
            self._github.setdefault("token", token.reveal())
        self._runner: dict[str, Any] = {
            "name": request.runner_name,
            "os": "Linux",
            "arch": "X64",
            "temp": layout.temp,
            "tool_cache": layout.tool_cache,
            "workspace": layout.runner_workspace,
            "environment": "self-hosted",
            **({"debug": "1"} if request.debug else {}),
        }
        self._fixed: dict[str, Value] = {
            "needs": from_json(dict(request.needs)),
            "matrix": from_json(dict(request.leg.matrix)),
            "strategy": from_json(dict(request.leg.strategy)),
            "vars": from_json(dict(request.contexts.get("vars", {}))),
            "inputs": from_json(dict(request.contexts.get("inputs", {}))),
            "secrets": from_json({name: secret.reveal() for name, secret in request.secrets.items()}),
            "runner": from_json(self._runner),
        }
        self._job = _identity(request)

    @property
    def event(self) -> Any:
        """The delivered payload, ``github.event``."""
        return self._github.get("event", {})

    def scope(
        self,
        *,
        state: JobState,
        env: Mapping[str, str],
        action: str = "",
        source: RemoteAction | None = None,
        files: Mapping[str, str] | None = None,
        hash_files: Function | None = None,
    ) -> Scope:
        """Return what an expression sees now.

        ``action`` is ``github.action``, ``source`` the action of another repository that the step runs; ``files`` are
        the step's environment files, ``github.env`` and its like.
        """
        github = {**self._github, **(files or {}), "action": action, "action_status": state.status.value}
        if source is not None:
            github |= {"action_repository": source.full_name, "action_ref": source.ref}
        contexts: dict[str, Value] = {
            **self._fixed,
            "github": from_json(github),
            "env": from_json(dict(env)),
            "job": from_json({"status": state.status.value, **self._job}),
            "steps": from_json(_steps(state)),
        }
        return Scope(contexts=contexts, functions=_functions(state, hash_files))

    def default_environment(self) -> dict[str, str]:
        """Return the documented default variables, without those that differ from step to step."""
        runner = {f"RUNNER_{name.upper()}": str(value) for name, value in self._runner.items()}
        return {
            "CI": "true",
            "HOME": self._layout.home,
            "LANG": "C.UTF-8",
            "PATH": _SEARCH_PATH,
            "USER": "runner",
            **default_variables(self._github),
            **runner,
            "GITHUB_ACTIONS": "true",
            "GITHUB_JOB": self._request.job.key,
            "GITHUB_WORKSPACE": self._layout.workspace,
            "GITHUB_EVENT_PATH": self._layout.event_file,
        }


def evaluate_environment(template: EnvTemplate, scope: Scope) -> dict[str, str]:
    """Return an ``env:`` or ``with:`` as text. Raises ``EvaluationError``, also when it is not an object."""
    value = evaluate_tree(template, scope)
    if value is None:
        return {}
    if not isinstance(value, Object):
        written = template.source if isinstance(template, Template) else "a mapping"
        raise EvaluationError(f"found {to_string(value)!r} from {written!r}, expected an object")
    return {name: to_string(item) for name, item in value.items()}


def _identity(request: JobRequest) -> dict[str, str]:
    """Return where the file of this job's workflow is from: for a called workflow's job that is the called file."""
    github: Mapping[str, Any] = request.contexts.get("github", {})
    path, origin = request.workflow.path, request.workflow.origin
    repository, sha = str(github.get("repository", "")), str(github.get("workflow_sha", ""))
    version = str(github.get("workflow_ref", "")).rpartition("@")[2]
    if origin is not None:
        repository, version, sha = origin.repository, origin.ref, origin.sha
    return {
        "workflow_ref": f"{repository}/{path}@{version}",
        "workflow_sha": sha,
        "workflow_repository": repository,
        "workflow_file_path": path,
    }


def _steps(state: JobState) -> dict[str, Any]:
    return {
        result.id: {
            "outputs": dict(result.outputs),
            "outcome": result.outcome.value,
            "conclusion": result.conclusion.value,
        }
        for result in state.results
        if result.id is not None
    }


def _functions(state: JobState, hash_files: Function | None) -> dict[str, Function]:
    status = state.status
    functions: dict[str, Function] = {
        "success": lambda _: status is Conclusion.SUCCESS,
        "failure": lambda _: status is Conclusion.FAILURE,
        "cancelled": lambda _: status is Conclusion.CANCELLED,
        "always": lambda _: True,
    }
    if hash_files is not None:
        functions["hashFiles"] = hash_files
    return functions
