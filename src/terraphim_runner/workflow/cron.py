"""The five fields of a schedule, checked. When a schedule is due is for whoever keeps the clock.

POSIX's fields with names of months and days, lists, ranges and steps, as GitHub's documentation has them ("Events that
trigger workflows", ``schedule``); no ``@daily`` and its like, no seconds, no ``L``, ``W``, ``#`` or ``?``.
"""

import re
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

MIN_INTERVAL_MINUTES: Final = 5
"""GitHub starts a schedule at most this often."""
MAX_LENGTH: Final = 1000
"""No bound of GitHub's: a list of every minute has 170 characters."""

_MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS: Final = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_LONGEST: Final = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_ITEM: Final = re.compile(r"(?P<first>\*|\w{1,9})(?:-(?P<last>\w{1,9}))?(?:/(?P<every>[0-9]{1,9}))?")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Field:
    name: str
    low: int
    high: int
    words: dict[str, int]
    values: str


_NUMBERS: Final[dict[str, int]] = {}
_FIELDS: Final = (
    _Field(name="minute", low=0, high=59, words=_NUMBERS, values="0-59"),
    _Field(name="hour", low=0, high=23, words=_NUMBERS, values="0-23"),
    _Field(name="day of the month", low=1, high=31, words=_NUMBERS, values="1-31"),
    _Field(
        name="month",
        low=1,
        high=12,
        words={name: number for number, name in enumerate(_MONTHS, 1)},
        values="1-12, JAN-DEC",
    ),
    # Sunday is 0 in GitHub's documentation; 7, which POSIX lacks and every cron takes, is told apart in cron_doubt.
    _Field(
        name="day of the week",
        low=0,
        high=7,
        words={name: number for number, name in enumerate(_DAYS)},
        values="0-6, SUN-SAT",
    ),
)


def cron_problem(text: str) -> str | None:
    """Return what is wrong with a schedule, as found and expected; None when it is one that GitHub understands."""
    if len(text) > MAX_LENGTH:
        return f"found {len(text)} characters, expected at most {MAX_LENGTH}"
    parts = text.split()
    if text.lstrip().startswith("@"):
        return f"found the shorthand {text.strip()[:40]!r}, expected 5 fields, such as '0 0 * * *' for every midnight"
    if len(parts) != len(_FIELDS):
        return f"found {len(parts)} fields, expected 5: minute, hour, day of the month, month, day of the week"
    for part, field in zip(parts, _FIELDS, strict=True):
        for item in part.split(","):
            if _values(item, field) is None:
                wanted = f"{field.values}, '*', a range or '*/step'"
                return f"found {item[:40]!r} as the {field.name}, expected {wanted}"
    return None


def cron_doubt(text: str) -> str | None:
    """Return what a valid schedule hardly means: more runs than GitHub starts, or none at all; None for others."""
    parts = text.split()
    minutes, hours, days, months, _ = (_all(part, field) for part, field in zip(parts, _FIELDS, strict=True))
    gap = _shortest_gap(sorted(minutes), hours)
    if gap < MIN_INTERVAL_MINUTES:
        times = "every minute" if gap == 1 else f"every {gap} minutes"
        return f"it asks for runs {times}, and GitHub starts one every {MIN_INTERVAL_MINUTES} minutes at most"
    if parts[4] == "*" and all(day > _LONGEST[month - 1] for day in days for month in months):
        return "no month that it names has such a day, so that it never runs"
    if any("7" in re.split("[-,]", item.split("/")[0]) for item in parts[4].split(",")):
        return "GitHub's documentation has the days of the week from 0 to 6, and Sunday as 0"
    return None


def _all(part: str, field: _Field) -> set[int]:
    return {value for item in part.split(",") for value in _values(item, field) or ()}


def _shortest_gap(minutes: list[int], hours: set[int]) -> int:
    """Return how many minutes lie between two runs at least; 60 for one in an hour."""
    gaps = [later - earlier for earlier, later in pairwise(minutes)]
    if any((hour + 1) % 24 in hours for hour in hours):
        gaps.append(60 - minutes[-1] + minutes[0])
    return min(gaps, default=60)


def _values(item: str, field: _Field) -> range | None:
    found = _ITEM.fullmatch(item)
    if not found or (found["every"] is not None and int(found["every"]) == 0):
        return None
    every = int(found["every"] or 1)
    if found["first"] == "*":
        return None if found["last"] is not None else range(field.low, field.high + 1, every)
    first = _number(found["first"], field.words)
    # A step without a range goes on to the field's end: '20/15' is 20, 35 and 50.
    last = _number(found["last"], field.words) if found["last"] is not None else None
    if first is None or (found["last"] is not None and last is None):
        return None
    last = last if last is not None else (field.high if found["every"] is not None else first)
    return range(first, last + 1, every) if field.low <= first <= last <= field.high else None


def _number(text: str, words: dict[str, int]) -> int | None:
    return int(text) if text.isascii() and text.isdigit() else words.get(text.lower())
