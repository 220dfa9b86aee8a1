"""How much host memory a run may plan with."""

from __future__ import annotations

import os
from pathlib import Path

from qmltrain.job_limits import memory_left

_SHARE = 0.8  # of what is free now: the rest is for the data set, Python and the page cache


def available_bytes() -> int:
    """Free memory of this process in bytes: what the machine and its job's limits leave, the least, times 0.8."""
    return int(_SHARE * min([_free(), *memory_left().values()]))


def _free() -> int:
    """Of the machine."""
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError):
        pass
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
