"""A plan as the text of a Mermaid flowchart, which GitHub draws in Markdown.

Nodes have names of our own (``j0``, ``j1`` …), for a job's key may be a word of Mermaid's. Labels are in quotes with
everything but letters, digits and a few signs as entities, so a label can be neither markup nor a link.
"""

import re
from typing import Final

from terraphim_runner.planning.diagrams.labels import subtitle, title
from terraphim_runner.planning.plan import JobOutline, Outlook, PlanOutline

_SPECIAL: Final = re.compile(r"[^A-Za-z0-9 .,:/()_\-…]")
_STYLES: Final = {
    Outlook.RUNS: "fill:#dafbe1,stroke:#1a7f37,color:#1f2328",
    Outlook.SKIPPED: "fill:#f6f8fa,stroke:#8c959f,color:#59636e,stroke-dasharray:4 3",
    Outlook.UNKNOWN: "fill:#fff8c5,stroke:#9a6700,color:#1f2328",
    Outlook.REJECTED: "fill:#ffebe9,stroke:#cf222e,color:#1f2328",
}


def render_mermaid(plan: PlanOutline) -> str:
    """Return the flowchart, from left to right, an arrow from each job to those that need it."""
    names = {job.key: f"j{number}" for number, job in enumerate(plan.jobs)}
    lines = ["flowchart LR"]
    lines += [f'    {names[job.key]}["{_label(job)}"]:::{job.outlook}' for job in plan.jobs]
    lines += [f"    {names[key]} --> {names[job.key]}" for job in plan.jobs for key in job.needs if key in names]
    used = {job.outlook for job in plan.jobs}
    lines += [f"    classDef {outlook} {style}" for outlook, style in _STYLES.items() if outlook in used]
    return "\n".join(lines) + "\n"


def _label(job: JobOutline) -> str:
    return f"{_escaped(title(job))}<br/>{_escaped(subtitle(job))}"


def _escaped(text: str) -> str:
    return _SPECIAL.sub(lambda found: f"#{ord(found.group())};", text)
