"""Values for a Plan: slot values to the angles of R and D, and measured sums back to slot gradients.

Every plan engine may share this; the CPU engine has the same in C++ (kernels/cpu/host/gate_runs.cpp), and the reference
judges both. All host arithmetic is float64 and vectorised over gate runs that have the same sequence of axes ("xyz" for
an HEA), so that a step of 20,000 gate runs takes milliseconds.

A gate run's unitary is kept as a quaternion (w, x, y, z) = w - i (x X + y Y + z Z). Its gradient comes from three real
numbers taken right after its R (before RZ(gamma)):

    v = (Im <bra|X|psi>, Im <bra|Y|psi>, Im <bra|Z|psi>),   d/d(angle_k) = axis_k . v,

with axis_k the Pauli axis of rotation k carried to that point by the gates between (an SO(3) rotation; no Euler
angles, hence no singularity).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qmltrain.engines.protocol import FloatArray
from qmltrain.fusion.plan import EulerAngle, GateRun, Plan, Term

IntArray = NDArray[np.int64]
_AXIS = {"x": 0, "y": 1, "z": 2}


@dataclass(frozen=True)
class _Group:
    """Shared gate runs with one sequence of axes: (Q,) numbers, (k, Q) affine angles, k rotations each."""

    axes: tuple[int, ...]
    gate_runs: IntArray
    slots: IntArray  # into shared_S followed by one zero
    coefficients: FloatArray
    offsets: FloatArray
    real: bool


@dataclass(frozen=True)
class _Composed:
    """A group at given angles: cos and sin of half of each (k, Q), the unitaries (4, Q) as quaternions, and gamma (Q,)
    of each gate run."""

    cosine: FloatArray
    sine: FloatArray
    quaternion: FloatArray
    gamma: FloatArray

    @property
    def alpha(self) -> FloatArray:
        w, _, _, z = self.quaternion
        return np.asarray(2 * np.arctan2(z, w) - self.gamma)

    @property
    def beta(self) -> FloatArray:
        w, x, y, z = self.quaternion
        return np.asarray(2 * np.arctan2(np.sqrt(x * x + y * y), np.sqrt(w * w + z * z)))


@dataclass(frozen=True)
class SharedAngles:
    """The shared angles of a step: the slots, and U = RZ(gamma) RY(beta) RZ(alpha) of each gate run (zeros for
    per-sample ones). `sources` is what the shared `TermTable`s index; `composed` has an entry per group, None where it
    is real."""

    shared_S: FloatArray
    alpha: FloatArray
    beta: FloatArray
    gamma: FloatArray
    sources: FloatArray
    composed: tuple[_Composed | None, ...]


@dataclass(frozen=True)
class SampleRun:
    """A per-sample gate run of k rotations. `columns` (k,) of its angles in per_sample_BS, shared_S and a zero side by
    side; `raw_rows` (k,) of its shared angles among the raw sums, else -1. `position`: its number among such runs."""

    position: int
    axes: tuple[int, ...]
    columns: IntArray
    coefficients: FloatArray
    offsets: FloatArray
    raw_rows: IntArray
    real: bool


@dataclass(frozen=True)
class SampleAngles:
    """Beta of every per-sample gate run (B, Q), and what the per-sample `TermTable`s index: per_sample_BS, alpha_BQ,
    gamma_BQ side by side. `composed` has an entry per run, None where it is real."""

    beta_BQ: FloatArray
    sources: FloatArray
    composed: tuple[_Composed | None, ...]


@dataclass(frozen=True)
class TermTable:
    """Terms of one D as arrays: angle = coefficient * sources[source] + offset, the sign included.

    `sources` are shared_S, then alpha, then gamma of all gate runs, then one zero - or, for per-sample terms, those of
    `SampleAngles`. `gradient_rows` are rows of the raw sums (shared slot terms only, else -1). `slots`: columns of
    per_sample_BS, -1 for alpha and gamma (per-sample terms only).
    """

    masks: IntArray
    source: IntArray
    coefficients: FloatArray
    offsets: FloatArray
    gradient_rows: IntArray
    slots: IntArray


class PlanValues:
    """Index arrays of a plan, made once; `n_raw` raw sums: 3 per gate run (v), then 1 per shared slot term of a D, then
    1 per shared angle of a per-sample gate run."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.n_gate_runs = len(plan.gate_runs)
        self.groups = self._groups()
        per_sample = [number for number, one in enumerate(plan.gate_runs) if one.per_sample]
        position = {number: k for k, number in enumerate(per_sample)}
        self.n_raw = 3 * self.n_gate_runs
        self._slot_rows: list[tuple[int, int, float]] = []  # raw row, slot, factor
        self.shared_terms: dict[int, TermTable] = {}  # by moment of the D
        self.per_sample_terms: dict[int, TermTable] = {}
        for diagonal in (moment.diagonal for moment in plan.moments):
            if diagonal is not None:
                self.shared_terms[diagonal.moment] = self._shared_table(diagonal.shared)
                self.per_sample_terms[diagonal.moment] = self._per_sample_table(diagonal.per_sample, position)
        self.sample_runs = {number: self._sample_run(k, plan.gate_runs[number]) for number, k in position.items()}
        rows = self._slot_rows
        self._term_rows = np.array([r for r, _, _ in rows], dtype=np.int64)
        self._term_slots = np.array([s for _, s, _ in rows], dtype=np.int64)
        self._term_factors = np.array([f for _, _, f in rows])

    def _groups(self) -> list[_Group]:
        by_axes: dict[tuple[tuple[int, ...], bool], list[int]] = {}
        for number, one in enumerate(self.plan.gate_runs):
            if not one.per_sample:
                axes = tuple(_AXIS[rotation.axis] for rotation in one.rotations)
                by_axes.setdefault((axes, one.real), []).append(number)
        zero = self.plan.n_shared_slots
        groups = []
        for (axes, real), numbers in by_axes.items():
            angles = [[rotation.angle for rotation in self.plan.gate_runs[i].rotations] for i in numbers]
            slots = [[zero if a.slot is None else a.slot for a in row] for row in angles]
            groups.append(
                _Group(
                    axes,
                    np.array(numbers, dtype=np.int64),
                    np.ascontiguousarray(np.array(slots, dtype=np.int64).T),
                    np.array([[a.coefficient for a in row] for row in angles]).T.copy(),
                    np.array([[a.offset for a in row] for row in angles]).T.copy(),
                    real,
                )
            )
        return groups

    def _shared_table(self, terms: tuple[Term, ...]) -> TermTable:
        slots, gate_runs = self.plan.n_shared_slots, self.n_gate_runs
        zero = slots + 2 * gate_runs
        source, coefficients, offsets, gradient_rows = [], [], [], []
        for term in terms:
            angle, row = term.angle, -1
            if isinstance(angle, EulerAngle):
                source.append(slots + angle.gate_run + (gate_runs if angle.which == "gamma" else 0))
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
        return _table(terms, source, coefficients, offsets, gradient_rows, [-1] * len(terms))

    def _per_sample_table(self, terms: tuple[Term, ...], position: dict[int, int]) -> TermTable:
        n_slots, count = self.plan.n_per_sample_slots, len(position)
        source, coefficients, offsets, slots = [], [], [], []
        for term in terms:
            angle = term.angle
            if isinstance(angle, EulerAngle):
                source.append(n_slots + position[angle.gate_run] + (count if angle.which == "gamma" else 0))
                coefficients.append(float(term.sign))
                offsets.append(0.0)
                slots.append(-1)
                continue
            assert angle.slot is not None, "per-sample terms carry a slot"
            source.append(angle.slot)
            coefficients.append(term.sign * angle.coefficient)
            offsets.append(term.sign * angle.offset)
            slots.append(angle.slot)
        return _table(terms, source, coefficients, offsets, [-1] * len(terms), slots)

    def shared_angles(self, shared_S: FloatArray) -> SharedAngles:
        """Everything that a step needs of its shared slots (S,)."""
        alpha, beta, gamma = (np.zeros(self.n_gate_runs) for _ in range(3))
        values = np.append(shared_S, 0.0)
        composed: list[_Composed | None] = []
        for group in self.groups:
            angles = group.coefficients * values[group.slots] + group.offsets
            if group.real:
                beta[group.gate_runs] = angles.sum(axis=0)
                composed.append(None)
                continue
            one = _compose(group.axes, angles)
            alpha[group.gate_runs], beta[group.gate_runs] = one.alpha, one.beta
            gamma[group.gate_runs] = one.gamma
            composed.append(one)
        sources = np.concatenate([shared_S, alpha, gamma, [0.0]])
        return SharedAngles(values[:-1], alpha, beta, gamma, sources, tuple(composed))

    def _sample_run(self, position: int, gate_run: GateRun) -> SampleRun:
        shared = self.plan.n_per_sample_slots
        columns, rows = [], []
        for angle in (rotation.angle for rotation in gate_run.rotations):
            row = -1
            if angle.slot is None:
                columns.append(shared + self.plan.n_shared_slots)
            elif angle.per_sample:
                columns.append(angle.slot)
            else:
                columns.append(shared + angle.slot)
                row = self.n_raw
                self._slot_rows.append((row, angle.slot, angle.coefficient))
                self.n_raw += 1
            rows.append(row)
        return SampleRun(
            position,
            tuple(_AXIS[rotation.axis] for rotation in gate_run.rotations),
            np.array(columns, dtype=np.int64),
            np.array([rotation.angle.coefficient for rotation in gate_run.rotations]),
            np.array([rotation.angle.offset for rotation in gate_run.rotations]),
            np.array(rows, dtype=np.int64),
            gate_run.real,
        )

    def sample_angles(self, per_sample_BS: FloatArray, shared: SharedAngles) -> SampleAngles:
        """Everything that a chunk needs of its per-sample slots (B, S')."""
        batch, count = len(per_sample_BS), len(self.sample_runs)
        alpha_BQ, beta_BQ, gamma_BQ = (np.zeros((batch, count)) for _ in range(3))
        rows = np.broadcast_to(np.append(shared.shared_S, 0.0), (batch, self.plan.n_shared_slots + 1))
        values = np.concatenate([per_sample_BS, rows], axis=1)
        composed: list[_Composed | None] = []
        for run in self.sample_runs.values():
            angles_kB = (run.coefficients * values[:, run.columns] + run.offsets).T
            if run.real:
                beta_BQ[:, run.position] = angles_kB.sum(axis=0)
                composed.append(None)
                continue
            one = _compose(run.axes, angles_kB)
            alpha_BQ[:, run.position], beta_BQ[:, run.position] = one.alpha, one.beta
            gamma_BQ[:, run.position] = one.gamma
            composed.append(one)
        return SampleAngles(beta_BQ, np.concatenate([per_sample_BS, alpha_BQ, gamma_BQ], axis=1), tuple(composed))

    def along_sample_run(self, run: SampleRun, angles: SampleAngles, v_3B: FloatArray) -> FloatArray:
        """(k, B): d energy / d angle of each rotation, from v of every sample."""
        return _along_axes(run.axes, angles.composed[run.position], v_3B)

    def slot_gradient(self, raw_R: FloatArray, angles: SharedAngles) -> FloatArray:
        """Raw sums (n_raw,) or (B, n_raw) -> gradients of the shared slots (S,) or (B, S)."""
        if raw_R.ndim == 2:
            return np.stack([self.slot_gradient(row, angles) for row in raw_R])
        slots = len(angles.shared_S)
        of_terms = self._term_factors * raw_R[self._term_rows]
        gradient: FloatArray = np.bincount(self._term_slots, of_terms, minlength=slots).astype(np.float64)
        v_3R = np.ascontiguousarray(raw_R[: 3 * self.n_gate_runs].reshape(self.n_gate_runs, 3).T)
        for group, composed in zip(self.groups, angles.composed, strict=True):
            along = _along_axes(group.axes, composed, v_3R[:, group.gate_runs]) * group.coefficients
            gradient = gradient + np.bincount(group.slots.ravel(), along.ravel(), minlength=slots + 1)[:slots]
        return gradient


def _table(
    terms: tuple[Term, ...],
    source: Sequence[int],
    coefficients: Sequence[float],
    offsets: Sequence[float],
    gradient_rows: Sequence[int],
    slots: Sequence[int],
) -> TermTable:
    return TermTable(
        np.array([term.mask for term in terms], dtype=np.int64),
        np.array(source, dtype=np.int64),
        np.array(coefficients, dtype=np.float64),
        np.array(offsets, dtype=np.float64),
        np.array(gradient_rows, dtype=np.int64),
        np.array(slots, dtype=np.int64),
    )


# rows of the quaternion that a rotation about an axis mixes, and with which sign: see _compose
_MIXED = (np.array([1, 0, 3, 2]), np.array([2, 3, 0, 1]), np.array([3, 2, 1, 0]))
_SIGN = tuple(np.array(signs)[:, None] for signs in ([-1.0, 1, -1, 1], [-1.0, 1, 1, -1], [-1.0, -1, 1, 1]))


def _compose(axes: tuple[int, ...], angles: FloatArray) -> _Composed:
    """The unitaries of gate runs: rotations in time order, rows of `angles` (k, Q).

    (c, s about an axis) after q is c q + s (axis q), and (axis q) is q with its rows permuted and signed.
    """
    half = 0.5 * angles
    cosine, sine = np.cos(half), np.sin(half)
    q = np.zeros((4, angles.shape[1]))
    q[0], q[1 + axes[0]] = cosine[0], sine[0]
    for k in range(1, len(axes)):
        mixed = q[_MIXED[axes[k]]]
        mixed *= _SIGN[axes[k]] * sine[k]
        q *= cosine[k]
        q += mixed
    w, x, y, z = q
    return _Composed(cosine, sine, q, np.arctan2(z, w) - np.arctan2(x, y))


def _along_axes(axes: tuple[int, ...], composed: _Composed | None, v_3R: FloatArray) -> FloatArray:
    """(k, Q): axis_k . v for each rotation of each gate run.

    With W_k the rotations k, k+1, ... of the gate run, P_k stands as RZ(-gamma) W_k P_k W_k^dagger RZ(gamma) at the
    point where v was taken; so rotate v the other way, once per rotation, going back in time.
    """
    if composed is None:  # y rotations alone
        return np.broadcast_to(v_3R[1], (len(axes), v_3R.shape[1]))
    result = np.empty_like(composed.cosine)
    v = _rotate(2, np.cos(composed.gamma), np.sin(composed.gamma), v_3R)  # v right after the last gate
    c, s = composed.cosine, composed.sine
    for k in range(len(axes) - 1, -1, -1):
        axis = axes[k]
        result[k] = v[axis]  # a rotation commutes with its own generator
        if k:
            v = _rotate(axis, 1 - 2 * s[k] * s[k], -2 * s[k] * c[k], v)
    return result


def _rotate(axis: int, cosine: FloatArray, sine: FloatArray, v_3R: FloatArray) -> FloatArray:
    """`v_3R` rotated about `axis`, right-handed: what v becomes when both psi and the bra are rotated."""
    i, j = (axis + 1) % 3, (axis + 2) % 3
    rotated = v_3R.copy()
    rotated[i] = cosine * v_3R[i] - sine * v_3R[j]
    rotated[j] = sine * v_3R[i] + cosine * v_3R[j]
    return rotated
