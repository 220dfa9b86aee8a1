"""Lowering: a circuit as steps of rotations R and diagonals D, with CX, X and SWAP absorbed into address masks.

Consecutive one-qubit gates of shared angles become one run U = RZ(gamma) RY(beta) RZ(alpha); its RZs join the
neighbouring D. A per-sample RX(x) is RZ(-pi/2) RY(x) RZ(pi/2) with constant RZs; a per-sample RZ is a phase term.
Every item goes to the earliest step its order allows: two items commute exactly when their Pauli operators
X^m Z^r do, that is when parity(m1 & r2) == parity(m2 & r1). So the CZ ring of a layer is one D.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import pi, remainder, tau

from qmltrain.circuit.angle import Angle
from qmltrain.circuit.circuit import Circuit, Gate
from qmltrain.fusion.decompose import Permute, Phase, Rotate, constant, decompose
from qmltrain.fusion.frame import Frame
from qmltrain.fusion.plan import AffineAngle, Diagonal, Rotation, Run, RunAngle, RunRotation, Term
from qmltrain.gf2 import parity

_NEGLIGIBLE = 1e-14  # radians: rounding of sums of constants such as pi/2 + pi/2 - pi


@dataclass
class Step:
    """The rotations of one step and the diagonal after them (step 0 has no rotations)."""

    rotations: list[Rotation] = field(default_factory=list)
    constants: dict[int, float] = field(default_factory=dict)  # mask -> angle
    shared: list[Term] = field(default_factory=list)
    per_sample: list[Term] = field(default_factory=list)
    masks: set[int] = field(default_factory=set)

    def diagonal(self, layer: int) -> Diagonal | None:
        """The D of this step, constants of one mask merged; None where nothing is left."""
        constants = []
        for mask, angle in self.constants.items():
            reduced = remainder(angle, tau)  # a full turn is a global sign
            if abs(reduced) > _NEGLIGIBLE:
                constants.append(Term(mask, 1, constant(reduced)))
        if not (constants or self.shared or self.per_sample):
            return None
        return Diagonal(layer, (*constants, *self.shared), tuple(self.per_sample))


@dataclass(frozen=True)
class Lowered:
    """The circuit in normal form: its runs, its steps in time order, and the frame at the end."""

    n_qubits: int
    runs: tuple[Run, ...]
    steps: tuple[Step, ...]
    frame: Frame


def lower(circuit: Circuit) -> Lowered:
    """Lower `circuit`; gates keep their order wherever they do not commute."""
    lowering = _Lowering(circuit.n_qubits)
    references = circuit.slots.reference
    for gate in circuit.gates:
        lowering.gate(gate, tuple(_affine(angle, references) for angle in gate.angles))
    return lowering.finish()


def _affine(angle: Angle, references: dict) -> AffineAngle:
    if angle.is_constant:
        return constant(angle.offset)
    reference = references[angle]
    return AffineAngle(reference.index, reference.per_sample, 1.0, 0.0)


class _Lowering:
    def __init__(self, n_qubits: int) -> None:
        self.n_qubits = n_qubits
        self.frame = Frame(n_qubits)
        self.runs: list[Run] = []
        self.steps = [Step()]
        self.open: list[list[RunRotation]] = [[] for _ in range(n_qubits)]  # runs not yet closed, one a qubit

    def gate(self, gate: Gate, angles: tuple[AffineAngle, ...]) -> None:
        for primitive in decompose(gate, angles):
            if isinstance(primitive, Rotate):
                self._rotate(primitive)
            elif isinstance(primitive, Phase):
                self._phase(primitive)
            else:
                self._permute(primitive)

    def finish(self) -> Lowered:
        for qubit in range(self.n_qubits):
            self._close(qubit)
        return Lowered(self.n_qubits, tuple(self.runs), tuple(self.steps), self.frame)

    def _rotate(self, primitive: Rotate) -> None:
        qubit, angle = primitive.qubit, primitive.angle
        if not angle.per_sample:
            self.open[qubit].append(RunRotation(primitive.axis, angle))
        elif primitive.axis == "z":
            self._phase(Phase((qubit,), angle))
        else:
            turn = pi / 2 if primitive.axis == "x" else 0.0
            if turn:
                self.open[qubit].append(RunRotation("z", constant(turn)))
            self._close(qubit)
            self._emit_rotation(qubit, Run(qubit, (RunRotation("y", angle),), per_sample=True, real=True))
            if turn:
                self.open[qubit].append(RunRotation("z", constant(-turn)))

    def _phase(self, primitive: Phase) -> None:
        logical = 0
        for qubit in primitive.qubits:
            self._close(qubit)
            logical |= 1 << qubit
        self._emit_term(logical, primitive.angle)

    def _permute(self, primitive: Permute) -> None:
        qubits = primitive.qubits
        if primitive.kind == "x":
            rotations = self.open[qubits[0]]
            if any(r.axis != "y" for r in rotations):  # part of a run already: free there
                rotations.append(RunRotation("x", constant(pi)))
                return
        for qubit in qubits:
            self._close(qubit)
        if primitive.kind == "cx":
            self.frame.cx(*qubits)
        elif primitive.kind == "swap":
            self.frame.swap(*qubits)
        else:
            self.frame.x(qubits[0])

    def _close(self, qubit: int) -> None:
        """End the open run of `qubit`: alpha's phase, R, gamma's phase; a run of z alone is phases only."""
        rotations, self.open[qubit] = self.open[qubit], []
        if not rotations:
            return
        if all(r.axis == "z" for r in rotations):
            for rotation in rotations:
                self._emit_term(1 << qubit, rotation.angle)
            return
        real = all(r.axis == "y" for r in rotations)
        number = len(self.runs)
        if not real:
            self._emit_term(1 << qubit, RunAngle(number, "alpha"))
        self._emit_rotation(qubit, Run(qubit, tuple(rotations), per_sample=False, real=real))
        if not real:
            self._emit_term(1 << qubit, RunAngle(number, "gamma"))

    def _emit_rotation(self, qubit: int, run: Run) -> None:
        frame = self.frame
        rotation = Rotation(len(self.runs), frame.masks[qubit], frame.rows[qubit], bool(frame.offsets[qubit]))
        self.runs.append(run)
        first = self._first_step(rotation)
        while first < len(self.steps) and not all(map(rotation.fits_beside, self.steps[first].rotations)):
            first += 1
        if first == len(self.steps):
            self.steps.append(Step())
        self.steps[first].rotations.append(rotation)

    def _first_step(self, rotation: Rotation) -> int:
        """The step after the last item that does not commute with `rotation`."""
        for index in range(len(self.steps) - 1, -1, -1):
            step = self.steps[index]
            if any(parity(mask & rotation.pair_mask) for mask in step.masks):
                return index + 1
            if not all(map(rotation.commutes_with, step.rotations)):
                return index + 1
        return 1

    def _emit_term(self, logical_mask: int, angle: AffineAngle | RunAngle) -> None:
        mask, flipped = self.frame.physical_parity(logical_mask)
        sign = -1 if flipped else 1
        step = self.steps[0]
        for index in range(len(self.steps) - 1, 0, -1):
            if any(parity(mask & rotation.pair_mask) for rotation in self.steps[index].rotations):
                step = self.steps[index]
                break
        step.masks.add(mask)
        if isinstance(angle, AffineAngle) and angle.slot is None:
            step.constants[mask] = step.constants.get(mask, 0.0) + sign * angle.offset
        elif isinstance(angle, AffineAngle) and angle.per_sample:
            step.per_sample.append(Term(mask, sign, angle))
        else:
            step.shared.append(Term(mask, sign, angle))
