"""Threads of a rank: what is left of its node's CPUs."""

from __future__ import annotations

from pathlib import Path

import pytest

from qmltrain.ranks.threads import Place, number_beside, ranks_beside, threads_of


def places(*cpus: tuple[int, ...], node: str = "n1") -> list[Place]:
    return [Place(node, each) for each in cpus]


ALL = tuple(range(8))


@pytest.mark.parametrize(
    ("where", "threads"),
    [
        (places(ALL), [8]),
        (places(ALL, ALL), [4, 4]),
        (places(ALL, ALL, ALL), [2, 2, 2]),
        (places((0, 1, 2, 3), (4, 5, 6, 7)), [4, 4]),  # bound by the launcher
        (places((0,), (1,)), [1, 1]),
        (places(ALL, (6, 7)), [7, 1]),
        (places(*[ALL] * 12), [1] * 12),
        ([*places(ALL, ALL), *places(ALL, node="n2")], [4, 4, 8]),
    ],
)
def test_cpus_are_shared_by_those_who_may_use_them(where: list[Place], threads: list[int], tmp_path: Path) -> None:
    assert [threads_of(where, rank, tmp_path, {}) for rank in range(len(where))] == threads


def test_slurm_grants_a_task_its_own(tmp_path: Path) -> None:
    assert threads_of(places(ALL, ALL), 0, tmp_path, {"SLURM_CPUS_PER_TASK": "3"}) == 3
    assert threads_of(places(ALL, ALL), 0, tmp_path, {"SLURM_CPUS_PER_TASK": "6"}) == 4


@pytest.mark.parametrize("step", [{}, {"SLURM_STEP_ID": "1", "SLURM_STEP_TASKS_PER_NODE": "1"}])
def test_slurm_knows_no_ranks_of_mpirun(step: dict[str, str], tmp_path: Path) -> None:
    """They are in no step, or in that of the one helper that mpirun started on their node."""
    assert threads_of(places(ALL, ALL), 0, tmp_path, {**step, "SLURM_CPUS_ON_NODE": "6"}) == 3
    assert threads_of(places(ALL, ALL, ALL), 2, tmp_path, {**step, "SLURM_CPUS_ON_NODE": "2"}) == 1


def test_a_control_group_grants_all_ranks_of_a_node_together(tmp_path: Path) -> None:
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/cgroup").write_text("0::/\n")
    (tmp_path / "proc/self/mountinfo").write_text("31 24 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n")
    (tmp_path / "sys/fs/cgroup").mkdir(parents=True)
    (tmp_path / "sys/fs/cgroup/cpu.max").write_text("400000 100000\n")
    assert threads_of(places(ALL, ALL), 1, tmp_path, {}) == 2
    assert threads_of([*places(ALL), *places(ALL, node="n2")], 1, tmp_path, {}) == 4


def test_places_are_sent_as_text() -> None:
    place = Place("n1", (0, 3))
    assert Place.from_text(place.to_text()) == place
    assert ranks_beside([place, Place("n2", ()), Place("n1", ())], 0) == 2


def test_ranks_of_a_node_are_numbered() -> None:
    where = [*places(ALL, ALL), *places(ALL, node="n2"), *places(ALL), *places(ALL, node="n2")]
    assert [number_beside(where, rank) for rank in range(5)] == [0, 1, 0, 2, 1]
    assert [ranks_beside(where, rank) for rank in range(5)] == [3, 3, 2, 3, 2]
