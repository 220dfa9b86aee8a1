"""Plan: a circuit in normal form, rotations R and diagonals D in moments.

A Plan is structure only: it is made once for a circuit and depends on no angle's value, no engine and no tile. All
masks are in *physical* address bits: CX, X and SWAP were absorbed into them (`qmltrain.fusion.frame`), so that

* a rotation acts on the pairs of addresses ``z`` and ``z ^ pair_mask``; the qubit's bit at z is
  ``parity(z & parity_mask) ^ flip``, and ``parity(pair_mask & parity_mask) == 1``;
* a phase term is ``exp(-i/2 * sign * angle * Z_mask)`` with ``Z_mask = (-1) ** parity(z & mask)``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from qmltrain.gf2 import parity

Axis = Literal["x", "y", "z"]


@dataclass(frozen=True, slots=True)
class AffineAngle:
    """``coefficient * slot + offset`` in radians; `slot` None is the constant `offset`."""

    slot: int | None
    per_sample: bool
    coefficient: float
    offset: float


@dataclass(frozen=True, slots=True)
class AxisRotation:
    """One gate of a gate run: exp(-i angle P / 2), P the Pauli of `axis` on the run's qubit."""

    axis: Axis
    angle: AffineAngle


@dataclass(frozen=True, slots=True)
class GateRun:
    """Consecutive one-qubit gates, in time order, multiplied to U = RZ(gamma) RY(beta) RZ(alpha) up to a phase.

    A shared gate run holds any rotations of shared or constant angles. A per-sample one holds exactly one rotation,
    about y: beta is its angle, alpha and gamma are zero; where the plan has `sample_angles`, it may hold any rotations
    of per-sample, shared or constant angles. `real` (only y rotations): alpha and gamma are zero whatever the angles,
    and no term of them is in the plan.
    """

    qubit: int
    rotations: tuple[AxisRotation, ...]
    per_sample: bool
    real: bool

    @property
    def is_trainable(self) -> bool:
        """Whether any angle has a slot, so that its gradient is wanted."""
        return any(rotation.angle.slot is not None for rotation in self.rotations)

    @property
    def needs_v_z(self) -> bool:
        """v_z is wanted for trainable gate runs that are not real."""
        return self.is_trainable and not self.real


@dataclass(frozen=True, slots=True)
class Rotation:
    """R: RY(beta of gate run `gate_run`) on the pairs (z, z ^ pair_mask)."""

    gate_run: int
    pair_mask: int
    parity_mask: int
    flip: bool

    def commutes_with(self, other: Rotation) -> bool:
        """Whether their Pauli operators X^pair_mask Z^parity_mask commute."""
        return parity(self.pair_mask & other.parity_mask) == parity(other.pair_mask & self.parity_mask)

    def fits_beside(self, other: Rotation) -> bool:
        """Whether the pairs of neither flip the bit of the other: only such rotations share a moment."""
        return not (parity(self.pair_mask & other.parity_mask) or parity(other.pair_mask & self.parity_mask))


@dataclass(frozen=True, slots=True)
class EulerAngle:
    """alpha (before the R) or gamma (after it) of gate run `gate_run`; per-sample where the run is."""

    gate_run: int
    which: Literal["alpha", "gamma"]


@dataclass(frozen=True, slots=True)
class Term:
    """``exp(-i/2 * sign * angle * Z_mask)``; constants with one mask are merged into one term."""

    mask: int
    sign: int
    angle: AffineAngle | EulerAngle

    @property
    def has_gradient(self) -> bool:
        """Whether it carries a slot of its own (alpha and gamma get their gradients through v)."""
        return isinstance(self.angle, AffineAngle) and self.angle.slot is not None


@dataclass(frozen=True, slots=True)
class Diagonal:
    """D of moment `moment`: its shared part (one table for the batch) and its per-sample part kept apart."""

    moment: int
    shared: tuple[Term, ...]
    per_sample: tuple[Term, ...]

    @property
    def has_gradient(self) -> bool:
        return any(term.has_gradient for term in (*self.shared, *self.per_sample))


@dataclass(frozen=True, slots=True)
class Moment:
    """Rotations that commute, then one diagonal, if any. ``parity(a.pair_mask & b.parity_mask)`` of two of the
    rotations is 1 for a = b, else 0."""

    rotations: tuple[Rotation, ...]
    diagonal: Diagonal | None


@dataclass(frozen=True, slots=True)
class PhysicalString:
    """A Pauli string of the observables in the final physical frame: maps z to ``z ^ x_mask`` with the phase
    ``sign * i ** n_y * (-1) ** parity(z & z_mask)`` applied at the source address z.
    """

    x_mask: int
    z_mask: int
    sign: int
    n_y: int


@dataclass(frozen=True, slots=True)
class Readout:
    """Where the final state's basis states lie: the one of index i at `start` ^ (masks[q] of every bit q of i)."""

    start: int
    masks: tuple[int, ...]

    def addresses(self) -> NDArray[np.int64]:
        """(N,) of each index."""
        found = np.array([self.start], dtype=np.int64)
        for mask in self.masks:
            found = np.concatenate([found, found ^ mask])
        return found


@dataclass(frozen=True, slots=True)
class SharedBlock:
    """Operations `first` to `last` - 1 of `qmltrain.fusion.stretches.whole_pass`, all angles shared: one matrix.
    `gain`: how many times as fast they are so, as predicted."""

    first: int
    last: int
    gain: float


@dataclass(frozen=True)
class Plan:
    """`moments[0]` has no rotations: its diagonal, if any, precedes all. `strings[k]` is the physical form of the
    observables' string k; without any it is the final states that are wanted, in the order of `readout`, so that a
    last diagonal counts, too.

    `product_start`: engines that can may take the one-qubit gates before anything entangles as the start
    (`qmltrain.fusion.product_starts`). `shared_blocks`: what an engine may execute as matrices, in order, and then
    there is no such start; None where nobody chose: an engine may then have a rule of its own. `sample_angles`: gate
    runs with per-sample angles may be merged, and engines may take what is faster for them but rounds differently
    (`qmltrain.fusion.reductions.sample_angles`). `real`: from a real start all states stay real but for one phase,
    which no one sees: gate runs are real, and every diagonal is that phase times signs. An engine may then do without
    imaginary parts; strings of an odd number of Y are 0.
    """

    n_qubits: int
    amplitude_encoded: bool
    gate_runs: tuple[GateRun, ...]
    moments: tuple[Moment, ...]
    strings: tuple[PhysicalString, ...]
    readout: Readout
    n_shared_slots: int
    n_per_sample_slots: int
    product_start: bool = False
    shared_blocks: tuple[SharedBlock, ...] | None = None
    sample_angles: bool = False
    real: bool = False

    @property
    def depth(self) -> int:
        """How many moments have rotations."""
        return len(self.moments) - 1
