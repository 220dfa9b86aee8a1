"""Stretches of a plan whose angles are all shared: where they are, in the order of a pass over the whole state.

A stretch is one matrix, the same for all samples. `Plan.shared_blocks` names ranges of `operations(plan)`; what chooses
them is `qmltrain.fusion.reductions.shared_blocks`, what makes matrices of them an engine.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import groupby

from qmltrain.fusion.passes import Operation, Pass, Rotations
from qmltrain.fusion.plan import Diagonal, Plan


def whole_pass(plan: Plan) -> Pass:
    """All operations over the state as one tile; shared and per-sample terms of a diagonal are two diagonals."""
    operations: list[Operation] = []
    for moment in plan.moments:
        if moment.rotations:
            operations.append(Rotations(moment.rotations))
        if (one := moment.diagonal) is not None:
            operations += [replace(one, per_sample=())] * bool(one.shared)
            operations += [replace(one, shared=())] * bool(one.per_sample)
    return Pass(tuple(1 << q for q in range(plan.n_qubits)), tuple(operations))


def shared_stretches(plan: Plan) -> tuple[tuple[int, int], ...]:
    """Ranges (first, after the last) of the operations of `whole_pass(plan)`, as long as can be.

    v_z of a rotation is taken at the diagonal of its moment, so the two are not parted. A last diagonal that commutes
    with what is measured is in none: it is not executed at all.
    """
    operations = whole_pass(plan).operations
    is_shared: list[bool] = []
    for operation in operations:
        if isinstance(operation, Rotations):
            is_shared.append(not any(plan.gate_runs[r.gate_run].per_sample for r in operation.rotations))
            continue
        with_rotations = bool(is_shared) and isinstance(operations[len(is_shared) - 1], Rotations)
        parted = with_rotations and not is_shared[-1] and _needs_v_z(plan, operations[len(is_shared) - 1])
        is_shared.append(not operation.per_sample and not parted)
    diagonal_strings = bool(plan.strings) and not any(string.x_mask for string in plan.strings)
    if operations and isinstance(operations[-1], Diagonal) and diagonal_strings:
        is_shared[-1] = False
    found, at = [], 0
    for shared, group in groupby(is_shared):
        count = len(list(group))
        if shared:
            found.append((at, at + count))
        at += count
    return tuple(found)


def _needs_v_z(plan: Plan, operation: Operation) -> bool:
    return isinstance(operation, Rotations) and any(plan.gate_runs[r.gate_run].needs_v_z for r in operation.rotations)
