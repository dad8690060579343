"""``hashFiles()``: one digest over the files that match, computed where the files are.

Runs inside the machine as a program (patterns as JSON on stdin, the digest on stdout) and is imported by ``eval``.
GitHub's documentation: a SHA-256 for each file that matches, then a SHA-256 over those digests. Patterns are relative
to the workspace, a leading ``!`` excludes, later patterns outweigh earlier ones, symbolic links are not followed, and
nothing outside of the workspace is read. Standard library only.
"""

import hashlib
import json
import os
import re
import sys
from collections.abc import Iterable, Iterator

_MAX_PATTERN_LENGTH = 4096
_MAX_PATTERNS = 1000


def hash_files(root: str, patterns: Iterable[str]) -> str:
    """Return the digest in hexadecimal, or ``''`` when nothing matches. A pattern may hold several, one a line.

    Raises ``ValueError`` for patterns beyond the limits and ``OSError`` for a file that cannot be read.
    """
    root = os.path.realpath(root)
    rules = list(_rules(root, patterns))
    total, found = hashlib.sha256(), False
    for path in sorted(_matching(root, rules)):
        digest = hashlib.sha256()
        with open(path, "rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
        total.update(digest.digest())
        found = True
    return total.hexdigest() if found else ""


def _rules(root: str, patterns: Iterable[str]) -> Iterator[tuple[bool, re.Pattern[str]]]:
    globs = [line.strip() for pattern in patterns for line in pattern.split("\n")]
    if len(globs) > _MAX_PATTERNS:
        raise ValueError(f"found {len(globs)} patterns, expected at most {_MAX_PATTERNS}")
    for written in globs:
        if not written or written.startswith("#"):
            continue
        if len(written) > _MAX_PATTERN_LENGTH:
            raise ValueError(f"found a pattern of {len(written)} characters, expected at most {_MAX_PATTERN_LENGTH}")
        excludes = written.startswith("!")
        glob = os.path.normpath(written.lstrip("!").strip().removeprefix(root + "/"))
        if glob.startswith(("/", "..")):
            continue
        # A directory that matches stands for every file below it.
        yield excludes, re.compile(("" if glob == "." else _regex(glob) + "/") + ".*|" + _regex(glob), re.DOTALL)


def _regex(glob: str) -> str:
    parts: list[str] = []
    index = 0
    while index < len(glob):
        if glob.startswith("**/", index):
            # Runs of "**/" mean the same as one; one avoids a regular expression that backtracks without end.
            while glob.startswith("**/", index):
                index += 3
            parts.append("(?:.*/)?")
        elif glob[index] == "*":
            deep = glob.startswith("**", index)
            while glob.startswith("*", index):
                index += 1
            parts.append(".*" if deep else "[^/]*")
        elif glob[index] == "?":
            parts.append("[^/]")
            index += 1
        elif glob[index] == "[" and (end := glob.find("]", index + 2)) > 0:
            inner = re.escape(glob[index + 1 : end]).replace(r"\-", "-")
            negated = glob[index + 1] in "!^"
            parts.append("[^" + inner.lstrip("\\")[1:] + "]" if negated else f"[{inner}]")
            index = end + 1
        else:
            parts.append(re.escape(glob[index]))
            index += 1
    return "".join(parts)


def _matching(root: str, rules: list[tuple[bool, re.Pattern[str]]]) -> Iterator[str]:
    if not any(not excludes for excludes, _ in rules):
        return
    for folder, _, names in os.walk(root):
        for name in names:
            path = os.path.join(folder, name)
            if os.path.islink(path) or not os.path.isfile(path):
                continue
            chosen = False
            for excludes, rule in rules:
                if rule.fullmatch(os.path.relpath(path, root)):
                    chosen = not excludes
            if chosen:
                yield path


def main() -> int:
    """Read patterns from stdin, print the digest for the current directory; exit 1 with a message when it fails."""
    try:
        print(hash_files(os.getcwd(), json.load(sys.stdin)))  # noqa: T201 - a program's own output
    except (OSError, ValueError, re.error) as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
