"""The five fields of a schedule, checked. When a schedule is due is for whoever keeps the clock."""

import re
from typing import Final

_MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS: Final = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_NUMBERS: Final[dict[str, int]] = {}
_FIELDS: Final[tuple[tuple[str, int, int, dict[str, int]], ...]] = (
    ("minute", 0, 59, _NUMBERS),
    ("hour", 0, 23, _NUMBERS),
    ("day of the month", 1, 31, _NUMBERS),
    ("month", 1, 12, {name: number for number, name in enumerate(_MONTHS, 1)}),
    ("day of the week", 0, 7, {name: number for number, name in enumerate(_DAYS)}),
)
_ITEM: Final = re.compile(r"(?P<first>\*|\w{1,9})(?:-(?P<last>\w{1,9}))?(?:/(?P<every>[0-9]{1,9}))?")


def cron_problem(text: str) -> str | None:
    """Return what is wrong with a schedule, as found and expected; None when it is one that GitHub understands."""
    parts = text.split()
    if len(parts) != len(_FIELDS):
        return f"found {len(parts)} fields, expected 5: minute, hour, day of the month, month, day of the week"
    for part, (name, low, high, words) in zip(parts, _FIELDS, strict=True):
        for item in part.split(","):
            if not _is_item(item, low, high, words):
                return f"found {item[:40]!r} as the {name}, expected {low}-{high}, '*', a range or '*/step'"
    return None


def _is_item(item: str, low: int, high: int, words: dict[str, int]) -> bool:
    found = _ITEM.fullmatch(item)
    if not found or (found["every"] is not None and int(found["every"]) == 0):
        return False
    if found["first"] == "*":
        return found["last"] is None
    first = _number(found["first"], words)
    last = first if found["last"] is None else _number(found["last"], words)
    return first is not None and last is not None and low <= first <= last <= high


def _number(text: str, words: dict[str, int]) -> int | None:
    return int(text) if text.isascii() and text.isdigit() else words.get(text.lower())
