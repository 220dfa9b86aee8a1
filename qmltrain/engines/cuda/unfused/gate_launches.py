"""The gates of a circuit as launches, one per gate: a 2x2 unitary on pairs, or phases. CX, X and SWAP are free."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from qmltrain.circuit.circuit import Circuit
from qmltrain.fusion.decompose import Permute, Phase, Rotate, decompose
from qmltrain.fusion.frame import Frame
from qmltrain.fusion.lowering import slot_angle
from qmltrain.fusion.plan import AffineAngle, AxisRotation, GateRun, Rotation, Term


@dataclass(frozen=True)
class PairLaunch:
    """RZ(gamma) RY(beta) RZ(alpha) of gate run `rotation.gate_run`; a per-sample RX is RZ(-alpha) RY(x) RZ(alpha)."""

    rotation: Rotation
    alpha: float  # of a per-sample one


@dataclass(frozen=True)
class PhaseLaunch:
    """The phases of one gate."""

    terms: tuple[Term, ...]


Launch = PairLaunch | PhaseLaunch


def gate_launches(circuit: Circuit) -> tuple[tuple[Launch, ...], tuple[GateRun, ...], Frame]:
    """One launch per gate (more where a gate itself is a sequence), the gate runs and the final frame of a circuit."""
    collected = _Collector(circuit.n_qubits)
    references = circuit.slots.reference
    for gate in circuit.gates:
        for primitive in decompose(gate, tuple(slot_angle(angle, references) for angle in gate.angles)):
            if isinstance(primitive, Rotate):
                collected.rotate(primitive)
            elif isinstance(primitive, Phase):
                collected.phase(primitive.qubits, primitive.angle)
            else:
                collected.permute(primitive)
        collected.flush()
    return tuple(collected.launches), tuple(collected.gate_runs), collected.frame


class _Collector:
    def __init__(self, n_qubits: int) -> None:
        self.frame = Frame(n_qubits)
        self.launches: list[Launch] = []
        self.gate_runs: list[GateRun] = []
        self.qubit = -1
        self.rotations: list[AxisRotation] = []  # of one qubit, not yet a launch
        self.terms: list[Term] = []  # not yet a launch

    def rotate(self, primitive: Rotate) -> None:
        if primitive.angle.per_sample:
            if primitive.axis == "z":
                self.phase((primitive.qubit,), primitive.angle)
                return
            self.flush()
            alpha = np.pi / 2 if primitive.axis == "x" else 0.0
            self._pair(primitive.qubit, (AxisRotation("y", primitive.angle),), True, alpha)
            return
        if self.terms or self.qubit != primitive.qubit:
            self.flush()
        self.qubit = primitive.qubit
        self.rotations.append(AxisRotation(primitive.axis, primitive.angle))

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

    def _pair(self, qubit: int, rotations: tuple[AxisRotation, ...], per_sample: bool, alpha: float) -> None:
        frame = self.frame
        rotation = Rotation(len(self.gate_runs), frame.masks[qubit], frame.rows[qubit], bool(frame.offsets[qubit]))
        self.gate_runs.append(GateRun(qubit, rotations, per_sample, all(r.axis == "y" for r in rotations)))
        self.launches.append(PairLaunch(rotation, alpha))
