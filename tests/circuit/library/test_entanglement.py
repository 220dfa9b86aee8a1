"""Entanglement maps by hand at small sizes, and their properties at any."""

from __future__ import annotations

import pytest

from qmltrain.circuit.library.entanglement import ENTANGLEMENT, entangling_pairs, ring
from qmltrain.errors import InputError

FOUR = {
    "full": [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)],
    "linear": [(0, 1), (1, 2), (2, 3)],
    "reverse_linear": [(2, 3), (1, 2), (0, 1)],
    "circular": [(3, 0), (0, 1), (1, 2), (2, 3)],
    "pairwise": [(0, 1), (2, 3), (1, 2)],
    "sca": [(3, 0), (0, 1), (1, 2), (2, 3)],
}


@pytest.mark.parametrize("name", ENTANGLEMENT)
def test_four_qubits(name: str) -> None:
    assert entangling_pairs(name, 4) == FOUR[name]


def test_sca_shifts_and_alternates() -> None:
    assert entangling_pairs("sca", 4, 1) == [(3, 2), (0, 3), (1, 0), (2, 1)]
    assert entangling_pairs("sca", 4, 2) == [(1, 2), (2, 3), (3, 0), (0, 1)]
    assert entangling_pairs("sca", 4, 4) == entangling_pairs("sca", 4, 0)
    assert entangling_pairs("sca", 2, 1) == [(1, 0)]


def test_ring_wraps_last() -> None:
    assert ring(1) == [] and ring(2) == [(0, 1)]
    assert ring(3) == [(0, 1), (1, 2), (2, 0)]


@pytest.mark.parametrize("name", ENTANGLEMENT)
@pytest.mark.parametrize("n", [1, 2, 3, 5, 8])
@pytest.mark.parametrize("layer", [0, 1, 5])
def test_pairs_are_distinct_and_inside(name: str, n: int, layer: int) -> None:
    pairs = entangling_pairs(name, n, layer)
    count = {"full": n * (n - 1) // 2, "circular": n if n > 2 else n - 1, "sca": n if n > 2 else n - 1}
    assert len(pairs) == count.get(name, n - 1)
    assert len({frozenset(pair) for pair in pairs}) == len(pairs)
    assert all(0 <= qubit < n for pair in pairs for qubit in pair)


def test_unknown_map_is_refused() -> None:
    with pytest.raises(InputError, match=r"'ring' is not known; choose one of full, linear, reverse_linear"):
        entangling_pairs("ring", 3)
