"""Durations as people read them."""

from datetime import datetime


def between(start: datetime | None, end: datetime | None) -> str:
    """Return ``0.4s``, ``12.3s``, ``2m 05s`` or ``1h 02m 05s``; empty when an end is missing; never negative."""
    if start is None or end is None:
        return ""
    seconds = max(0.0, (end - start).total_seconds())
    if round(seconds, 1) < 60:
        return f"{seconds:.1f}s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h {minutes:02}m {rest:02}s" if hours else f"{minutes}m {rest:02}s"
