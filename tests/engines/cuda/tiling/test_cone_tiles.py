"""The tiled schedule alone: every item once, what does not commute in its order, tiles within their bound."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qmltrain.engines.cuda.tiling.cone_tiles import ConeTiles, schedule_tiles
from qmltrain.engines.cuda.tiling.items import Phase, Sign, take_apart
from qmltrain.fusion.compile import compile_plan
from qmltrain.gf2 import Span
from tests.circuit.strategies import circuits
from tests.engines.cases import hea
from tests.examples import examples


def moments_of(circuit):  # noqa: ANN001, ANN201
    return take_apart(compile_plan(circuit, ()).moments)[0]


def check_schedule(moments, passes, n_bits: int, tile_bits: int, low_bits: int) -> None:  # noqa: ANN001
    """Raises where the schedule loses, doubles, misplaces or reorders anything."""
    position = {}
    count = 0
    before = Span([1 << b for b in range(max(low_bits, 3))])
    for one in passes:
        span = Span(one.basis)
        assert len(span) == len(one.basis) == min(tile_bits, n_bits)
        # the directions at the lowest places are in this tile and in the one before, which puts them there
        assert all(lane in span and lane in before for lane in one.lanes)
        assert len(Span(one.lanes)) == len(one.lanes)
        if n_bits > tile_bits:
            assert len(one.lanes) == min(low_bits, max(0, tile_bits - 4))
        before = span
        for this in one.rounds:
            for entry in (*this.items, *this.rotations):
                assert id(entry) not in position
                position[id(entry)] = count
                count += 1
            for a in this.rotations:
                assert a.pair_mask in span
                for b in this.rotations:  # independent butterflies
                    assert (a.pair_mask & b.parity_mask).bit_count() & 1 == (a is b)
    entries = [(s, entry) for s, moment in enumerate(moments) for entry in (*moment.rotations, *moment.items)]
    assert len(position) == len(entries)
    for k, (s, entry) in enumerate(entries):
        for t, later in entries[k + 1 :]:
            if not commute(entry, later):
                assert position[id(entry)] < position[id(later)], (s, entry, t, later)


def commute(a, b) -> bool:  # noqa: ANN001
    diagonal_a, diagonal_b = isinstance(a, Phase | Sign), isinstance(b, Phase | Sign)
    if diagonal_a and diagonal_b:
        return True
    if diagonal_a or diagonal_b:
        item, rotation = (a, b) if diagonal_a else (b, a)
        return not item.blocks(rotation.pair_mask)
    return not ((a.pair_mask & b.parity_mask).bit_count() ^ (b.pair_mask & a.parity_mask).bit_count()) & 1


@settings(max_examples=examples(150), deadline=None)
@given(circuits(min_qubits=2, max_qubits=8, max_gates=40), st.integers(2, 8), st.integers(0, 1))
def test_random_circuits(circuit, tile_bits, low_bits):
    moments = moments_of(circuit)
    passes = schedule_tiles(moments, circuit.n_qubits, tile_bits, low_bits, rotations_per_pass=5)
    check_schedule(moments, passes, circuit.n_qubits, tile_bits, low_bits)


@pytest.mark.parametrize("entangler", ["cz", "cx", "rzz_free"])
@pytest.mark.parametrize(("n_qubits", "tile_bits", "low_bits"), [(9, 5, 2), (10, 7, 3), (7, 7, 3), (11, 4, 0)])
def test_layered_circuits(n_qubits, tile_bits, low_bits, entangler):
    moments = moments_of(hea(n_qubits, 6, "swap" if entangler == "rzz_free" else entangler))
    passes = schedule_tiles(moments, n_qubits, tile_bits, low_bits)
    check_schedule(moments, passes, n_qubits, tile_bits, low_bits)


def test_light_cones_need_a_third_of_a_pass_a_layer():
    moments = moments_of(hea(20, 60))
    assert len(schedule_tiles(moments, 20, 12, 3)) <= 22
    assert len(schedule_tiles(moments, 20, 11, 3)) <= 30


def test_planning_time_is_linear_in_the_depth():
    """Equal situations are decided once: the number of decisions does not grow with the depth."""
    decisions = []
    for layers in (100, 200):
        moments = moments_of(hea(12, layers))
        cone = ConeTiles(moments, 12, 7, 2)
        cone.passes()
        decisions.append(len(cone.choices))
    assert decisions[1] <= decisions[0] + 10, decisions


@pytest.mark.slow
@pytest.mark.parametrize("entangler", ["cz", "cx"])
def test_the_headline_circuit_is_planned_in_seconds(entangler):
    start = time.process_time()
    moments = moments_of(hea(20, 1000, entangler))
    schedule_tiles(moments, 20, 12, 3)
    assert time.process_time() - start < 30


def test_the_same_circuit_has_the_same_schedule():
    found = []
    for _ in range(2):
        moments = moments_of(hea(10, 6, "cx"))
        passes = schedule_tiles(moments, 10, 6, 2)
        found.append([(p.basis, p.lanes, [[r.gate_run for r in one.rotations] for one in p.rounds]) for p in passes])
    assert found[0] == found[1]
