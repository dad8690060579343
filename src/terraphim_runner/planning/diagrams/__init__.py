"""Plans as pictures: pure functions from an outline to text."""

from terraphim_runner.planning.diagrams.mermaid import render_mermaid
from terraphim_runner.planning.diagrams.svg import render_svg

__all__ = ["render_mermaid", "render_svg"]
