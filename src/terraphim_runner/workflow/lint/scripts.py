"""What a step's script may write to the file of its outputs, told from the text alone.

Only what is certain is told. A script that calls anything but the usual tools may write any name, for the file is
handed to every program; so may one in another shell, and one whose lines are not understood.
"""

import re
from typing import Final

from terraphim_runner.workflow.tree import RunStep

_FILE: Final = "GITHUB_OUTPUT"
_COMMAND: Final = "set-output"
_WORD: Final = re.compile(r"[\w-]+")
_ECHO: Final = re.compile(
    r"""\s*echo\s+(?:-[nE]+\s+)?["']?(?P<name>[A-Za-z_][A-Za-z0-9_-]*)="""
    r"""(?:(?!GITHUB_OUTPUT|\\[nx0])[^\n])*>>\s*["']?\$\{?GITHUB_OUTPUT\}?["']?\s*$"""
)
"""One name and no more: neither a second line within the text, nor a second command on the same one."""

_SHELLS: Final = frozenset({"bash", "sh"})
_INSERTED: Final = "<expression>"
"""Stands for an expression: where a command begins, it may be any."""

_COMMENT: Final = re.compile(r"^[ \t]*#.*$", re.MULTILINE)
_CUT: Final = re.compile(r"(\|\||&&|\$\(|[;|()\n]|(?<!>)&(?!>))")
_SETTING: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\+?=")
_KEYWORDS: Final = frozenset({"!", "do", "elif", "else", "if", "then", "time", "until", "while", "{", "}"})
_TOOLS: Final = frozenset(
    {
        *("[", "[[", ":", "awk", "base64", "basename", "break", "cat", "cd", "chmod", "continue", "cp", "cut", "date"),
        *("declare", "diff", "dirname", "done", "echo", "exit", "export", "expr", "false", "fi", "for", "gh", "git"),
        *("grep", "head", "jq", "let", "local", "ls", "mkdir", "mktemp", "mv", "printf", "pwd", "read", "return"),
        *("rm", "sed", "seq", "set", "shift", "shopt", "sleep", "sort", "tail", "test", "touch", "tr", "true"),
        *("uname", "uniq", "unset", "wc"),
    }
)
"""Commands that write the file only where their own line names it."""


def written_names(step: RunStep) -> frozenset[str] | None:
    """Return every name that the script may write, in lower case; None when that cannot be told."""
    script = step.run.source
    if not _is_plain(step):
        return None
    if _FILE not in script and _COMMAND not in script:
        return frozenset(_WORD.findall(script.lower()))
    lines = [line for line in script.splitlines() if _FILE in line or _COMMAND in line]
    names = [found["name"].lower() for found in map(_ECHO.match, lines) if found]
    return frozenset(names) if len(names) == len(lines) else None


def _is_plain(step: RunStep) -> bool:
    """Tell whether the script calls only what is known not to write the file by itself."""
    if step.shell is not None and step.shell.source.partition(" ")[0] not in _SHELLS:
        return False
    script = "".join(part if isinstance(part, str) else _INSERTED for part in step.run.parts)
    if "`" in script:
        return False
    before, *following = _CUT.split(_COMMENT.sub("", script).replace("\\\n", " "))
    pairs = zip(following[::2], following[1::2], strict=True)
    # After a ')' the command goes on that stood before its '('.
    return _is_tool(before) and all(separator == ")" or _is_tool(command) for separator, command in pairs)


def _is_tool(command: str) -> bool:
    for word in command.split():
        if word.startswith("#"):
            return True
        if word not in _KEYWORDS and not _SETTING.match(word):
            return word in _TOOLS
    return True
