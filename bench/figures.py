"""What is measured, against which bar."""

import platform
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """What a figure has to keep to; ``published`` is what others state for the same quantity."""

    unit: str
    most: float | None = None
    least: float | None = None
    published: str = ""

    def keeps(self, value: float) -> bool:
        return (self.most is None or value <= self.most) and (self.least is None or value >= self.least)

    def __str__(self) -> str:
        return f"≤ {self.most:g}" if self.most is not None else f"≥ {self.least:g}"


BARS: dict[str, Bar] = {
    "clone_first_command_ms": Bar(unit="ms", most=250, published="100-300 (prototype: VM allocation)"),
    "pool_first_command_ms": Bar(unit="ms", most=60, published="-"),
    "exec_overhead_ms": Bar(unit="ms", most=5, published="100-150 (prototype: a whole command)"),
    "cold_boot_ms": Bar(unit="ms", most=2500, published="~1500 (prototype, KVM; its canary: 15300)"),
    "webhook_reply_ms": Bar(unit="ms", most=20, published="< 100 (prototype)"),
    "webhook_to_first_output_ms": Bar(unit="ms", most=500, published="2500 (prototype: first command)"),
    "workflow_parse_ms": Bar(unit="ms", most=0.7, published="~1 (prototype: simple parse)"),
    "validate_1000_files_s": Bar(unit="s", most=2, published="-"),
    "eval_us": Bar(unit="us", most=10, published="-"),
    "plan_256_leg_matrix_ms": Bar(unit="ms", most=15, published="-"),
    "import_cli_ms": Bar(unit="ms", most=150, published="-"),
    "clones8_pss_mib": Bar(unit="MiB", most=450, published="-"),
    "server_rss_mib": Bar(unit="MiB", most=120, published="~50 (prototype)"),
    "workspace_in_mib_s": Bar(unit="MiB/s", least=15, published="-"),
}


@dataclass(slots=True)
class Figures:
    """What was measured so far: a number, or the samples that median and p95 are taken from."""

    values: dict[str, float | list[float]] = field(default_factory=dict)

    def add(self, name: str, measured: float | Sequence[float]) -> None:
        if name not in BARS:
            raise KeyError(name)
        self.values[name] = measured if isinstance(measured, int | float) else list(measured)

    def as_json(self) -> dict[str, Any]:
        """Return one value per key: ``{"median", "p95", "n"}``, or a number."""
        return {name: _summary(value) for name, value in self.values.items()}

    def median(self, name: str) -> float:
        value = self.values[name]
        return statistics.median(value) if isinstance(value, list) else value


def p95(samples: Sequence[float]) -> float:
    """Return the 95th percentile; of few samples that is the largest."""
    ordered = sorted(samples)
    return ordered[min(len(ordered) - 1, round(0.95 * (len(ordered) - 1) + 0.49))]


def machine() -> str:
    """Return one line on the machine that measured."""
    cpu = next(
        (
            line.split(":", 1)[1].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in line
        ),
        platform.processor(),
    )
    memory_kib = int(Path("/proc/meminfo").read_text().split()[1])
    size = f"{_cores()} cores, {memory_kib / 2**20:.0f} GiB"
    return f"{cpu}, {size}, Linux {platform.release()}, Python {platform.python_version()}"


def _cores() -> int:
    return sum(line.startswith("processor") for line in Path("/proc/cpuinfo").read_text().splitlines())


def _summary(value: float | list[float]) -> Any:
    if not isinstance(value, list):
        return round(value, 3)
    return {"median": round(statistics.median(value), 3), "p95": round(p95(value), 3), "n": len(value)}
