"""What a job may use: the machine's memory and CPUs, and limits that its own numbers do not show: control groups of
any depth, SLURM's CPUs, ulimit.

Functions take the root of the file system, so that tests can lay trees out. A file that is missing, empty or not
understood limits nothing.
"""

from __future__ import annotations

import os
import re
import resource
from collections.abc import Iterator, Mapping
from pathlib import Path

ROOT = Path("/")
JOBS_AT_ONCE = "QMLTRAIN_JOBS_AT_ONCE"  # variable: processes that a launcher starts on this machine, this one included
_NO_LIMIT = 1 << 62  # control groups of version 1 write the largest multiple of a page where there is none
_SHARE = 0.8  # of the memory that is free now: the rest is for the data set, Python and the page cache


def available_bytes(root: Path = ROOT) -> int:
    """Memory in bytes that a run may plan with: what the machine and its job's limits leave, the least, times 0.8."""
    return int(_SHARE * min([_free(root), *memory_left(root).values()]))


def memory_left(root: Path = ROOT) -> dict[str, int]:
    """Bytes that each limit leaves to this process, by its name: the files of control groups, `ulimit -v` and `-d`.

    Page cache that the kernel gives back at once does not count as used.
    """
    found = {}
    for folder in control_groups("memory", root):
        for limit_file, used_file, cache in (
            ("memory.max", "memory.current", "inactive_file"),
            ("memory.high", "memory.current", "inactive_file"),  # beyond it processes all but stand still
            ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
        ):
            limit = _integer(folder / limit_file)
            if limit is None or limit >= _NO_LIMIT:
                continue
            used = _integer(folder / used_file)
            if used is not None:
                found[str(folder / limit_file)] = max(0, limit - max(0, used - _statistic(folder, cache)))
    return found | _left_of_ulimit(root)


def usable_cpus(root: Path = ROOT, environ: Mapping[str, str] = os.environ) -> int:
    """CPUs that this process may keep busy: the least of `cpu_limits`, shared with the jobs beside it, at least one."""
    beside = environ.get(JOBS_AT_ONCE, "")
    return max(1, min(cpu_limits(root, environ).values()) // max(1, int(beside) if beside.isdigit() else 1))


def cpu_limits(root: Path = ROOT, environ: Mapping[str, str] = os.environ, ranks: int = 1) -> dict[str, int]:
    """CPUs that each limit allows, by its name: affinity, SLURM's allocation, quotas of control groups (whole CPUs).
    `ranks` on this node: SLURM knows of none that mpirun started."""
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    found = {"affinity": affinity}
    slurm = _of_slurm(environ, ranks)
    if slurm is not None:
        found["SLURM"] = slurm
    for folder in control_groups("cpu", root):
        quota, *period = _text(folder / "cpu.max").split() or [_text(folder / "cpu.cfs_quota_us")]
        period = period or [_text(folder / "cpu.cfs_period_us")]
        if quota.isdigit() and period[0].isdigit() and int(period[0]):
            found[str(folder)] = max(1, int(quota) // int(period[0]))
    return found


def _of_slurm(environ: Mapping[str, str], ranks: int) -> int | None:
    """SLURM_CPUS_PER_TASK; else, of the CPUs allocated on this node, the share of one task (srun without
    --cpus-per-task gives each the CPUs of one, but may leave the affinity as it is)."""
    per_task = environ.get("SLURM_CPUS_PER_TASK", "")
    if per_task.isdigit() and int(per_task):
        return int(per_task)
    on_node = environ.get("SLURM_CPUS_ON_NODE", "")
    if not on_node.isdigit() or not int(on_node):
        return None
    in_step = environ.get("SLURM_STEP_ID", "").isdigit()  # else the batch script itself: alone, until it calls srun
    tasks = _tasks_here(environ.get("SLURM_STEP_TASKS_PER_NODE", ""), environ.get("SLURM_NODEID", "")) if in_step else 1
    return max(1, int(on_node) // max(tasks, ranks))


def _tasks_here(tasks_per_node: str, node: str) -> int:
    """Tasks of a step on node number `node`, as SLURM writes them for all nodes: 2(x3),1."""
    counts: list[int] = []
    for word in tasks_per_node.split(","):
        count, _, times = word.rstrip(")").partition("(x")
        if count.isdigit():
            counts += [int(count)] * (int(times) if times.isdigit() else 1)
    index = int(node) if node.isdigit() else 0
    return max(1, counts[index] if index < len(counts) else 1)


def control_groups(controller: str, root: Path = ROOT) -> Iterator[Path]:
    """Folders of the control groups that this process is in, its own first, up to the root: version 1 of `controller`
    and version 2."""
    own = {}
    for line in _text(root / "proc/self/cgroup").splitlines():
        _, controllers, path = (line.split(":", 2) + ["", ""])[:3]
        for name in controllers.split(","):
            own[name] = path  # "": version 2
    for line in _text(root / "proc/self/mountinfo").splitlines():
        before, _, after = line.partition(" - ")
        fields, (kind, _, options) = before.split(), [*after.split(), "", "", ""][:3]
        is_second = kind == "cgroup2"
        if not is_second and not (kind == "cgroup" and controller in options.split(",")):
            continue
        group = own.get("" if is_second else controller)
        if group is None or len(fields) < 5:
            continue
        mounted, mount_point = (
            re.sub(r"\\([0-7]{3})", lambda code: chr(int(code[1], 8)), path) for path in fields[3:5]
        )
        mounted, folder = mounted.rstrip("/"), root / mount_point.lstrip("/")
        inside = group.removeprefix(mounted) if group == mounted or group.startswith(f"{mounted}/") else ""
        parts = [part for part in inside.split("/") if part]
        if ".." in parts:  # a group outside of what this process sees
            parts = []
        for depth in range(len(parts), -1, -1):
            yield folder.joinpath(*parts[:depth])


def _left_of_ulimit(root: Path) -> dict[str, int]:
    """What RLIMIT_AS and RLIMIT_DATA leave beside what is mapped already."""
    sizes = _text(root / "proc/self/statm").split()  # pages: of all mappings the first, of data and stack the sixth
    page, found = os.sysconf("SC_PAGE_SIZE"), {}
    limits: list[tuple[str, int, int]] = [("ulimit -v", resource.RLIMIT_AS, 0), ("ulimit -d", resource.RLIMIT_DATA, 5)]
    for name, number, column in limits:
        limit, _ = resource.getrlimit(number)
        if limit != resource.RLIM_INFINITY and len(sizes) > column:
            found[name] = max(0, limit - page * int(sizes[column]))
    return found


def _free(root: Path) -> int:
    """Memory of the machine that is free."""
    for line in _text(root / "proc/meminfo").splitlines():
        name, _, value = line.partition(":")
        if name == "MemAvailable" and value.split()[:1] and value.split()[0].isdigit():
            return int(value.split()[0]) * 1024
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _text(path: Path) -> str:
    try:
        with open(path, "rb", buffering=0) as file:
            return file.read().decode(errors="replace").strip()
    except OSError:
        return ""


def _integer(path: Path) -> int | None:
    text = _text(path)
    return int(text) if text.isdigit() else None  # max: no limit


def _statistic(folder: Path, name: str) -> int:
    """A line of memory.stat; 0 where there is none."""
    for line in _text(folder / "memory.stat").splitlines():
        key, _, value = line.partition(" ")
        if key == name and value.isdigit():
            return int(value)
    return 0
