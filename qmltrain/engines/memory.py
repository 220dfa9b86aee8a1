"""How much host memory a run may plan with."""

from __future__ import annotations

import os
from pathlib import Path

_SHARE = 0.8  # of what is free now: the rest is for the data set, Python and the page cache


def available_bytes() -> int:
    """Free memory of this process in bytes: /proc/meminfo and the cgroup limit, whichever is less, times 0.8."""
    free = _meminfo()
    for limit, used in _cgroup_limits():
        free = min(free, max(0, limit - used))
    return int(free * _SHARE)


def _meminfo() -> int:
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError):
        pass
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _cgroup_limits() -> list[tuple[int, int]]:
    """(limit, used) of cgroup v2 and v1 where set."""
    found = []
    for limit_file, used_file in (
        ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
        ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"),
    ):
        try:
            found.append((int(Path(limit_file).read_text()), int(Path(used_file).read_text())))
        except (OSError, ValueError):
            continue
    return found
