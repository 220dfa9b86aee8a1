"""Tiles through panels and threads: every tile once, stopped between two, refused where not two panels fit."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from qmltrain.errors import MemoryLimitError, StorageError
from qmltrain.quantum_kernels.gram import Panels, compute_tiles
from qmltrain.quantum_kernels.kinds import Fidelity
from qmltrain.quantum_kernels.tiles import cut
from qmltrain.training.gradients import StepAbandoned


class Counted:
    """An embedding whose vectors are the features; how often rows were asked for."""

    vector_bytes, value_dtype, kind = 32, np.dtype(np.float64), Fidelity()

    def __init__(self) -> None:
        self.asked: list[int] = []

    def vectors(self, x_BF, stop):
        self.asked.append(len(x_BF))
        return x_BF.astype(np.complex128)


def work(memory: int, threads: int = 1, missing=None, put=None, stop=lambda: False):
    generator = np.random.default_rng(0)
    features = {"train": generator.normal(size=(70, 2)), "test": generator.normal(size=(40, 2))}
    embedding, tiles = Counted(), cut(70, 40, 16)
    found: dict[int, np.ndarray] = {}
    done: list[int] = []
    panels = Panels(embedding, features, 16, memory, stop)  # type: ignore[arg-type]
    chosen = [tile for tile in tiles if missing is None or tile.number in missing]
    put = put or (lambda tile, values: found.update({tile.number: values}))
    compute_tiles(panels, chosen, put, lambda tile: done.append(tile.number), threads)
    assert sorted(done) == [tile.number for tile in chosen]
    return SimpleNamespace(found=found, asked=embedding.asked, features=features, tiles=tiles, done=done)


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_every_tile_once(threads):
    result = work(1 << 30, threads)
    assert sorted(result.asked) == [40, 70]  # N states, not N^2
    for tile in result.tiles:
        rows, columns = result.features[tile.split][tile.rows], result.features["train"][tile.columns]
        expected = (rows @ columns.T) ** 2
        if tile.on_diagonal:
            np.fill_diagonal(expected, 1)
        np.testing.assert_allclose(result.found[tile.number], expected)


@pytest.mark.parametrize(("memory", "panels"), [(2 * 16 * 32 * 2, 16), (2 * 32 * 32 * 2, 32), (1 << 20, 70)])
def test_little_memory_makes_small_panels_and_the_same_bits(memory, panels):
    whole, cut_up = work(1 << 30), work(memory)
    assert max(cut_up.asked) == panels
    for number, values in whole.found.items():
        np.testing.assert_array_equal(cut_up.found[number], values)


def test_states_that_nothing_needs_any_more_are_not_computed():
    tests_alone = work(1 << 30, missing={tile.number for tile in cut(70, 40, 16) if tile.split == "test"})
    assert sorted(tests_alone.asked) == [40, 70]
    assert work(1 << 30, missing={0, 1}).asked == [70]
    assert work(2 * 16 * 32 * 2, missing={1}).asked == [16, 16]
    assert work(1 << 30, missing=set()).asked == []


def test_memory_for_less_than_two_tiles_is_refused():
    with pytest.raises(MemoryLimitError, match="circuit.n_qubits: the states of 32 rows need"):
        work(2 * 16 * 32 - 1)


@pytest.mark.parametrize("threads", [1, 3])
def test_it_stops_between_two_tiles(threads):
    put: list[int] = []
    with pytest.raises(StepAbandoned):
        work(1 << 30, threads, put=lambda tile, values: put.append(tile.number), stop=lambda: len(put) >= 4)
    assert 4 <= len(put) <= 4 + 2 * threads + 2


@pytest.mark.parametrize("threads", [1, 3])
def test_what_a_thread_cannot_write_is_raised_here(threads):
    def full(tile, values):
        raise StorageError("no space")

    with pytest.raises(StorageError, match="no space"):
        work(1 << 30, threads, put=full)
