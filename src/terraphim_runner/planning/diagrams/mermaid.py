"""A plan as the text of a Mermaid flowchart, which GitHub draws in Markdown.

Nodes have names of our own (``j0``, ``j1`` …), for a job's key may be a word of Mermaid's. Labels are in quotes with
everything but letters, digits and a few signs as entities, so a label can be neither markup nor a link.
"""

import re
from collections.abc import Iterator
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


MAX_CALLS_DRAWN: Final = 8
"""Of the legs of one job that calls a workflow; the box says how many there are."""


def render_mermaid(plan: PlanOutline) -> str:
    """Return the flowchart, from left to right, an arrow from each job to those that need it.

    A job that calls a workflow is a frame around the called jobs.
    """
    drawing = _Drawing()
    lines = ["flowchart LR", *drawing.draw(plan, "    ")]
    lines += [f"    classDef {outlook} {style}" for outlook, style in _STYLES.items() if outlook in drawing.used]
    return "\n".join(lines) + "\n"


class _Drawing:
    def __init__(self) -> None:
        self.used: set[Outlook] = set()
        self._count = 0

    def draw(self, plan: PlanOutline, indent: str) -> Iterator[str]:
        names = {job.key: self._name() for job in plan.jobs}
        for job in plan.jobs:
            self.used.add(job.outlook)
            if not job.calls:
                yield f'{indent}{names[job.key]}["{_label(job)}"]:::{job.outlook}'
                continue
            yield f'{indent}subgraph {names[job.key]}["{_label(job)}"]'
            for called in job.calls[:MAX_CALLS_DRAWN]:
                yield from self.draw(called, indent + "    ")
            yield f"{indent}end"
            yield f"{indent}class {names[job.key]} {job.outlook}"
        yield from (
            f"{indent}{names[key]} --> {names[job.key]}" for job in plan.jobs for key in job.needs if key in names
        )

    def _name(self) -> str:
        self._count += 1
        return f"j{self._count - 1}"


def _label(job: JobOutline) -> str:
    return f"{_escaped(title(job))}<br/>{_escaped(subtitle(job))}"


def _escaped(text: str) -> str:
    return _SPECIAL.sub(lambda found: f"#{ord(found.group())};", text)
