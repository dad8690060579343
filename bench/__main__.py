"""Measure everything; print a table with the bars, or one JSON object."""

import argparse
import json
import sys

import anyio
from rich.console import Console
from rich.table import Table

from bench import language, machines, server
from bench.figures import BARS, Figures, machine


def main() -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    parser.add_argument("--rounds", type=int, default=20, help="samples per figure (default 20)")
    parser.add_argument("--strict", action="store_true", help="exit 1 when a bar is missed")
    options = parser.parse_args()
    progress = Console(stderr=True, quiet=options.json)
    figures = Figures()
    progress.print("language …")
    language.measure(figures, rounds=max(50, options.rounds))
    progress.print("machines …")
    anyio.run(lambda: machines.measure(figures, rounds=options.rounds))
    progress.print("server …")
    server.measure(figures, rounds=options.rounds)
    if options.json:
        print(json.dumps(figures.as_json()))
    else:
        _print_table(figures)
    kept = all(bar.keeps(figures.median(name)) for name, bar in BARS.items())
    return 1 if options.strict and not kept else 0


def _print_table(figures: Figures) -> None:
    table = Table(title=machine(), title_justify="left")
    for title in ("figure", "median", "p95", "n", "bar", "kept", "published for the same quantity"):
        table.add_column(title, justify="right" if title in {"median", "p95", "n", "bar"} else "left")
    for name, summary in figures.as_json().items():
        bar = BARS[name]
        known = summary if isinstance(summary, dict) else {"median": summary, "p95": "", "n": 1}
        kept = "yes" if bar.keeps(figures.median(name)) else "NO"
        table.add_row(name, f"{known['median']:.2f}", str(known["p95"]), str(known["n"]), str(bar), kept, bar.published)
    Console(width=140).print(table)


if __name__ == "__main__":
    sys.exit(main())
