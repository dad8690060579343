"""What the host's processor says about itself."""

import re
from pathlib import Path

_CPUINFO = Path("/proc/cpuinfo")


def tsc_khz(cpuinfo: str) -> int | None:
    """Return the frequency of the time stamp counter, or None when the text of ``/proc/cpuinfo`` does not tell.

    In a VM, ``cpu MHz`` is that frequency; on bare metal it is the core's present one, and the model's name tells.
    """
    if re.search(r"^flags\s*:.*\bhypervisor\b", cpuinfo, re.MULTILINE):
        found = re.search(r"^cpu MHz\s*:\s*(\d+)\.(\d{3})", cpuinfo, re.MULTILINE)
        return int(found[1] + found[2]) if found else None
    named = re.search(r"^model name\s*:.*@ (\d+)\.(\d\d)GHz", cpuinfo, re.MULTILINE)
    return int(named[1] + named[2]) * 10_000 if named else None


def host_tsc_khz() -> int | None:
    """Return this host's ``tsc_khz``."""
    return tsc_khz(_CPUINFO.read_text(encoding="utf-8", errors="replace"))
