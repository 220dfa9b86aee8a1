"""A Plan and its passes as flat arrays for the C++ side (kernels/cpu/host/plan.hpp holds the same columns)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qmltrain.fusion.passes import Pass
from qmltrain.fusion.plan import AffineAngle, Diagonal, EulerAngle, Plan, Rotation, Term
from qmltrain.fusion.product_starts import StartRotation

_AXIS = {"x": 0, "y": 1, "z": 2}
_CONSTANT, _SLOT, _ALPHA, _GAMMA, _SAMPLE_SLOT = range(5)


def plan_data(
    extension: ModuleType | Any, plan: Plan, schedule: Sequence[Pass], start: Sequence[StartRotation] = ()
) -> Any:
    """The extension's PlanData."""
    basis: list[int] = []
    passes: list[tuple[int, int, int, int]] = []
    operations: list[tuple[int, int, int, int, int]] = []
    rotations: list[Rotation] = []
    terms: list[Term] = []
    for one in schedule:
        passes.append((len(basis), len(one.basis), len(operations), len(one.operations)))
        basis.extend(one.basis)
        for operation in one.operations:
            if isinstance(operation, Diagonal):
                first, sample_first = len(terms), len(terms) + len(operation.shared)
                terms.extend(operation.shared)
                terms.extend(operation.per_sample)
                counts = len(operation.shared), sample_first, len(operation.per_sample)
                operations.append((1, first, *counts))
            else:
                operations.append((0, len(rotations), len(operation.rotations), 0, 0))
                rotations.extend(operation.rotations)
    start_rows: list[tuple[int, ...]] = []
    for rotation in start:
        first, sample_first = len(terms), len(terms) + len(rotation.shared)
        terms.extend((*rotation.shared, *rotation.per_sample))
        counts = len(rotation.shared), sample_first, len(rotation.per_sample)
        start_rows.append((rotation.bit, rotation.rotation.gate_run, rotation.rotation.flip, first, *counts))
    angles = list(chain.from_iterable(one.rotations for one in plan.gate_runs))
    starts = np.cumsum([0] + [len(one.rotations) for one in plan.gate_runs])
    return extension.plan_data(
        plan.n_qubits,
        plan.amplitude_encoded,
        plan.real,
        plan.n_shared_slots,
        plan.n_per_sample_slots,
        plan.sample_angles,
        _integers([(r.per_sample, r.real, starts[i], len(r.rotations)) for i, r in enumerate(plan.gate_runs)], 4),
        _integers(
            [(_AXIS[r.axis], -1 if r.angle.slot is None else r.angle.slot, r.angle.per_sample) for r in angles], 3
        ),
        _numbers([(r.angle.coefficient, r.angle.offset) for r in angles]),
        _integers(passes, 4),
        _integers([(mask,) for mask in basis], 1),
        _integers(operations, 5),
        _integers([(r.gate_run, r.pair_mask, r.parity_mask, r.flip) for r in rotations], 4),
        _integers([(term.mask, term.sign, *_source(term)) for term in terms], 4),
        _numbers([_coefficients(term) for term in terms]),
        _integers([(s.x_mask, s.z_mask, s.sign, s.n_y) for s in plan.strings], 4),
        _integers(start_rows, 7),
    )


def _source(term: Term) -> tuple[int, int]:
    angle = term.angle
    if isinstance(angle, EulerAngle):
        return (_ALPHA if angle.which == "alpha" else _GAMMA), angle.gate_run
    if angle.slot is None:
        return _CONSTANT, 0
    return (_SAMPLE_SLOT if angle.per_sample else _SLOT), angle.slot


def _coefficients(term: Term) -> tuple[float, float]:
    angle = term.angle
    return (angle.coefficient, angle.offset) if isinstance(angle, AffineAngle) else (1.0, 0.0)


def _integers(rows: Sequence[Sequence[int]], columns: int) -> NDArray[np.int64]:
    return np.array(rows, dtype=np.int64).reshape(-1, columns)


def _numbers(rows: Sequence[Sequence[float]]) -> NDArray[np.float64]:
    return np.array(rows, dtype=np.float64).reshape(-1, 2)
