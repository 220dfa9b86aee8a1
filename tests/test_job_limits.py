"""Limits of a job, from trees of control groups in a temporary folder, and from SLURM's variables."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qmltrain import job_limits
from qmltrain.engines.cpu.engine import thread_count
from qmltrain.job_limits import control_groups, cpu_limits, memory_left, usable_cpus

GIB = 1 << 30
UNIFIED = "30 23 0:26 {root} /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw\n"
MEMORY = "31 23 0:27 {root} /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
CPU = "32 23 0:28 {root} /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"


def lay(root: Path, cgroup: str, mountinfo: str, files: dict[str, object]) -> Path:
    """A file system with these texts; `files` lie in /sys/fs/cgroup."""
    texts = {"proc/self/cgroup": cgroup, "proc/self/mountinfo": mountinfo}
    texts |= {f"sys/fs/cgroup/{name}": f"{content}\n" for name, content in files.items()}
    for name, text in texts.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def test_slurm_with_version_2(tmp_path):
    """The limit is in the job's group, three above the task's; memory.max says max elsewhere."""
    job = "system.slice/slurmstepd.scope/job_7"
    task = f"{job}/step_0/user/task_0"
    root = lay(tmp_path, f"0::/{task}\n", UNIFIED.format(root="/"), {
        f"{job}/memory.max": 2 * GIB, f"{job}/memory.current": GIB // 2, f"{task}/memory.max": "max",
        f"{task}/memory.current": 1000, f"{job}/cpu.max": "max 100000", f"{task}/cpu.max": "150000 100000",
        "other/memory.max": 5, "other/memory.current": 1,
    })  # fmt: skip
    assert memory_left(root) == {str(root / "sys/fs/cgroup" / job / "memory.max"): 3 * GIB // 2}
    assert cpu_limits(root, {})[str(root / "sys/fs/cgroup" / task)] == 1


def test_slurm_with_version_1(tmp_path):
    group, unlimited = "slurm/uid_5/job_7/step_0/task_0", 9223372036854771712
    cgroup, job = f"9:memory:/{group}\n4:cpu,cpuacct:/{group}\n0::/\n", "memory/slurm/uid_5/job_7"
    mounts = "22 27 0:21 / /proc rw - proc proc rw\n" + (MEMORY + CPU).format(root="/")
    root = lay(tmp_path, cgroup, mounts, {
        f"{job}/memory.limit_in_bytes": 16 * GIB, f"{job}/memory.usage_in_bytes": 6 * GIB,
        f"{job}/memory.stat": f"cache 1\ntotal_inactive_file {5 * GIB}\ninactive_file 1",
        "memory/memory.limit_in_bytes": unlimited, "memory/memory.usage_in_bytes": 0,
        f"memory/{group}/memory.limit_in_bytes": unlimited, f"memory/{group}/memory.usage_in_bytes": 1,
        "cpu,cpuacct/slurm/uid_5/cpu.cfs_quota_us": 350000, "cpu,cpuacct/slurm/uid_5/cpu.cfs_period_us": 100000,
        f"cpu,cpuacct/{group}/cpu.cfs_quota_us": -1, f"cpu,cpuacct/{group}/cpu.cfs_period_us": 100000,
    })  # fmt: skip
    limit = root / "sys/fs/cgroup" / job / "memory.limit_in_bytes"
    assert memory_left(root) == {str(limit): 15 * GIB}  # what is cached of files comes back when it is needed
    assert cpu_limits(root, {})[str(root / "sys/fs/cgroup/cpu,cpuacct/slurm/uid_5")] == 3


@pytest.mark.parametrize(
    ("mounted", "path", "folders"),
    [
        ("/", "/a/b", ["a/b", "a", "."]),
        ("/docker/x", "/docker/x", ["."]),  # a container that sees its own group as the root
        ("/docker/x", "/docker/x/y", ["y", "."]),
        ("/docker/x", "/docker/xy", ["."]),
        ("/", "/../../job", ["."]),
        ("/", "/", ["."]),
        ("/", "/a/b:c", ["a/b:c", "a", "."]),
    ],
)
def test_groups_from_the_own_one_up(tmp_path, mounted, path, folders):
    root = lay(tmp_path, f"0::{path}\n", UNIFIED.format(root=mounted), {})
    assert list(control_groups("memory", root)) == [root / "sys/fs/cgroup" / folder for folder in folders]


NUMBERS = st.one_of(st.none(), st.integers(0, 1 << 40))


@given(
    limits=st.lists(st.tuples(NUMBERS, st.integers(0, 1 << 40), st.integers(0, 1 << 40)), min_size=1, max_size=6),
    version=st.sampled_from([1, 2]),
    prefix=st.sampled_from(["", "/pod", "/kube/pod"]),
)
def test_the_least_limit_of_any_tree_counts(limits, version, prefix):
    """`limits`: (limit or none, used, of that cache) of each group from the root down."""
    names = [f"g{depth}" for depth in range(1, len(limits))]
    path = "/".join(["", *names])
    files, expected = {}, []
    limit_file, used_file, cache = (
        ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
        if version == 1
        else ("memory.max", "memory.current", "inactive_file")
    )
    for depth, (limit, used, cached) in enumerate(limits):
        folder = "/".join(["memory"] * (version == 1) + names[:depth] + [""]).lstrip("/")
        files |= {f"{folder}{used_file}": used, f"{folder}memory.stat": f"anon 3\n{cache} {cached}"}
        if limit is not None or version == 2:
            files[f"{folder}{limit_file}"] = "max" if limit is None else limit
        if limit is not None:
            expected.append(max(0, limit - max(0, used - cached)))
    mount = (MEMORY if version == 1 else UNIFIED).format(root=prefix or "/")
    with tempfile.TemporaryDirectory() as folder:
        root = lay(Path(folder), f"{'5:memory' if version == 1 else '0:'}:{prefix + path or '/'}\n", mount, files)
        found = {name: left for name, left in memory_left(root).items() if name.startswith(folder)}
    assert min(found.values(), default=None) == min(expected, default=None)


@pytest.mark.parametrize("text", ["", "nonsense", "0::", ":::\n\n::", "0::/a\nx"])
def test_what_is_not_understood_limits_nothing(tmp_path, text):
    root = lay(tmp_path, text, text + "\n- cgroup2 x\n1 2 3 - cgroup cgroup memory\n", {"memory.max": "5"})
    assert not [name for name in memory_left(root) if "memory" in name]
    assert usable_cpus(root, {}) >= 1
    assert usable_cpus(tmp_path / "nowhere", {}) == cpu_limits(tmp_path / "nowhere", {})["affinity"]


STEP = {"SLURM_STEP_ID": "0"}


@pytest.mark.parametrize(
    ("variables", "cpus"),
    [
        ({}, None),
        ({"SLURM_CPUS_PER_TASK": "3", "SLURM_CPUS_ON_NODE": "8"}, 3),
        (STEP | {"SLURM_CPUS_ON_NODE": "1", "SLURM_STEP_TASKS_PER_NODE": "1"}, 1),  # plain srun
        (STEP | {"SLURM_CPUS_ON_NODE": "6", "SLURM_STEP_TASKS_PER_NODE": "2(x2),3", "SLURM_NODEID": "2"}, 2),
        (STEP | {"SLURM_CPUS_ON_NODE": "6", "SLURM_STEP_TASKS_PER_NODE": "2(x2),3", "SLURM_NODEID": "1"}, 3),
        ({"SLURM_CPUS_ON_NODE": "6", "SLURM_TASKS_PER_NODE": "3"}, 6),  # the batch script itself
        (STEP | {"SLURM_CPUS_ON_NODE": "2", "SLURM_STEP_TASKS_PER_NODE": "4"}, 1),
        (STEP | {"SLURM_CPUS_ON_NODE": "2", "SLURM_STEP_TASKS_PER_NODE": "x(", "SLURM_NODEID": "9"}, 2),
        ({"SLURM_CPUS_PER_TASK": "many", "SLURM_CPUS_ON_NODE": "0"}, None),
    ],
)  # fmt: skip
def test_cpus_that_slurm_allots_to_a_task(tmp_path, variables, cpus):
    found = cpu_limits(tmp_path, variables)
    assert found.get("SLURM") == cpus
    assert usable_cpus(tmp_path, variables) == min(found["affinity"], cpus or found["affinity"])


def test_memory_and_threads_of_a_run_follow_the_limits(monkeypatch):
    monkeypatch.setattr(job_limits, "memory_left", lambda root: {"a": 1000, "b": 5000})
    assert job_limits.available_bytes() == 800
    monkeypatch.setenv("SLURM_CPUS_PER_TASK", "1")
    assert thread_count(0) == 1 and thread_count(5) == 5


def test_ulimit_counts():
    """In a process of its own, whose address space is limited to 4 GiB."""
    code = (
        "import resource; resource.setrlimit(resource.RLIMIT_AS, (4 << 30, resource.RLIM_INFINITY)); "
        "from qmltrain.job_limits import memory_left; print(memory_left()['ulimit -v'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert 3 * GIB < int(done.stdout) < 4 * GIB


def test_a_mount_point_with_a_blank(tmp_path):
    """The kernel writes it as \\040."""
    mounts = "30 23 0:26 / /sys/fs/my\\040cgroups rw - cgroup2 cgroup2 rw\n"
    root = lay(tmp_path, "0::/job\n", mounts, {})
    assert list(control_groups("memory", root))[0] == root / "sys/fs/my cgroups/job"


@pytest.mark.parametrize(("beside", "share"), [("2", 2), ("3", 3), ("100", 100), ("0", 1), ("many", 1), ("", 1)])
def test_jobs_beside_share_the_cpus(tmp_path, beside, share):
    whole = usable_cpus(tmp_path, {})
    assert usable_cpus(tmp_path, {"QMLTRAIN_JOBS_AT_ONCE": beside}) == max(1, whole // share)
