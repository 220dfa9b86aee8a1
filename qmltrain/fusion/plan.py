"""Plan: a circuit in normal form (real rotations R, diagonal phases D), grouped into passes over memory.

A Plan is structure only: it is made once for a circuit and depends on no angle's value. All masks are in
*physical* address bits: CX, X and SWAP were absorbed into them (`qmltrain.fusion.frame`), so that

* a rotation acts on the pairs of addresses ``z`` and ``z ^ pair_mask``; the qubit's bit at z is
  ``parity(z & parity_mask) ^ flip``, and ``parity(pair_mask & parity_mask) == 1``;
* a phase term is ``exp(-i/2 * sign * angle * Z_mask)`` with ``Z_mask = (-1) ** parity(z & mask)``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from qmltrain.circuit.observables import PauliString
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
class RunRotation:
    """One gate of a run: exp(-i angle P / 2), P the Pauli of `axis` on the run's qubit."""

    axis: Axis
    angle: AffineAngle


@dataclass(frozen=True, slots=True)
class Run:
    """Consecutive one-qubit gates, in time order, multiplied to U = RZ(gamma) RY(beta) RZ(alpha) up to a phase.

    A shared run holds any rotations of shared or constant angles. A per-sample run holds exactly one rotation,
    about y: beta is its angle, alpha and gamma are zero. `real` (only y rotations): alpha and gamma are zero
    whatever the angles, and no term of them is in the plan.
    """

    qubit: int
    rotations: tuple[RunRotation, ...]
    per_sample: bool
    real: bool


@dataclass(frozen=True, slots=True)
class Rotation:
    """R: RY(beta of run `run`) on the pairs (z, z ^ pair_mask)."""

    run: int
    pair_mask: int
    parity_mask: int
    flip: bool

    def commutes_with(self, other: Rotation) -> bool:
        """Whether their Pauli operators X^pair_mask Z^parity_mask commute."""
        return parity(self.pair_mask & other.parity_mask) == parity(other.pair_mask & self.parity_mask)

    def fits_beside(self, other: Rotation) -> bool:
        """Whether the pairs of neither flip the bit of the other: only such rotations share a step."""
        return not (parity(self.pair_mask & other.parity_mask) or parity(other.pair_mask & self.parity_mask))


@dataclass(frozen=True, slots=True)
class RunAngle:
    """alpha (before the R) or gamma (after it) of shared run `run`."""

    run: int
    which: Literal["alpha", "gamma"]


@dataclass(frozen=True, slots=True)
class Term:
    """``exp(-i/2 * sign * angle * Z_mask)``; constants with one mask are merged into one term."""

    mask: int
    sign: int
    angle: AffineAngle | RunAngle


@dataclass(frozen=True, slots=True)
class Rotations:
    """Rotations of one step that commute: ``parity(a.pair_mask & b.parity_mask)`` is 1 for a = b and else 0."""

    rotations: tuple[Rotation, ...]


@dataclass(frozen=True, slots=True)
class Diagonal:
    """D: one diagonal, its shared part (one table for the batch) and its per-sample part kept apart.

    `layer` counts the D-to-D steps of the plan from 0; D `layer` follows the rotations of step `layer`
    (the D with layer 0 precedes all rotations).
    """

    layer: int
    shared: tuple[Term, ...]
    per_sample: tuple[Term, ...]


Operation = Rotations | Diagonal


@dataclass(frozen=True, slots=True)
class Pass:
    """One sweep over memory: every tile (coset of the span of `basis`) is loaded, worked on and stored once.

    `basis` are linearly independent address masks; the low address bits 1, 2, ... 2^(low_bits-1) come first.
    Every pair_mask of the pass lies in the span. A circuit whose state is one tile has one pass with the unit
    basis.
    """

    basis: tuple[int, ...]
    operations: tuple[Operation, ...]


@dataclass(frozen=True, slots=True)
class PhysicalString:
    """A Pauli string of the observables in the final physical frame: maps z to ``z ^ x_mask`` with the phase
    ``sign * i ** n_y * (-1) ** parity(z & z_mask)`` applied at the source address z.
    """

    x_mask: int
    z_mask: int
    sign: int
    n_y: int


@dataclass(frozen=True)
class Plan:
    """Everything an engine needs beside angles: see the module's text.

    `strings[k]` is the physical form of the observables' string k. `layer_passes[k]` is the index of the pass
    after which k layers of the ansatz are complete enough to cut there (for gradient checkpointing): any pass
    boundary is a consistent cut. `final_rows[q]` and `final_flips` give the logical bits of an address at the
    end: bit q is ``parity(z & final_rows[q]) ^ final_flips >> q & 1``.
    """

    n_qubits: int
    amplitude_encoded: bool
    runs: tuple[Run, ...]
    passes: tuple[Pass, ...]
    strings: tuple[PhysicalString, ...]
    source_strings: tuple[PauliString, ...]
    final_rows: tuple[int, ...]
    final_flips: int
    n_shared_slots: int
    n_per_sample_slots: int
    n_steps: int
    tile_bits: int
    low_bits: int
