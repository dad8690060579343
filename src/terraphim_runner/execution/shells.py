"""Shells: which program runs a step's script, with exactly which flags.

Documentation: "Workflow syntax", ``jobs.<job_id>.steps[*].shell``.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Shell:
    """``template`` is the command line with ``{0}`` where the script's path goes; ``suffix`` names the script file."""

    template: str
    suffix: str

    def argv(self, script: str) -> tuple[str, ...]:
        """Return the command that runs this script."""
        return tuple(part.replace("{0}", script) for part in split_command_line(self.template))


DEFAULT = Shell(template="bash -e {0}", suffix=".sh")
"""When the workflow names no shell. Naming ``bash`` gives other flags: that is GitHub's rule."""

WITHOUT_BASH = Shell(template="sh -e {0}", suffix=".sh")
"""What the default becomes on a machine that has no bash."""

_BUILT_IN = {
    "bash": Shell(template="bash --noprofile --norc -eo pipefail {0}", suffix=".sh"),
    "sh": WITHOUT_BASH,
    "python": Shell(template="python {0}", suffix=".py"),
    "pwsh": Shell(template="pwsh -command \". '{0}'\"", suffix=".ps1"),
}
_WINDOWS_ONLY = frozenset({"cmd", "powershell"})


class ShellError(Exception):
    """The step names a shell that cannot be."""


def find_shell(name: str | None) -> Shell:
    """Return the shell of this name, or the custom one of this template. Raises ``ShellError``."""
    if name is None or not name.strip():
        return DEFAULT
    known = _BUILT_IN.get(name.strip().lower())
    if known is not None:
        return known
    if name.strip().lower() in _WINDOWS_ONLY:
        raise ShellError(f"found shell {name!r}, which exists on Windows only; use bash, sh, python or pwsh")
    if "{0}" not in name:
        raise ShellError(
            f"found shell {name!r}, expected one of {', '.join(sorted(_BUILT_IN))}, or a command that contains '{{0}}'"
        )
    program = split_command_line(name)[0].rsplit("/", 1)[-1].lower()
    suffix = _BUILT_IN[program].suffix if program in _BUILT_IN else ""
    return Shell(template=name.strip(), suffix=suffix)


def prepare_script(text: str, shell: Shell) -> bytes:
    """Return the script file's bytes: line ends of Unix, and for PowerShell GitHub's stop-on-error frame."""
    script = text.replace("\r\n", "\n")
    if shell.suffix == ".ps1":
        script = (
            "$ErrorActionPreference = 'stop'\n"
            f"{script}\n"
            "if ((Test-Path -LiteralPath variable:\\LASTEXITCODE)) { exit $LASTEXITCODE }\n"
        )
    return script.encode("utf-8", "surrogateescape")


def split_command_line(text: str) -> list[str]:
    """Split at spaces; double quotes group, and a backslash before a double quote makes it an ordinary one."""
    parts: list[str] = []
    current: list[str] | None = None
    quoted = False
    index = 0
    while index < len(text):
        char = text[index]
        if char == "\\" and text[index + 1 : index + 2] == '"':
            current = [*(current or []), '"']
            index += 1
        elif char == '"':
            quoted = not quoted
            current = current or []
        elif char.isspace() and not quoted:
            if current is not None:
                parts.append("".join(current))
                current = None
        else:
            current = current if current is not None else []
            current.append(char)
        index += 1
    if current is not None:
        parts.append("".join(current))
    return parts
