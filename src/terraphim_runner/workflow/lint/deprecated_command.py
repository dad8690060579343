"""``deprecated-command``: a script prints a workflow command that GitHub has replaced by a file.

Whatever a step prints could set variables and outputs by these, a stranger's text included. ``set-env`` and
``add-path`` are refused by now, ``set-output`` and ``save-state`` are to follow.
"""

import re
from collections.abc import Iterator
from typing import Final

from terraphim_runner.workflow.lint.subject import Finding, Subject
from terraphim_runner.workflow.tree import RunStep

ID: Final = "deprecated-command"
SUMMARY: Final = "a workflow command that was replaced by a file"

_COMMAND: Final = re.compile(
    r"^(?P<before>.*?)(?:::|##\[)(?P<name>set-output|save-state|set-env|add-path)(?=[ :\]])", re.MULTILINE
)
_FIXES: Final = {
    "set-output": 'append it to the file of outputs: echo "name=value" >> "$GITHUB_OUTPUT"',
    "save-state": 'append it to the file of states: echo "name=value" >> "$GITHUB_STATE"',
    "set-env": 'append it to the file of variables: echo "NAME=value" >> "$GITHUB_ENV"',
    "add-path": 'append it to the file of paths: echo "/a/directory" >> "$GITHUB_PATH"',
}


def check(subject: Subject) -> Iterator[Finding]:
    """Look at each line of each script, comments left out; one finding a line."""
    for item in subject.jobs.values():
        for step, _ in item.steps:
            if not isinstance(step, RunStep):
                continue
            for found in _COMMAND.finditer(step.run.source):
                if found["before"].lstrip().startswith("#"):
                    continue
                start = found.end("before")
                span = subject.inside(step.run.span, step.run.source, start, found.end() - start)
                message = f"found the command '::{found['name']}', which was replaced by a file"
                yield Finding(span=span, message=message, fix=_FIXES[found["name"]])
