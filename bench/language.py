"""How long the language takes."""

import time
from pathlib import Path

from bench.figures import Figures
from terraphim_runner.expressions import parser
from terraphim_runner.workflow import parse

WORKFLOW = Path(__file__).parent / "typical.yml"


def measure(figures: Figures, *, rounds: int) -> None:
    """Parse a typical workflow, each time as if its expressions had never been seen."""
    text = WORKFLOW.read_text()
    samples: list[float] = []
    for _ in range(rounds):
        parser._parse_known.cache_clear()  # noqa: SLF001 - a benchmark has to defeat the cache
        began = time.perf_counter()
        found = parse("typical.yml", text)
        samples.append((time.perf_counter() - began) * 1000)
        if found.workflow is None:
            raise SystemExit(f"the benchmark's workflow has errors: {found.diagnostics}")
    figures.add("workflow_parse_ms", samples)
