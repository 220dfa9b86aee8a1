"""Values for a Plan: slot values to the angles of R and D, and measured sums back to slot gradients.

Every plan engine may share this. All host arithmetic is float64 and vectorised over runs that have the same
sequence of axes ("xyz" for an HEA), so that a step of 20,000 runs takes milliseconds.

A run's unitary is kept as a quaternion (w, x, y, z) = w - i (x X + y Y + z Z). Its gradient comes from three real
numbers taken right after its R (before RZ(gamma)):

    v = (Im <lambda|X|psi>, Im <lambda|Y|psi>, Im <lambda|Z|psi>),   d/d(angle_k) = axis_k . v,

with axis_k the Pauli axis of rotation k carried to that point by the gates between (an SO(3) rotation; no Euler
angles, hence no singularity).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qmltrain.engines.protocol import FloatArray
from qmltrain.fusion.plan import AffineAngle, Diagonal, Plan, RunAngle, Term

IntArray = NDArray[np.int64]
_AXIS = {"x": 0, "y": 1, "z": 2}


@dataclass(frozen=True)
class RunAngles:
    """U = RZ(gamma) RY(beta) RZ(alpha) for each run; zero in the places of per-sample runs."""

    alpha: FloatArray
    beta: FloatArray
    gamma: FloatArray


@dataclass(frozen=True)
class _Group:
    """Shared runs with one sequence of axes: (runs,) numbers, (runs, k) affine angles, k rotations each."""

    axes: tuple[int, ...]
    runs: IntArray
    slots: IntArray  # into shared_S followed by one zero
    coefficients: FloatArray
    offsets: FloatArray
    real: bool


@dataclass(frozen=True)
class TermTable:
    """Terms of one D as arrays: angle = coefficient * sources[source] + offset, the sign included.

    `sources` are shared_S, then alpha, then gamma of all runs, then one zero - or, for per-sample terms, the
    columns of per_sample_BS. `gradient_rows` are rows of the raw sums (shared slot terms only, else -1).
    """

    masks: IntArray
    source: IntArray
    coefficients: FloatArray
    offsets: FloatArray
    gradient_rows: IntArray


class Preparation:
    """Index arrays of a plan, made once; `n_raw` raw sums: 3 a shared run (v), then 1 a shared slot term of a D."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.n_runs = len(plan.runs)
        self.groups = self._group_runs()
        per_sample = [(i, run.rotations[0].angle) for i, run in enumerate(plan.runs) if run.per_sample]
        self.per_sample_runs = np.array([i for i, _ in per_sample], dtype=np.int64)
        self.per_sample_slots = np.array([a.slot for _, a in per_sample], dtype=np.int64)
        self.per_sample_coefficients = np.array([a.coefficient for _, a in per_sample])
        self.per_sample_offsets = np.array([a.offset for _, a in per_sample])
        self.per_sample_position = {int(run): k for k, run in enumerate(self.per_sample_runs)}
        self.n_raw = 3 * self.n_runs
        self._slot_rows: list[tuple[int, int, float]] = []  # raw row, slot, factor
        self.shared_terms: dict[int, TermTable] = {}  # by layer of the D
        self.per_sample_terms: dict[int, TermTable] = {}
        for one in plan.passes:
            for operation in one.operations:
                if isinstance(operation, Diagonal):
                    self.shared_terms[operation.layer] = self._shared_table(operation.shared)
                    self.per_sample_terms[operation.layer] = _per_sample_table(operation.per_sample)
        rows = self._slot_rows
        self._term_rows = np.array([r for r, _, _ in rows], dtype=np.int64)
        self._term_slots = np.array([s for _, s, _ in rows], dtype=np.int64)
        self._term_factors = np.array([f for _, _, f in rows])

    def _group_runs(self) -> list[_Group]:
        by_axes: dict[tuple[tuple[int, ...], bool], list[int]] = {}
        for number, run in enumerate(self.plan.runs):
            if not run.per_sample:
                axes = tuple(_AXIS[rotation.axis] for rotation in run.rotations)
                by_axes.setdefault((axes, run.real), []).append(number)
        zero = self.plan.n_shared_slots
        groups = []
        for (axes, real), numbers in by_axes.items():
            angles = [[rotation.angle for rotation in self.plan.runs[i].rotations] for i in numbers]
            slots = [[zero if a.slot is None else a.slot for a in row] for row in angles]
            groups.append(
                _Group(
                    axes,
                    np.array(numbers, dtype=np.int64),
                    np.array(slots, dtype=np.int64),
                    np.array([[a.coefficient for a in row] for row in angles]),
                    np.array([[a.offset for a in row] for row in angles]),
                    real,
                )
            )
        return groups

    def _shared_table(self, terms: tuple[Term, ...]) -> TermTable:
        slots, runs = self.plan.n_shared_slots, self.n_runs
        zero = slots + 2 * runs
        source, coefficients, offsets, gradient_rows = [], [], [], []
        for term in terms:
            angle, row = term.angle, -1
            if isinstance(angle, RunAngle):
                source.append(slots + angle.run + (runs if angle.which == "gamma" else 0))
                coefficients.append(float(term.sign))
                offsets.append(0.0)
            else:
                source.append(zero if angle.slot is None else angle.slot)
                coefficients.append(term.sign * angle.coefficient)
                offsets.append(term.sign * angle.offset)
                if angle.slot is not None:
                    row = self.n_raw
                    self._slot_rows.append((row, angle.slot, term.sign * angle.coefficient))
                    self.n_raw += 1
            gradient_rows.append(row)
        return _table(terms, source, coefficients, offsets, gradient_rows)

    def run_angles(self, shared_S: FloatArray) -> RunAngles:
        """alpha, beta, gamma of every shared run."""
        alpha, beta, gamma = (np.zeros(self.n_runs) for _ in range(3))
        values = np.append(shared_S, 0.0)
        for group in self.groups:
            angles = group.coefficients * values[group.slots] + group.offsets
            if group.real:
                beta[group.runs] = angles.sum(axis=1)
                continue
            w, x, y, z = _product(group.axes, angles)
            half_sum, half_difference = np.arctan2(z, w), np.arctan2(x, y)
            alpha[group.runs] = half_sum + half_difference
            beta[group.runs] = 2 * np.arctan2(np.hypot(x, y), np.hypot(w, z))
            gamma[group.runs] = half_sum - half_difference
        return RunAngles(alpha, beta, gamma)

    def per_sample_beta(self, per_sample_BS: FloatArray) -> FloatArray:
        """(B, per-sample runs) angles of the per-sample R's, in the order of `per_sample_runs`."""
        return self.per_sample_coefficients * per_sample_BS[:, self.per_sample_slots] + self.per_sample_offsets

    def sources(self, shared_S: FloatArray, angles: RunAngles) -> FloatArray:
        """What the shared `TermTable`s index."""
        return np.concatenate([shared_S, angles.alpha, angles.gamma, [0.0]])

    def slot_gradient(self, raw_R: FloatArray, shared_S: FloatArray) -> FloatArray:
        """Raw sums (n_raw,) or (B, n_raw) -> gradients of the shared slots (S,) or (B, S)."""
        if raw_R.ndim == 2:
            return np.stack([self.slot_gradient(row, shared_S) for row in raw_R])
        slots = len(shared_S)
        values = np.append(shared_S, 0.0)
        of_terms = self._term_factors * raw_R[self._term_rows]
        gradient: FloatArray = np.bincount(self._term_slots, of_terms, minlength=slots).astype(np.float64)
        v_R3 = raw_R[: 3 * self.n_runs].reshape(self.n_runs, 3)
        for group in self.groups:
            angles = group.coefficients * values[group.slots] + group.offsets
            along = _along_axes(group, angles, v_R3[group.runs]) * group.coefficients
            gradient = gradient + np.bincount(group.slots.ravel(), along.ravel(), minlength=slots + 1)[:slots]
        return gradient


def _per_sample_table(terms: tuple[Term, ...]) -> TermTable:
    source, coefficients, offsets = [], [], []
    for term in terms:
        angle = term.angle
        assert isinstance(angle, AffineAngle) and angle.slot is not None, "per-sample terms carry a slot"
        source.append(angle.slot)
        coefficients.append(term.sign * angle.coefficient)
        offsets.append(term.sign * angle.offset)
    return _table(terms, source, coefficients, offsets, [-1] * len(terms))


def _table(
    terms: tuple[Term, ...],
    source: Sequence[int],
    coefficients: Sequence[float],
    offsets: Sequence[float],
    gradient_rows: Sequence[int],
) -> TermTable:
    return TermTable(
        np.array([term.mask for term in terms], dtype=np.int64),
        np.array(source, dtype=np.int64),
        np.array(coefficients, dtype=np.float64),
        np.array(offsets, dtype=np.float64),
        np.array(gradient_rows, dtype=np.int64),
    )


Quaternion = tuple[FloatArray, FloatArray, FloatArray, FloatArray]


def _rotation(axis: int, angle: FloatArray) -> Quaternion:
    parts = [np.cos(angle / 2), *(np.zeros_like(angle) for _ in range(3))]
    parts[1 + axis] = np.sin(angle / 2)
    return parts[0], parts[1], parts[2], parts[3]


def _multiply(a: Quaternion, b: Quaternion) -> Quaternion:
    """a after b."""
    aw, ax, ay, az = a
    bw, bx, by, bz = b
    return (
        aw * bw - ax * bx - ay * by - az * bz,
        aw * bx + ax * bw + ay * bz - az * by,
        aw * by + ay * bw + az * bx - ax * bz,
        aw * bz + az * bw + ax * by - ay * bx,
    )


def _product(axes: tuple[int, ...], angles: FloatArray) -> Quaternion:
    """The run's unitary: rotations in time order, columns of `angles`."""
    total = _rotation(axes[0], angles[:, 0])
    for k in range(1, len(axes)):
        total = _multiply(_rotation(axes[k], angles[:, k]), total)
    return total


def _along_axes(group: _Group, angles: FloatArray, v_R3: FloatArray) -> FloatArray:
    """(runs, k): axis_k . v for each rotation of each run.

    With W_k the rotations k, k+1, ... of the run, P_k stands as RZ(-gamma) W_k P_k W_k^dagger RZ(gamma) at the
    point where v was taken; so rotate v the other way, once per rotation, going back in time.
    """
    result = np.empty_like(angles)
    if group.real:
        result[:] = v_R3[:, 1:2]
        return result
    w, x, y, z = _product(group.axes, angles)
    gamma = np.arctan2(z, w) - np.arctan2(x, y)
    v = _rotate(2, gamma, v_R3)  # v right after the run's last gate
    for k in range(len(group.axes) - 1, -1, -1):
        axis = group.axes[k]
        result[:, k] = v[:, axis]  # a rotation commutes with its own generator
        if k:
            v = _rotate(axis, -angles[:, k], v)
    return result


def _rotate(axis: int, angle: FloatArray, v_R3: FloatArray) -> FloatArray:
    """`v_R3` turned by `angle` about `axis`, right-handed: what v becomes when the rotation is applied to both
    psi and lambda."""
    i, j = (axis + 1) % 3, (axis + 2) % 3
    c, s = np.cos(angle), np.sin(angle)
    turned = v_R3.copy()
    turned[:, i] = c * v_R3[:, i] - s * v_R3[:, j]
    turned[:, j] = s * v_R3[:, i] + c * v_R3[:, j]
    return turned
