"""Lowering: a circuit as moments of rotations R and diagonals D, each item at the earliest that commutation allows.

CX, X and SWAP are absorbed into address masks. Consecutive one-qubit gates of shared angles become one gate run
U = RZ(gamma) RY(beta) RZ(alpha); its RZs join the neighbouring D. A per-sample RX(x) is RZ(-pi/2) RY(x) RZ(pi/2) with
constant RZs; a per-sample RZ is a phase term. With `merges`, gate runs hold per-sample angles too, where that saves
enough rotations. Two items commute exactly when their Pauli operators X^m Z^r do, that is
when parity(m1 & r2) == parity(m2 & r1). So the CZ ring of a layer is one D.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import pi, remainder, tau

from qmltrain.circuit.angle import Angle
from qmltrain.circuit.circuit import Circuit, Gate, SlotReference
from qmltrain.fusion.decompose import Permute, Phase, Rotate, constant, decompose
from qmltrain.fusion.frame import Frame
from qmltrain.fusion.plan import AffineAngle, AxisRotation, Diagonal, EulerAngle, GateRun, Moment, Rotation, Term
from qmltrain.gf2 import parity

_NEGLIGIBLE = 1e-14  # radians: rounding of sums of constants such as pi/2 + pi/2 - pi


@dataclass
class _OpenMoment:
    """A moment that is growing."""

    rotations: list[Rotation] = field(default_factory=list)
    constants: dict[int, float] = field(default_factory=dict)  # mask -> angle
    shared: list[Term] = field(default_factory=list)
    per_sample: list[Term] = field(default_factory=list)
    masks: set[int] = field(default_factory=set)

    def diagonal(self, number: int) -> Diagonal | None:
        """The D of this moment, constants of one mask merged; None where nothing is left."""
        constants = []
        for mask, angle in self.constants.items():
            reduced = remainder(angle, tau)  # 2 pi more is a global sign
            if abs(reduced) > _NEGLIGIBLE:
                constants.append(Term(mask, 1, constant(reduced)))
        if not (constants or self.shared or self.per_sample):
            return None
        return Diagonal(number, (*constants, *self.shared), tuple(self.per_sample))


@dataclass(frozen=True)
class Lowered:
    """The circuit in normal form: its gate runs, its moments in time order, and the frame at the end."""

    gate_runs: tuple[GateRun, ...]
    moments: tuple[Moment, ...]
    frame: Frame


def lower(circuit: Circuit, *, merges: bool = False, real: bool = False) -> Lowered:
    """Lower `circuit`; gates keep their order wherever they do not commute. `merges`: of per-sample angles. `real`:
    with as many real gate runs as there can be, rotations about z being phases, never parts of a run, and the phases of
    a gate in one diagonal."""
    lowering = _Lowering(circuit.n_qubits, merges, real)
    references = circuit.slots.reference
    for gate in circuit.gates:
        lowering.gate(gate, tuple(slot_angle(angle, references) for angle in gate.angles))
    return lowering.finish()


def slot_angle(angle: Angle, references: dict[Angle, SlotReference]) -> AffineAngle:
    """A circuit's angle as a constant or a slot, `references` of `Circuit.slots`."""
    if angle.is_constant:
        return constant(angle.offset)
    reference = references[angle]
    return AffineAngle(reference.index, reference.per_sample, 1.0, 0.0)


class _Lowering:
    def __init__(self, n_qubits: int, merges: bool, real: bool) -> None:
        self.n_qubits = n_qubits
        self.merges, self.real = merges, real
        self.frame = Frame(n_qubits)
        self.gate_runs: list[GateRun] = []
        self.moments = [_OpenMoment()]
        self.open: list[list[AxisRotation]] = [[] for _ in range(n_qubits)]  # gate runs not yet closed, one per qubit

    def gate(self, gate: Gate, angles: tuple[AffineAngle, ...]) -> None:
        together: list[Phase] = []
        for primitive in decompose(gate, angles, self.real):
            if isinstance(primitive, Phase) and self.real:
                together.append(primitive)
                continue
            self._phases_together(together)
            together = []
            if isinstance(primitive, Rotate):
                self._rotate(primitive)
            elif isinstance(primitive, Phase):
                self._phase(primitive)
            else:
                self._permute(primitive)
        self._phases_together(together)

    def finish(self) -> Lowered:
        for qubit in range(self.n_qubits):
            self._close(qubit)
        moments = (Moment(tuple(one.rotations), one.diagonal(number)) for number, one in enumerate(self.moments))
        return Lowered(tuple(self.gate_runs), tuple(moments), self.frame)

    def _rotate(self, primitive: Rotate) -> None:
        rotation, angle = AxisRotation(primitive.axis, primitive.angle), primitive.angle
        if self.real and primitive.axis == "z":
            if angle.slot is not None or abs(remainder(angle.offset, tau)) > _NEGLIGIBLE:
                self._phase(Phase((primitive.qubit,), angle))
        elif self.merges or not angle.per_sample:
            self.open[primitive.qubit].append(rotation)
        else:
            self._rotate_apart(primitive.qubit, rotation)

    def _rotate_apart(self, qubit: int, rotation: AxisRotation) -> None:
        """A per-sample rotation as a gate run of its own."""
        angle = rotation.angle
        if rotation.axis == "z":
            self._close(qubit)
            self._emit_term(1 << qubit, angle)
            return
        if rotation.axis == "x":
            self.open[qubit].append(AxisRotation("z", constant(pi / 2)))
        self._close(qubit)
        self._emit_rotation(qubit, GateRun(qubit, (AxisRotation("y", angle),), per_sample=True, real=True))
        if rotation.axis == "x":
            self.open[qubit].append(AxisRotation("z", constant(-pi / 2)))

    def _phase(self, primitive: Phase) -> None:
        logical = 0
        for qubit in primitive.qubits:
            self._close(qubit)
            logical |= 1 << qubit
        self._emit_term(logical, primitive.angle)

    def _phases_together(self, phases: list[Phase]) -> None:
        """Phases that are signs all together, not each of them: at the earliest moment of the last."""
        for phase in phases:
            for qubit in phase.qubits:
                self._close(qubit)
        masks = [sum(1 << qubit for qubit in phase.qubits) for phase in phases]
        at = max((self._term_moment(self.frame.physical_parity(mask)[0]) for mask in masks), default=0)
        for mask, phase in zip(masks, phases, strict=True):
            self._emit_term(mask, phase.angle, at=at)

    def _permute(self, primitive: Permute) -> None:
        qubits = primitive.qubits
        if primitive.kind == "x":
            rotations = self.open[qubits[0]]
            if any(r.axis != "y" for r in rotations):  # part of a gate run already: free there
                rotations.append(AxisRotation("x", constant(pi)))
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
        """End the open gate run of `qubit`: alpha's phase, R, gamma's phase; one of z alone is phases only."""
        rotations, self.open[qubit] = self.open[qubit], []
        if not rotations:
            return
        if all(r.axis == "z" for r in rotations):
            for rotation in rotations:
                self._emit_term(1 << qubit, rotation.angle)
            return
        if any(r.angle.per_sample for r in rotations):
            self._close_samples(qubit, rotations)
        else:
            self._emit_run(qubit, rotations, per_sample=False)

    def _close_samples(self, qubit: int, rotations: list[AxisRotation]) -> None:
        """A gate run with per-sample angles: merged, but for z at its ends, or each of those angles by itself."""
        turning = [k for k, r in enumerate(rotations) if r.axis != "z"]
        first, last = turning[0], turning[-1] + 1
        if _merging_pays(rotations[first:last], self.n_qubits):
            for rotation in rotations[:first]:
                self._emit_term(1 << qubit, rotation.angle)
            self._emit_run(qubit, rotations[first:last], per_sample=True)
            for rotation in rotations[last:]:
                self._emit_term(1 << qubit, rotation.angle)
            return
        for rotation in rotations:
            if rotation.angle.per_sample:
                self._rotate_apart(qubit, rotation)
            else:
                self.open[qubit].append(rotation)
        self._close(qubit)

    def _emit_run(self, qubit: int, rotations: list[AxisRotation], per_sample: bool) -> None:
        real = all(r.axis == "y" for r in rotations)
        number = len(self.gate_runs)
        if not real:
            self._emit_term(1 << qubit, EulerAngle(number, "alpha"), per_sample)
        self._emit_rotation(qubit, GateRun(qubit, tuple(rotations), per_sample, real))
        if not real:
            self._emit_term(1 << qubit, EulerAngle(number, "gamma"), per_sample)

    def _emit_rotation(self, qubit: int, gate_run: GateRun) -> None:
        frame, moments = self.frame, self.moments
        rotation = Rotation(len(self.gate_runs), frame.masks[qubit], frame.rows[qubit], bool(frame.offsets[qubit]))
        self.gate_runs.append(gate_run)
        first = self._first_moment(rotation)
        while first < len(moments) and not all(map(rotation.fits_beside, moments[first].rotations)):
            first += 1
        if first == len(moments):
            moments.append(_OpenMoment())
        moments[first].rotations.append(rotation)

    def _first_moment(self, rotation: Rotation) -> int:
        """The moment after the last item that does not commute with `rotation`."""
        for index in range(len(self.moments) - 1, -1, -1):
            moment = self.moments[index]
            if any(parity(mask & rotation.pair_mask) for mask in moment.masks):
                return index + 1
            if not all(map(rotation.commutes_with, moment.rotations)):
                return index + 1
        return 1

    def _term_moment(self, mask: int) -> int:
        """The last moment with a rotation that does not commute with a phase of this mask, else the first of all."""
        for index in range(len(self.moments) - 1, 0, -1):
            if any(parity(mask & rotation.pair_mask) for rotation in self.moments[index].rotations):
                return index
        return 0

    def _emit_term(
        self, logical_mask: int, angle: AffineAngle | EulerAngle, of_sample: bool = False, at: int | None = None
    ) -> None:
        mask, flipped = self.frame.physical_parity(logical_mask)
        sign = -1 if flipped else 1
        moment = self.moments[self._term_moment(mask) if at is None else at]
        moment.masks.add(mask)
        if isinstance(angle, AffineAngle) and angle.slot is None:
            moment.constants[mask] = moment.constants.get(mask, 0.0) + sign * angle.offset
        elif of_sample or (isinstance(angle, AffineAngle) and angle.per_sample):
            moment.per_sample.append(Term(mask, sign, angle))
        else:
            moment.shared.append(Term(mask, sign, angle))


def _merging_pays(rotations: list[AxisRotation], n_qubits: int) -> bool:
    """Whether one per-sample R (and per-sample phases around it) is to take the place of those R that `rotations`,
    which neither begin nor end with z, are else: one for each per-sample x or y, one for each stretch of shared ones
    between per-sample angles.

    As measured (cpu, 1 to 12 qubits, 16 and 256 samples): one of each is left as it is, since a shared R costs less
    than what merging adds. Working out a run costs each sample the same whatever the state's length, and a diagonal
    that was shared becomes per-sample: with shared angles it takes longer states to be worth it.
    """
    own = own_z = shared = 0
    in_stretch = False
    for rotation in rotations:
        if rotation.angle.per_sample:
            own += rotation.axis != "z"
            own_z += rotation.axis == "z"
            in_stretch = False
        elif rotation.axis != "z" and not in_stretch:
            shared += 1
            in_stretch = True
    if all(rotation.axis == "y" for rotation in rotations):
        return own + shared > 1
    if any(rotation.angle.slot is not None and not rotation.angle.per_sample for rotation in rotations):
        return own + shared > 2 and n_qubits >= (4 if own_z else 6)
    return (own + shared > 2 or own > 1) and n_qubits >= 3
