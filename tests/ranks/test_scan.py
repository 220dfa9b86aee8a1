"""Draws shared over ranks have the bits of one process; a rank that is asked to stop stops all."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from qmltrain.scans.session import plan_points
from qmltrain.scans.shared_draws import OwnPortions, SharedPortions, follow
from qmltrain.training.gradients import StepAbandoned
from tests.ranks.thread_ranks import on_ranks
from tests.scans.small_scans import GRID, composed
from tests.small_configs import CONTEXT

SCANS = {
    "gradients": (*GRID, "scan.quantities=[loss,gradient,gradient_norms]", "scan.gradients=all"),
    "states": ("circuit.n_qubits=2,3", "scan.quantities=[entanglement,fidelity]"),
    "random circuits": ("ansatz=random_layers", "circuit.n_qubits=3", "scan.quantities=[loss,gradient]"),
    "planes": ("circuit.n_qubits=2", "scan.plane=[random,random]", "scan.resolution=3"),
}


def never() -> bool:
    return False


def planned(words, ranks=None):
    return plan_points(composed(words), dataclasses.replace(CONTEXT, ranks=ranks))


def computed(portions, points, draws, stop=never):
    found = [portions.compute(k, point.take(), 3, 3 + draws, stop) for k, point in enumerate(points)]
    portions.end()
    return found


@pytest.mark.parametrize("size", [2, 3, 5])
@pytest.mark.parametrize("name", SCANS)
def test_columns_are_those_of_one_process(name, size):
    composed(SCANS[name])  # Hydra is not for threads
    draws = 2 if name == "planes" else 19  # of two draws most ranks have none
    expected = computed(OwnPortions(), planned(SCANS[name]), draws)

    def work(ranks):
        points = planned(SCANS[name], ranks)
        if ranks.is_first:
            return computed(SharedPortions(ranks), points, draws)
        return follow([point.take for point in points], never, ranks)

    found, *others = on_ranks(size, work)
    assert others == [None] * (size - 1) and len(found) == len(expected)
    for ours, alone in zip(found, expected, strict=True):
        assert ours.keys() == alone.keys() and len(alone) > 0
        for column, values in alone.items():
            assert values.tobytes() == ours[column].tobytes() and values.shape == ours[column].shape, column


@pytest.mark.parametrize("asked", [0, 1])
def test_a_stop_of_one_rank_stops_all(asked):
    composed(SCANS["gradients"])

    def work(ranks):
        points = planned(SCANS["gradients"], ranks)

        def stop() -> bool:
            return ranks.rank == asked

        if not ranks.is_first:
            return follow([point.take for point in points], stop, ranks)
        portions = SharedPortions(ranks)
        with pytest.raises(StepAbandoned):
            portions.compute(0, points[0].take(), 0, 8, stop)
        portions.end()
        return "stopped"

    assert on_ranks(2, work) == ["stopped", None]


def test_an_error_of_one_rank_is_heard_by_all():
    composed(SCANS["gradients"])

    def work(ranks):
        points = planned(SCANS["gradients"], ranks)
        if not ranks.is_first:
            return follow([lambda: 1 / 0], never, ranks)
        return computed(SharedPortions(ranks), points, 8)

    for error in on_ranks(2, work):
        assert "division by zero" in str(error)


def test_memory_and_threads_are_those_of_a_rank(monkeypatch):
    [point] = planned(("circuit.n_qubits=2",))
    assert np.isfinite(point.memory)
    ranks = on_ranks(2, lambda ranks: ranks)[0]
    ranks.threads, ranks.beside = 3, 2
    [shared] = planned(("circuit.n_qubits=2",), ranks)
    assert shared.config.engine.threads == point.config.engine.threads == 0  # what is stored is the config
    assert shared.take().ensemble.study.options.threads == 3
