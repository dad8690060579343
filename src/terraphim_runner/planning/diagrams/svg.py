"""A plan as a picture of its own: SVG without scripts, styles from elsewhere or fonts to load."""

from collections.abc import Iterator, Mapping
from typing import Final
from xml.sax.saxutils import escape

from terraphim_runner.model.ids import JobKey
from terraphim_runner.model.text import printable
from terraphim_runner.planning.diagrams.labels import MAX_CHARS, WORDS, cut, subtitle, title
from terraphim_runner.planning.diagrams.layout import Cell, Layout, lay_out
from terraphim_runner.planning.plan import Outlook, PlanOutline

# Pixels.
_BOX_HEIGHT: Final = 52
_ROW: Final = _BOX_HEIGHT + 20
_GAP: Final = 64
_MARGIN: Final = 24
_HEADER: Final = 44
_LEGEND: Final = 36
_CHAR: Final = 7.6
_MIN_WIDTH: Final = 120
_MIN_PICTURE: Final = 440

_COLORS: Final = {
    Outlook.RUNS: ("#dafbe1", "#1a7f37"),
    Outlook.SKIPPED: ("#f6f8fa", "#8c959f"),
    Outlook.UNKNOWN: ("#fff8c5", "#9a6700"),
    Outlook.REJECTED: ("#ffebe9", "#cf222e"),
}
_FONT: Final = "system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', sans-serif"


def render_svg(plan: PlanOutline) -> str:
    """Return the document. All text of the workflow's is escaped and cut to its box, whole in the box's tooltip."""
    layout = lay_out(plan)
    lefts, right = _columns(layout.cells)
    width = max(right + _MARGIN, _MIN_PICTURE)
    height = _HEADER + layout.row_count * _ROW + _LEGEND
    heading = f"{plan.workflow} on {plan.event}"
    size = f'viewBox="0 0 {width:g} {height:g}" width="{width:g}" height="{height:g}"'
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="{_FONT}" role="img">',
        f"<title>{_text(heading)}</title>",
        f'<rect width="{width:g}" height="{height:g}" fill="#ffffff"/>',
        f'<text x="{_MARGIN}" y="28" font-size="16" font-weight="600" fill="#1f2328">{_text(cut(heading))}</text>',
        *_edges(layout, lefts),
        *_boxes(layout.cells, lefts),
        *_legend(plan, height),
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def _columns(cells: Mapping[JobKey, Cell]) -> tuple[dict[int, tuple[float, float]], float]:
    """Return each column's left edge and width, and where the last one ends."""
    longest: dict[int, int] = {}
    for cell in cells.values():
        chars = max(len(title(cell.job)), len(subtitle(cell.job)))
        longest[cell.column] = max(longest.get(cell.column, 0), min(chars, MAX_CHARS))
    edges: dict[int, tuple[float, float]] = {}
    left = float(_MARGIN)
    for column in sorted(longest):
        width = max(_MIN_WIDTH, round(longest[column] * _CHAR) + 28)
        edges[column] = (left, width)
        left += width + _GAP
    return edges, max(left - _GAP, _MARGIN)


def _top(row: int) -> float:
    return _HEADER + row * _ROW


def _edges(layout: Layout, lefts: Mapping[int, tuple[float, float]]) -> Iterator[str]:
    """Yield a line from each needed job to the one that needs it: straight below boxes, curved in the gaps between."""
    for cell in layout.cells.values():
        for need in cell.job.needs:
            if need in layout.cells:
                yield from _edge(layout.route(need, cell.job.key), lefts)


def _edge(route: list[tuple[int, int]], lefts: Mapping[int, tuple[float, float]]) -> Iterator[str]:
    parts: list[str] = []
    x = y = 0.0
    for number, (column, row) in enumerate(route):
        left, width = lefts[column]
        middle = _top(row) + _BOX_HEIGHT / 2
        if number == 0:
            parts.append(f"M{left + width:g} {middle:g}")
        else:
            # The arrow's head takes the last pixels.
            end = left - 7 if number == len(route) - 1 else left
            begin = left - _GAP
            parts.append(f"H{begin:g} C{begin + _GAP / 2:g} {y:g} {begin + _GAP / 2:g} {middle:g} {end:g} {middle:g}")
            if number < len(route) - 1:
                parts.append(f"H{left + width:g}")
        x, y = left, middle
    yield f'<path d="{" ".join(parts)}" fill="none" stroke="#8c959f" stroke-width="1.5"/>'
    yield f'<path d="M{x:g} {y:g} l-8 -4 v8 z" fill="#8c959f"/>'


def _boxes(cells: Mapping[JobKey, Cell], lefts: Mapping[int, tuple[float, float]]) -> Iterator[str]:
    for cell in cells.values():
        job = cell.job
        left, width = lefts[cell.column]
        top = _top(cell.row)
        fill, stroke = _COLORS[job.outlook]
        dashes = ' stroke-dasharray="5 4"' if job.outlook is Outlook.SKIPPED else ""
        reason = f": {job.reason}" if job.reason else ""
        yield f"<g><title>{_text(f'{job.key} {WORDS[job.outlook]}{reason}')}</title>"
        yield (
            f'<rect x="{left:g}" y="{top:g}" width="{width:g}" height="{_BOX_HEIGHT}" rx="8" fill="{fill}" '
            f'stroke="{stroke}" stroke-width="1.5"{dashes}/>'
        )
        x = left + 14
        words = f'<text x="{x:g}" y="{top + 22:g}" font-size="14" font-weight="600" fill="#1f2328">{_text(title(job))}'
        yield f"{words}</text>"
        yield f'<text x="{x:g}" y="{top + 40:g}" font-size="12" fill="#59636e">{_text(subtitle(job))}</text></g>'


def _legend(plan: PlanOutline, height: float) -> Iterator[str]:
    left = float(_MARGIN)
    for outlook in Outlook:
        if any(job.outlook is outlook for job in plan.jobs):
            fill, stroke = _COLORS[outlook]
            y = height - _LEGEND + 10
            yield f'<rect x="{left:g}" y="{y:g}" width="12" height="12" rx="3" fill="{fill}" stroke="{stroke}"/>'
            yield f'<text x="{left + 18:g}" y="{y + 10:g}" font-size="12" fill="#59636e">{WORDS[outlook]}</text>'
            left += 40 + len(WORDS[outlook]) * _CHAR


def _text(text: str) -> str:
    """Return the text for between tags, without characters that XML cannot hold."""
    return escape(printable(text[:400], instead=" "))
