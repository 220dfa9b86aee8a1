"""Product start: one-qubit gates before anything entangles are not passes over the state.

What they make of |0...0> is a product of one factor a qubit: it is written once, and their gradients come from one read
of the bra (kernels/cpu/simd/product_start.hpp). The engines without it execute the plan as it is.
"""

from __future__ import annotations

from dataclasses import replace

from qmltrain.circuit.circuit import Circuit
from qmltrain.circuit.observables import PauliString
from qmltrain.fusion.plan import Moment, Plan
from qmltrain.fusion.product_starts import split
from qmltrain.fusion.reductions.setting import Setting

# Multiply-adds of an amplitude in the cpu engine: a complex product to write it and two to contract the bra; a rotation
# forward and back on psi and the bra; v (of a real gate run, half); a diagonal forward and back, with w. Of real states
# a number has one part: a product is a quarter of that, all else half.
START = 4 + 8
ROTATION, V, DIAGONAL = 2 + 4, 4, 4 + 8 + 2
# Of a unit of samples, in multiply-adds of its vectors: factors, tables and environments, whatever the state. Measured
# (4 to 12 qubits): below it the gates themselves are as fast.
FIXED = 1000
AS_MATRIX = 5  # circuits of so few qubits may run as one matrix, which has the first gates in it
LANES = 16  # samples of a unit, or qubits in the place of samples


def reduce(plan: Plan, circuit: Circuit, strings: tuple[PauliString, ...], setting: Setting) -> Plan:
    """The plan with its mark, where the start saves more than it costs."""
    vectors = min(setting.samples, LANES) / LANES * (1 << plan.n_qubits)
    worth = plan.n_qubits > AS_MATRIX and vectors * _saved(plan) > FIXED
    return replace(plan, product_start=worth)


def _saved(plan: Plan) -> int:
    """Multiply-adds of an amplitude. Rotations before the first diagonal are a product, if a real one, as it is: of
    these v alone is saved, and of per-sample ones, whose gradients are seldom wanted, nothing."""
    first = plan.moments[1].rotations if len(plan.moments) > 1 else ()
    saved = -_start(plan)
    for one in split(plan)[0]:
        gate_run = plan.gate_runs[one.rotation.gate_run]
        if one.rotation not in first:
            saved += ROTATION >> plan.real
        if gate_run.is_trainable and not gate_run.per_sample:
            saved += (V // 2 if gate_run.real else V) >> plan.real
    return saved


def _start(plan: Plan) -> int:
    return START // 4 if plan.real else START


def line(plan: Plan) -> str:
    """What it does to this plan."""
    if plan.amplitude_encoded:
        return "does not apply: samples are amplitudes"
    start, rest = split(plan)
    what = f"{len(start)} of {len(plan.gate_runs)} rotations come before anything entangles"
    if not plan.product_start:
        return f"left out: {what}, too few to save time"
    saved, left = _saved(plan), _start(plan) + sum(_cost(moment) >> plan.real for moment in rest.moments)
    return f"{what}: one product state, {100 * saved / (saved + left):.0f} % fewer multiply-adds"


def _cost(moment: Moment) -> int:
    return (ROTATION + V) * len(moment.rotations) + DIAGONAL * (moment.diagonal is not None)
