"""What a job's box says, the same in every picture."""

from typing import Final

from terraphim_runner.model.text import printable
from terraphim_runner.planning.graph import PlannedLeg
from terraphim_runner.planning.plan import JobOutline, Outlook

MAX_CHARS: Final = 32

WORDS: Final = {
    Outlook.RUNS: "runs",
    Outlook.SKIPPED: "skipped",
    Outlook.UNKNOWN: "not known yet",
    Outlook.REJECTED: "cannot run",
}


def title(job: JobOutline) -> str:
    """Return the job's key, cut to a box's width."""
    return cut(str(job.key))


def subtitle(job: JobOutline) -> str:
    """Return what is known of the job: its legs and their machines or what they call, or why there are none."""
    if job.outlook is Outlook.RUNS and job.legs:
        is_single = len(job.legs) == 1 and not job.legs[0].matrix
        labels = sorted({label for leg in job.legs if isinstance(leg, PlannedLeg) for label in leg.labels})
        if not labels:
            called = f"calls {job.calls[0].workflow}" if job.calls else "calls a workflow"
            return cut(called if is_single else f"{_legs(len(job.legs))}, {called}")
        return cut(("" if is_single else f"{_legs(len(job.legs))} on ") + ", ".join(labels))
    if job.outlook is Outlook.RUNS:
        return "not known yet"
    return WORDS[job.outlook]


def cut(text: str) -> str:
    """Return the text as one printable line that fits into a box."""
    shown = printable(text)
    return shown if len(shown) <= MAX_CHARS else shown[: MAX_CHARS - 1] + "…"


def _legs(count: int) -> str:
    return "1 leg" if count == 1 else f"{count} legs"
