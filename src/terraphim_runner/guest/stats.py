"""What was used: by the whole machine in a VM, by the agent's descendants without one."""

from __future__ import annotations

import os
from collections.abc import Iterator


def of_machine() -> tuple[int, int]:
    """Return the CPU time in milliseconds and the memory in bytes that the machine uses."""
    with open("/proc/stat", encoding="ascii") as file:
        ticks = [int(word) for word in file.readline().split()[1:]]
    busy = sum(ticks[:8]) - ticks[3] - ticks[4]
    numbers: dict[str, int] = {}
    with open("/proc/meminfo", encoding="ascii") as file:
        for line in file:
            name, _, rest = line.partition(":")
            numbers[name] = int(rest.split()[0])
    return busy * 1000 // os.sysconf("SC_CLK_TCK"), (numbers["MemTotal"] - numbers["MemAvailable"]) * 1024


def of_descendants() -> tuple[int, int]:
    """Return the CPU time in milliseconds and the resident memory in bytes of the agent's descendants."""
    times = os.times()
    cpu_s = times.children_user + times.children_system
    pages = 0
    for pid in descendants():
        fields = _fields(pid)
        if fields:
            cpu_s += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
            pages += int(fields[21])
    return int(cpu_s * 1000), pages * os.sysconf("SC_PAGE_SIZE")


def descendants() -> list[int]:
    """Return the agent's children, their children, and so on."""
    children: dict[int, list[int]] = {}
    for pid in _processes():
        fields = _fields(pid)
        if fields:
            children.setdefault(int(fields[1]), []).append(pid)
    found: list[int] = []
    waiting = [os.getpid()]
    while waiting:
        born = children.get(waiting.pop(), [])
        found += born
        waiting += born
    return found


def _processes() -> Iterator[int]:
    for name in os.listdir("/proc"):
        if name.isdigit():
            yield int(name)


def _fields(pid: int) -> list[str]:
    """Return ``/proc/<pid>/stat`` from the state on: a program may have put spaces and brackets into its name."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            return file.read().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []
