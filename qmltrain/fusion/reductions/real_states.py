"""Circuits whose states stay real: one plane of numbers instead of two.

RY is real, and so are CX, SWAP and X, which are bookkeeping. Of a circuit lowered with its rotations about z kept apart
from gate runs (`lower(circuit, real=True)`), runs are then about y alone, and what is left to look at are diagonals:

    D = exp(-i f(z)),   f(z) = 1/2 sum_S phi_S (-1)^parity(z & S).

D is a phase of the whole state times signs exactly where every difference of f is a multiple of pi, that is where in

    f(z) = f(0) + sum_T c_T prod_{i in T} z_i,   c_T = -(-2)^(|T| - 1) sum_{S >= T} phi_S,   T not empty,

every c_T is. If they are, all phi_S are multiples of some pi / 2^k (from the largest S down), and those T matter alone
that have at most k bits: CZ has k = 1, CCZ and what H and CCZ make of CCX k = 2.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import combinations
from math import pi

from qmltrain.circuit.circuit import Circuit
from qmltrain.circuit.observables import PauliString
from qmltrain.fusion.compile import physical_string, readout
from qmltrain.fusion.decompose import REAL_DECOMPOSITIONS
from qmltrain.fusion.lowering import lower
from qmltrain.fusion.plan import AffineAngle, Diagonal, Plan
from qmltrain.fusion.reductions.setting import Setting

MOST_HALVINGS = 6  # k: phases of pi / 64 are of gates with seven qubits
_EXACT = 1e-9  # of a phase in units of pi / 2^k: rounding of sums of constants
MOST_WORK = 1.6  # rotations and diagonals of the real plan, times those of the other, where it still pays


def reduce(plan: Plan, circuit: Circuit, strings: tuple[PauliString, ...], setting: Setting) -> Plan:
    """The real plan of `circuit`, else `plan`."""
    if not _may_be_real(plan, circuit):
        return plan
    lowered = lower(circuit, real=True)
    real = replace(
        plan,
        gate_runs=lowered.gate_runs,
        moments=lowered.moments,
        strings=tuple(physical_string(string, lowered.frame) for string in strings),
        readout=readout(lowered.frame),
    )
    if _obstacle(real) is not None or _work(real) > MOST_WORK * _work(plan):
        return plan
    return replace(real, real=True)


def line(plan: Plan) -> str:
    if plan.real:
        return "states stay real: half the memory, about half the time"
    instead = "matrices of shared blocks save more" if plan.shared_blocks else "more rotations than it saves"
    return f"no: {_obstacle(plan) or instead}"


def _may_be_real(plan: Plan, circuit: Circuit) -> bool:
    """Whether it is worth lowering the circuit again: what has a slot decides at once."""
    if any(gate.name in REAL_DECOMPOSITIONS for gate in circuit.gates):
        return True
    turned = any(r.axis != "y" and r.angle.slot is not None for run in plan.gate_runs for r in run.rotations)
    return not turned and not any(one.per_sample or one.has_gradient for one in _diagonals(plan))


def _obstacle(plan: Plan) -> str | None:
    """Why states are not real, None where they are."""
    if not all(run.real for run in plan.gate_runs):
        return "rotations about x or z"
    if any(one.per_sample or one.has_gradient for one in _diagonals(plan)):
        return "phases of an angle"
    if not all(map(is_signs, _diagonals(plan))):
        return "phases that are no signs"
    return None


def is_signs(diagonal: Diagonal) -> bool:
    """Whether a diagonal of constants is one phase times signs, see above."""
    phases: Counter[int] = Counter()  # by mask, units of pi / 2^MOST_HALVINGS
    for term in diagonal.shared:
        assert isinstance(term.angle, AffineAngle)
        units = term.sign * term.angle.offset / pi * 2**MOST_HALVINGS
        if abs(units - round(units)) > _EXACT * 2**MOST_HALVINGS:
            return False
        phases[term.mask] += round(units)
    sums: Counter[tuple[int, ...]] = Counter()  # by T
    halvings = max((MOST_HALVINGS - _twos(units) for units in phases.values()), default=0)
    for mask, units in phases.items():
        bits = [q for q in range(mask.bit_length()) if mask >> q & 1]
        for size in range(1, min(halvings, len(bits)) + 1):
            for of_mask in combinations(bits, size):
                sums[of_mask] += units << (size - 1)
    return not any(total % (1 << MOST_HALVINGS) for total in sums.values())


def _twos(units: int) -> int:
    """How often 2 divides it, at most MOST_HALVINGS times."""
    return min(MOST_HALVINGS, (units & -units).bit_length() - 1) if units else MOST_HALVINGS


def _diagonals(plan: Plan) -> list[Diagonal]:
    return [moment.diagonal for moment in plan.moments if moment.diagonal is not None]


def _work(plan: Plan) -> int:
    return 1 + len(plan.gate_runs) + len(_diagonals(plan))
