"""The gates of a circuit as launches, one a gate: a 2x2 unitary on pairs, or phases. CX, X and SWAP are bookkeeping."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from qmltrain.circuit.circuit import Circuit
from qmltrain.fusion.decompose import Permute, Phase, Rotate, constant, decompose
from qmltrain.fusion.frame import Frame
from qmltrain.fusion.plan import AffineAngle, Rotation, Run, RunRotation, Term


@dataclass(frozen=True)
class PairLaunch:
    """RZ(gamma) RY(beta) RZ(alpha) of run `rotation.run`; `turn`: a per-sample RX is RZ(-turn) RY(x) RZ(turn)."""

    rotation: Rotation
    turn: float


@dataclass(frozen=True)
class PhaseLaunch:
    """The phases of one gate."""

    terms: tuple[Term, ...]


Launch = PairLaunch | PhaseLaunch


def gate_launches(circuit: Circuit) -> tuple[tuple[Launch, ...], tuple[Run, ...], Frame]:
    """The launches of a circuit, one a gate (more only where a gate itself is a sequence), its runs and final frame."""
    collected = _Collector(circuit.n_qubits)
    references = circuit.slots.reference
    for gate in circuit.gates:
        angles = []
        for angle in gate.angles:
            if angle.is_constant:
                angles.append(constant(angle.offset))
            else:
                reference = references[angle]
                angles.append(AffineAngle(reference.index, reference.per_sample, 1.0, 0.0))
        for primitive in decompose(gate, tuple(angles)):
            if isinstance(primitive, Rotate):
                collected.rotate(primitive)
            elif isinstance(primitive, Phase):
                collected.phase(primitive.qubits, primitive.angle)
            else:
                collected.permute(primitive)
        collected.flush()
    return tuple(collected.launches), tuple(collected.runs), collected.frame


class _Collector:
    def __init__(self, n_qubits: int) -> None:
        self.frame = Frame(n_qubits)
        self.launches: list[Launch] = []
        self.runs: list[Run] = []
        self.qubit = -1
        self.rotations: list[RunRotation] = []  # of one qubit, not yet a launch
        self.terms: list[Term] = []  # not yet a launch

    def rotate(self, primitive: Rotate) -> None:
        if primitive.angle.per_sample:
            if primitive.axis == "z":
                self.phase((primitive.qubit,), primitive.angle)
                return
            self.flush()
            turn = np.pi / 2 if primitive.axis == "x" else 0.0
            self._pair(primitive.qubit, (RunRotation("y", primitive.angle),), True, turn)
            return
        if self.terms or self.qubit != primitive.qubit:
            self.flush()
        self.qubit = primitive.qubit
        self.rotations.append(RunRotation(primitive.axis, primitive.angle))

    def phase(self, qubits: tuple[int, ...], angle: AffineAngle) -> None:
        self._flush_rotations()
        mask, flipped = self.frame.physical_parity(sum(1 << q for q in qubits))
        self.terms.append(Term(mask, -1 if flipped else 1, angle))

    def permute(self, primitive: Permute) -> None:
        self.flush()
        if primitive.kind == "cx":
            self.frame.cx(*primitive.qubits)
        elif primitive.kind == "swap":
            self.frame.swap(*primitive.qubits)
        else:
            self.frame.x(primitive.qubits[0])

    def flush(self) -> None:
        self._flush_rotations()
        if self.terms:
            self.launches.append(PhaseLaunch(tuple(self.terms)))
            self.terms = []

    def _flush_rotations(self) -> None:
        rotations, self.rotations = self.rotations, []
        if not rotations:
            return
        if all(r.axis == "z" for r in rotations):
            for r in rotations:
                self.phase((self.qubit,), r.angle)
        else:
            self._pair(self.qubit, tuple(rotations), False, 0.0)

    def _pair(self, qubit: int, rotations: tuple[RunRotation, ...], per_sample: bool, turn: float) -> None:
        frame = self.frame
        rotation = Rotation(len(self.runs), frame.masks[qubit], frame.rows[qubit], bool(frame.offsets[qubit]))
        self.runs.append(Run(qubit, rotations, per_sample, all(r.axis == "y" for r in rotations)))
        self.launches.append(PairLaunch(rotation, turn))
