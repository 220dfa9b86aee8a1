"""Tiles shared over ranks have the bits of one process; a rank that is asked to stop stops all."""

from __future__ import annotations

import copy
from types import SimpleNamespace

import numpy as np
import pytest

from qmltrain.quantum_kernels import shared_tiles, tiles
from qmltrain.quantum_kernels.gram import Panels, compute_tiles
from qmltrain.quantum_kernels.shared_tiles import Order, check_together, compute_shared_tiles, follow
from qmltrain.quantum_kernels.task import build_task
from qmltrain.training.gradients import StepAbandoned
from tests.quantum_kernels.kernel_cases import small
from tests.ranks.thread_ranks import on_ranks

CONFIGS = {
    "fidelity": small("x"),
    "projected": small("x", kernel__name="projected"),
    "single": small("x", engine__name="cpu", engine__precision="complex64", dataset__n_samples=150),
}


@pytest.fixture(autouse=True)
def small_tiles(monkeypatch):
    monkeypatch.setattr(tiles, "MOST_ROWS", 16)  # 36 training rows: six tiles, and three of the test


def never() -> bool:
    return False


def task_of(config):
    task = build_task(copy.deepcopy(config), [])
    if task.embedding.kind.gamma is None and not task.embedding.on_states:
        task.embedding.kind.gamma = 0.3
    return task


def computed(compute, task, numbers, stop=never):
    """Values of these tiles, in the order in which they were finished."""
    panels = Panels(task.embedding, task.features, task.tile_rows, task.memory_bytes, stop)
    found, finished = {}, []
    wanted = [tile for tile in task.tiles() if tile.number in numbers]
    compute(panels, wanted, lambda tile, values: found.update({tile.number: values}), finished.append)
    assert {tile.number for tile in finished} == set(found) == set(numbers)
    return found


@pytest.mark.parametrize("size", [2, 3, 5])
@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("at_once", [1, 1 << 26])
def test_tiles_are_those_of_one_process(name, size, at_once, monkeypatch):
    monkeypatch.setattr(shared_tiles, "PORTION_BYTES", at_once)
    config = CONFIGS[name]
    numbers = [tile.number for tile in task_of(config).tiles()][1:]  # the first is there already
    expected = computed(lambda *arguments: compute_tiles(*arguments, 1), task_of(config), numbers)

    def work(ranks):
        if not ranks.is_first:
            return follow(copy.deepcopy(config), [], ranks, never)
        task = task_of(config)
        ranks.from_first(lambda: Order(task.embedding.choices(), task.embedding.kind.gamma, tuple(numbers)))
        check_together(ranks, task)
        found = computed(lambda *arguments: compute_shared_tiles(*arguments, 1, ranks), task, numbers)
        ranks.from_first(lambda: None)
        return found

    found, *others = on_ranks(size, work)
    assert others == [None] * (size - 1) and len(expected) > 5
    for number, values in expected.items():
        assert found[number].dtype == values.dtype and np.array_equal(found[number], values)


@pytest.mark.parametrize("asked", [0, 1])
def test_a_stop_of_one_rank_stops_all(asked):
    def work(ranks):
        def stop() -> bool:
            return ranks.rank == asked

        config = copy.deepcopy(CONFIGS["fidelity"])
        if not ranks.is_first:
            return follow(config, [], ranks, stop)
        task = task_of(config)
        ranks.from_first(lambda: Order(task.embedding.choices(), None, (0, 1, 2)))
        check_together(ranks, task)
        with pytest.raises(StepAbandoned):
            computed(lambda *arguments: compute_shared_tiles(*arguments, 1, ranks), task, (0, 1, 2), stop)
        ranks.from_first(lambda: None)
        return "stopped"

    assert on_ranks(2, work) == ["stopped", None]


def test_ranks_with_other_rows_are_refused():
    def work(ranks):
        task = SimpleNamespace(
            embedding=SimpleNamespace(selection=SimpleNamespace(engine=SimpleNamespace(describe=lambda: "cpu: avx2"))),
            digest=lambda: "ab"[ranks.rank],
        )
        check_together(ranks, task)

    for error in on_ranks(2, work):
        assert str(error) == "kernel: rank 0 has a, rank 1 has b; give every node the same files"
