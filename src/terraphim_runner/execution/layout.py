"""Where things lie inside a machine. All paths are the machine's own, with forward slashes."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """``home`` is the session's: ``/home/runner`` in a VM, where documentation and scripts expect it."""

    home: str
    repository_name: str

    @property
    def work(self) -> str:
        return f"{self.home}/work"

    @property
    def runner_workspace(self) -> str:
        """``RUNNER_WORKSPACE``: the parent of the checkout."""
        return f"{self.work}/{self.repository_name}"

    @property
    def workspace(self) -> str:
        """``GITHUB_WORKSPACE``."""
        return f"{self.runner_workspace}/{self.repository_name}"

    @property
    def temp(self) -> str:
        """``RUNNER_TEMP``."""
        return f"{self.work}/_temp"

    @property
    def file_commands(self) -> str:
        return f"{self.temp}/_runner_file_commands"

    def file_command(self, kind: str, step: int) -> str:
        """The environment file of this kind, a new one for each step."""
        return f"{self.file_commands}/{kind}_{step}"

    @property
    def event_file(self) -> str:
        """``GITHUB_EVENT_PATH``."""
        return f"{self.temp}/_github_workflow/event.json"

    @property
    def tool_cache(self) -> str:
        """``RUNNER_TOOL_CACHE``."""
        return "/opt/hostedtoolcache" if self.in_machine else f"{self.home}/_tool"

    @property
    def in_machine(self) -> bool:
        """Whether the machine is the job's own, so that paths outside of ``home`` may be set up."""
        return self.home == "/home/runner"

    def inside_workspace(self, path: str) -> str:
        """Return a path as a step means it: relative ones start at the workspace."""
        return path if path.startswith("/") else f"{self.workspace}/{path}".rstrip("/")
