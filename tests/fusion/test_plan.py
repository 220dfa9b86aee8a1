"""The planner alone: every gate once, order kept between what does not commute, tiles bounded. No states."""

from __future__ import annotations

from collections import Counter
from math import pi

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qmltrain.circuit.angle import constant, feature, parameter
from qmltrain.circuit.circuit import Circuit, Gate
from qmltrain.circuit.observables import PauliString
from qmltrain.fusion.compile import compile_plan
from qmltrain.fusion.cost import composition
from qmltrain.fusion.decompose import Phase, Rotate, decompose
from qmltrain.fusion.frame import Frame
from qmltrain.fusion.lowering import lower, slot_angle
from qmltrain.fusion.passes import Rotations, schedule
from qmltrain.gf2 import Span, parity
from tests.circuit.strategies import circuits
from tests.engines.cases import hea
from tests.examples import examples


def items_in_order(passes):
    """(x mask, z mask, identity) of every rotation and term of some passes in the order of execution.

    Items of one operation commute, so their order within it does not matter.
    """
    found = []
    for number, one in enumerate(passes):
        for operation in one.operations:
            if isinstance(operation, Rotations):
                found += [(r.pair_mask, r.parity_mask, ("R", r.gate_run), number) for r in operation.rotations]
            else:
                terms = (*operation.shared, *operation.per_sample)
                found += [(0, t.mask, ("D", operation.moment, k), number) for k, t in enumerate(terms)]
    return found


def commute(a, b) -> bool:
    return parity(a[0] & b[1]) == parity(a[1] & b[0])


def slots_of_circuit(circuit: Circuit) -> Counter:
    """How often each slot occurs in the decomposed gates."""
    references = circuit.slots.reference
    count: Counter = Counter()
    for gate in circuit.gates:
        for primitive in decompose(gate, tuple(slot_angle(angle, references) for angle in gate.angles)):
            if isinstance(primitive, Rotate | Phase) and primitive.angle.slot is not None:
                count[primitive.angle.per_sample, primitive.angle.slot] += 1
    return count


def slots_of_plan(plan) -> Counter:
    count: Counter = Counter()
    for one in plan.gate_runs:
        count.update((r.angle.per_sample, r.angle.slot) for r in one.rotations if r.angle.slot is not None)
    for diagonal in (moment.diagonal for moment in plan.moments):
        if diagonal is not None:
            terms = (term for term in (*diagonal.shared, *diagonal.per_sample) if term.has_gradient)
            count.update((term.angle.per_sample, term.angle.slot) for term in terms)
    return count


@settings(max_examples=examples(150), deadline=None)
@given(circuits(min_qubits=1, max_qubits=6, max_gates=24))
def test_every_angle_is_in_the_plan_exactly_once(circuit):
    plan = compile_plan(circuit, ())
    assert slots_of_plan(plan) == slots_of_circuit(circuit)
    found = [rotation.gate_run for moment in plan.moments for rotation in moment.rotations]
    assert sorted(found) == list(range(len(plan.gate_runs)))


@settings(max_examples=examples(150), deadline=None)
@given(circuits(min_qubits=3, max_qubits=6, max_gates=24), st.integers(2, 5), st.integers(0, 1))
def test_tiles_keep_the_order_of_what_does_not_commute(circuit, tile_bits, low_bits):
    plan = compile_plan(circuit, ())
    whole, tiled = items_in_order(schedule(plan)), items_in_order(schedule(plan, tile_bits, low_bits))
    position = {item[2]: k for k, item in enumerate(tiled)}
    assert len(position) == len(whole) == len(tiled)
    for i, a in enumerate(whole):
        for b in whole[i + 1 :]:
            if not commute(a, b):
                assert position[a[2]] < position[b[2]]


@settings(max_examples=examples(150), deadline=None)
@given(circuits(min_qubits=3, max_qubits=6, max_gates=24), st.integers(2, 5), st.integers(0, 1))
def test_tiles_are_bounded_and_hold_their_rotations(circuit, tile_bits, low_bits):
    for one in schedule(compile_plan(circuit, ()), tile_bits, low_bits):
        span = Span(one.basis)
        assert len(span) == len(one.basis) == min(tile_bits, circuit.n_qubits)  # independent, never larger
        assert list(one.basis[:low_bits]) == [1 << q for q in range(low_bits)]
        for operation in one.operations:
            if isinstance(operation, Rotations):
                assert all(r.pair_mask in span for r in operation.rotations)


@settings(max_examples=examples(150), deadline=None)
@given(circuits(min_qubits=1, max_qubits=6, max_gates=24))
def test_rotations_of_a_moment_are_independent(circuit):
    for moment in compile_plan(circuit, ()).moments:
        for a in moment.rotations:
            for b in moment.rotations:
                assert parity(a.pair_mask & b.parity_mask) == (a is b)


@settings(max_examples=examples(50), deadline=None)
@given(circuits(min_qubits=2, max_qubits=6, max_gates=24), st.integers(2, 6))
def test_plans_are_deterministic(circuit, tile_bits):
    plans = [compile_plan(circuit, ()) for _ in range(2)]
    assert plans[0] == plans[1] and schedule(plans[0], tile_bits) == schedule(plans[1], tile_bits)


@settings(max_examples=examples(100), deadline=None)
@given(
    st.integers(1, 7), st.lists(st.tuples(st.sampled_from("cxs"), st.integers(0, 6), st.integers(0, 6)), max_size=20)
)
def test_frame_rows_and_masks_stay_inverse(n_qubits, moves):
    frame = Frame(n_qubits)
    for kind, a, b in moves:
        a, b = a % n_qubits, b % n_qubits
        if kind == "x":
            frame.x(a)
        elif a != b:
            (frame.cx if kind == "c" else frame.swap)(a, b)
    for p in range(n_qubits):
        for q in range(n_qubits):
            assert parity(frame.rows[p] & frame.masks[q]) == (p == q)


@pytest.mark.parametrize("n_qubits", [2, 3, 5, 8])
def test_an_hea_layer_is_n_rotations_and_one_diagonal(n_qubits):
    layers = 4
    plan = compile_plan(hea(n_qubits, layers), ())
    shape = composition(plan)
    assert len(schedule(plan)) == 1
    assert shape.depth == layers + 1  # the encoding is the first moment
    assert shape.rotations == n_qubits * (layers + 1)
    assert shape.diagonals == layers + 1


def test_cx_rings_cost_the_same_rotations_and_diagonals_as_cz_rings():
    cz, cx = (composition(compile_plan(hea(6, 5, name), ())) for name in ("cz", "cx"))
    assert (cx.rotations, cx.diagonals, cx.depth) == (cz.rotations, cz.diagonals, cz.depth)


def test_zigzag_makes_one_pass_a_layer():
    assert len(schedule(compile_plan(hea(20, 30), ()), 12, 4)) <= 32


@pytest.mark.parametrize("layers", [100, pytest.param(1000, marks=pytest.mark.slow)])
def test_twenty_qubits_and_many_layers_plan(layers):
    plan = compile_plan(hea(20, layers), (PauliString(0, 1),))
    assert len(plan.gate_runs) == 20 * (layers + 1)
    assert len(schedule(plan, 12, 4)) <= layers + 2


def test_constants_that_cancel_leave_no_diagonal():
    gates = (Gate("crz", (0, 1), (constant(0.3),)), Gate("s", (0,)), Gate("crz", (0, 1), (constant(-0.3),)))
    circuit = Circuit(2, (*gates, Gate("sdg", (0,))))
    assert composition(compile_plan(circuit, ())).diagonals == 0


def test_plain_rotations_of_y_need_no_phases():
    circuit = Circuit(1, (Gate("ry", (0,), (parameter(0),)), Gate("ry", (0,), (parameter(1),))), ("a", "b"))
    plan = compile_plan(circuit, ())
    assert [one.real for one in plan.gate_runs] == [True]
    assert composition(plan).diagonals == 0


def test_per_sample_rx_is_a_y_rotation_between_constant_phases():
    circuit = Circuit(1, (Gate("rx", (0,), (feature(0),)),), n_features=1)
    lowered = lower(circuit)
    assert [one.per_sample for one in lowered.gate_runs] == [True]
    before, after = ([(t.mask, t.angle.offset) for t in moment.diagonal.shared] for moment in lowered.moments)
    assert (before, after) == ([(1, pi / 2)], [(1, -pi / 2)])
