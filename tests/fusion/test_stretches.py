"""Stretches of shared gates: nothing is lost, nothing of a sample is in them, and v_z is taken where it was made."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from qmltrain.circuit.observables import PauliString
from qmltrain.fusion.compile import compile_plan
from qmltrain.fusion.passes import Rotations, schedule
from qmltrain.fusion.plan import Diagonal, Plan
from qmltrain.fusion.stretches import shared_stretches, whole_pass
from tests.circuit.strategies import circuits
from tests.examples import examples

Z, X = PauliString(0, 1), PauliString(1, 0)


def of_a_sample(plan: Plan, operation) -> bool:
    if isinstance(operation, Diagonal):
        return bool(operation.per_sample)
    return any(plan.gate_runs[one.gate_run].per_sample for one in operation.rotations)


@settings(max_examples=examples(150), deadline=None)
@given(circuits(1, 5, 24), st.sampled_from([(Z,), (Z, X)]))
def test_what_every_stretch_must_hold(circuit, strings):
    plan = compile_plan(circuit, strings)
    operations, stretches = whole_pass(plan).operations, shared_stretches(plan)
    assert all(not of_a_sample(plan, one) for first, last in stretches for one in operations[first:last])
    assert all(a[1] < b[0] for a, b in zip(stretches, stretches[1:], strict=False))  # else they would be one
    inside = {k for first, last in stretches for k in range(first, last)}
    for k, operation in enumerate(operations):
        if isinstance(operation, Rotations) and any(plan.gate_runs[r.gate_run].needs_v_z for r in operation.rotations):
            measured = k + 1 == len(operations) - 1 and strings == (Z,)  # that diagonal commutes, v_z is 0
            assert measured or (k in inside) == (k + 1 in inside) or of_a_sample(plan, operations[k + 1])
            assert isinstance(operations[k + 1], Diagonal)
    if operations and isinstance(operations[-1], Diagonal) and strings == (Z,):
        assert len(operations) - 1 not in inside


@settings(max_examples=examples(60), deadline=None)
@given(circuits(1, 5, 24))
def test_the_whole_pass_is_the_schedule_with_diagonals_in_two(circuit):
    plan = compile_plan(circuit, (Z,))
    joined = []
    for operation in whole_pass(plan).operations:
        before = joined[-1] if joined else None
        if isinstance(operation, Diagonal) and isinstance(before, Diagonal) and before.moment == operation.moment:
            joined[-1] = Diagonal(before.moment, before.shared, operation.per_sample)
        else:
            joined.append(operation)
    assert [joined] == [list(one.operations) for one in schedule(plan)]
