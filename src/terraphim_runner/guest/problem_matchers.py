"""Problem matchers: annotations found in a step's output by regular expressions of the repository's.

Runs inside a job's machine as a program, for the expressions are a stranger's and may take for ever: what happened in
a step as JSON on stdin, what was found as JSON on stdout, for the working directory. Standard library only.

Documentation: ``docs/problem-matchers.md`` of actions/toolkit. Expressions are Python's here, with ASCII classes: what
JavaScript alone knows is told as a problem.
"""

import json
import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, cast

MAX_MATCHERS: Final = 100
MAX_ISSUES: Final = 100
MAX_FILE_BYTES: Final = 1024 * 1024
_SEVERITIES: Final = ("error", "warning", "notice")
_COLORS: Final = re.compile("\x1b\\[[0-9;]*m?")
_PLACES: Final = ("file", "line", "column", "severity", "code", "message", "fromPath")


class MatcherError(Exception):
    """A file holds no problem matchers; the text says what was found and expected."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pattern:
    """One line of a problem: ``groups`` are the numbers of what it captures, by the names of the format."""

    regex: re.Pattern[str]
    groups: Mapping[str, int]
    loop: bool

    def captured(self, line: str, before: Mapping[str, str]) -> dict[str, str] | None:
        """Return what is known of the problem after this line; None when the line is none of it."""
        match = self.regex.search(line)
        if match is None:
            return None
        own = {name: match[group] for name, group in self.groups.items() if group <= (self.regex.groups or 0)}
        return {**before, **{name: text for name, text in own.items() if text}}


@dataclass(slots=True, kw_only=True)
class Matcher:
    """``running`` holds, for each pattern but the last, what was captured up to it on the lines right before."""

    owner: str
    severity: str
    patterns: tuple[Pattern, ...]
    running: list[dict[str, str] | None] = field(default_factory=list[dict[str, str] | None])

    def reset(self) -> None:
        """Forget a problem that began."""
        self.running = [None] * (len(self.patterns) - 1)

    def feed(self, line: str) -> dict[str, str] | None:
        """Return the problem that is complete with this line."""
        found: dict[str, str] | None = None
        before = list(self.running)
        self.reset()
        for index, pattern in enumerate(self.patterns):
            known = before[index - 1] if index else {}
            captured = None if known is None else pattern.captured(line, known)
            if index < len(self.patterns) - 1:
                self.running[index] = captured
            elif captured is not None:
                found = captured
                self.reset()
                if pattern.loop and known is not None:
                    self.running[index - 1] = known
        return found


def read_matchers(text: str) -> Iterator[dict[str, Any]]:
    """Yield the matchers of a file as they are written, each checked. Raises ``MatcherError``."""
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise MatcherError(f"found no JSON: {error}") from None
    written = _members(content).get("problemMatcher")
    if not isinstance(written, list):
        raise MatcherError("found no list 'problemMatcher', expected one")
    for item in cast("list[Any]", written):
        compiled(item)
        yield item


def compiled(item: Any) -> Matcher:
    """Return the matcher that is written so. Raises ``MatcherError``."""
    written = _members(item)
    owner, patterns = written.get("owner"), written.get("pattern")
    if not isinstance(owner, str) or not owner:
        raise MatcherError("found a matcher without 'owner', expected its name")
    if not isinstance(patterns, list) or not patterns:
        raise MatcherError(f"the matcher {owner!r} has no 'pattern', expected a list of them")
    made = tuple(_pattern(owner, pattern) for pattern in cast("list[Any]", patterns))
    if any(pattern.loop for pattern in made[:-1]) or (len(made) == 1 and made[0].loop):
        raise MatcherError(f"the matcher {owner!r} has 'loop' elsewhere than in the last of several patterns")
    if not any("message" in pattern.groups for pattern in made):
        raise MatcherError(f"the matcher {owner!r} captures no 'message', expected one")
    severity = str(written.get("severity") or "error").lower()
    matcher = Matcher(owner=owner, severity=severity, patterns=made)
    matcher.reset()
    return matcher


def _members(value: Any) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def _pattern(owner: str, item: Any) -> Pattern:
    written = _members(item)
    regexp = written.get("regexp")
    if not isinstance(regexp, str):
        raise MatcherError(f"the matcher {owner!r} has a pattern without 'regexp', expected an expression")
    try:
        regex = re.compile(regexp, re.ASCII)
    except (re.error, RecursionError, OverflowError) as error:
        raise MatcherError(f"the matcher {owner!r} has the expression {regexp!r}, which is none: {error}") from None
    groups = {name: written[name] for name in _PLACES if isinstance(written.get(name), int) and written[name] >= 0}
    return Pattern(regex=regex, groups=groups, loop=written.get("loop") is True)


class Watch:
    """The matchers of a job while one step runs. The newest comes first, and a line belongs to one matcher."""

    def __init__(self, workspace: Path, written: Iterable[Any]) -> None:
        self.problems: list[str] = []
        self.issues: list[dict[str, str]] = []
        self._workspace = workspace
        self._written: dict[str, Any] = {}
        self._matchers: dict[str, Matcher] = {}
        for item in written:
            self._add(item)

    @property
    def written(self) -> list[Any]:
        """What is on now, oldest first."""
        return list(self._written.values())

    def take(self, event: list[str]) -> None:
        """Let one thing of the step's happen: a line, or a command."""
        kind, value = event
        if kind == "line":
            self._line(value)
        elif kind == "remove-owner":
            self._remove(value)
        else:
            self._file(kind, value)

    def _file(self, kind: str, name: str) -> None:
        try:
            with (self._workspace / name).open("rb") as file:
                text = file.read(MAX_FILE_BYTES).decode("utf-8-sig", "replace")
            for item in read_matchers(text):
                self._remove(item["owner"])
                if kind == "add":
                    self._add(item)
        except (OSError, ValueError) as error:
            self.problems.append(f"the problem matchers in {name!r} cannot be read: {error}")
        except MatcherError as error:
            self.problems.append(f"the problem matchers in {name!r} are not used: {error}")

    def _add(self, item: Any) -> None:
        if len(self._written) < MAX_MATCHERS:
            matcher = compiled(item)
            self._written[matcher.owner.lower()] = item
            self._matchers = {matcher.owner.lower(): matcher, **self._matchers}

    def _remove(self, owner: str) -> None:
        self._written.pop(owner.lower(), None)
        self._matchers.pop(owner.lower(), None)

    def _line(self, text: str) -> None:
        line = _COLORS.sub("", text)
        for matcher in self._matchers.values():
            found = matcher.feed(line)
            if found is not None:
                for other in self._matchers.values():
                    if other is not matcher:
                        other.reset()
                self._issue(matcher, found)
                return

    def _issue(self, matcher: Matcher, found: dict[str, str]) -> None:
        severity = found.get("severity", matcher.severity).lower()
        if severity not in _SEVERITIES or not found.get("message") or len(self.issues) >= MAX_ISSUES:
            return
        issue = {"severity": severity, "message": found["message"]}
        issue |= {name: found[name] for name in ("line", "column") if name in found}
        place = self._place(found)
        self.issues.append({**issue, "file": place} if place else issue)

    def _place(self, found: dict[str, str]) -> str:
        """Return the file's path within the workspace; nothing for one that is not there."""
        if "file" not in found:
            return ""
        start = self._workspace / Path(found.get("fromPath", "")).parent
        path = os.path.normpath(start / found["file"])
        inside = os.path.relpath(path, self._workspace)
        return inside if Path(path).is_file() and not inside.startswith("..") else ""


def main() -> None:
    """Read what happened, write what was found."""
    told = json.load(sys.stdin)
    watch = Watch(Path.cwd(), told["matchers"])
    for event in told["events"]:
        watch.take(event)
    json.dump({"matchers": watch.written, "issues": watch.issues, "problems": watch.problems}, sys.stdout)


if __name__ == "__main__":
    main()
