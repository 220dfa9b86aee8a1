"""Generators of a circuit's rotations: U(theta) = C prod_k exp(-i theta_k G_k / 2), every fixed gate moved to the end.

A rotation by a Pauli string P, with C the fixed gates before it, becomes one by C^dagger P C, which is a Pauli string
where they are Clifford gates. Fixed gates that act on a qubit before anything else does belong to the initial state (as
RY(pi/4) on all qubits in arXiv:1803.11173). A parameter in several rotations that commute with one another and with all
between them (a cost layer of QAOA), or in a controlled rotation, has a sum of strings as its generator; where they do
not commute, it counts as several.
"""

from __future__ import annotations

from dataclasses import dataclass

from qmltrain.circuit.angle import Angle
from qmltrain.circuit.circuit import Circuit, Gate
from qmltrain.circuit.clifford import Pauli, commute, from_letters, images_after, through, unmoved

Generator = tuple[tuple[float, Pauli], ...]  # a real sum of Hermitian strings, none of them twice

_LETTERS = {"rx": "X", "ry": "Y", "rz": "Z", "p": "Z", "rxx": "XX", "ryy": "YY", "rzz": "ZZ"}
_CONTROLLED = {"crx": "X", "cry": "Y", "crz": "Z"}


@dataclass
class _Turn:
    """One rotation: its parameter and its terms."""

    parameter: int
    terms: list[tuple[float, Pauli]]


def generators(circuit: Circuit) -> tuple[Generator, ...] | str:
    """One a trainable rotation, each once; or why there are none, in words."""
    if circuit.n_features or circuit.amplitude_encoded:
        return "features are encoded"
    images, touched, turns = unmoved(circuit.n_qubits), set[int](), list[_Turn]()
    for gate in circuit.gates:
        if all(angle.is_constant for angle in gate.angles):
            angles = tuple(angle.offset for angle in gate.angles)
            if len(gate.qubits) == 1 and gate.qubits[0] not in touched:
                continue  # of the initial state
            carried = images_after(gate.name, gate.qubits, angles, gate.pauli, images)
            if carried is None:
                return f"{gate.name} is no Clifford gate"
            images = carried
        else:
            rotations = _rotations(gate)
            if rotations is None:
                return f"{gate.name} with its angles is no rotation by one parameter each"
            for angle, terms in rotations:
                index = angle.bias if angle.weight is None else angle.weight
                assert index is not None
                scale = angle.scale if angle.weight is not None else 1.0
                moved = [(scale * c, through(from_letters(letters), gate.qubits, images)) for c, letters in terms]
                turns.append(_Turn(index, [_hermitian(c, string) for c, string in moved]))
        touched |= set(gate.qubits)
    return _distinct(_joined(turns))


def _rotations(gate: Gate) -> list[tuple[Angle, list[tuple[float, str]]]] | None:
    """In time order: the angle of each rotation, and its generator on the gate's qubits, without a constant."""
    if any(angle.is_per_sample or (angle.weight is not None and angle.bias is not None) for angle in gate.angles):
        return None
    if gate.name in _LETTERS:
        found = [(gate.angles[0], [(1.0, _LETTERS[gate.name])])]
    elif gate.name in ("multi_rz", "pauli_rot"):
        found = [(gate.angles[0], [(1.0, gate.pauli or "Z" * len(gate.qubits))])]
    elif gate.name in _CONTROLLED:  # (1 - Z) / 2 on the control
        letter = _CONTROLLED[gate.name]
        found = [(gate.angles[0], [(0.5, "I" + letter), (-0.5, "Z" + letter)])]
    elif gate.name == "cp":  # |11><11| = (1 - Z) (1 - Z) / 4
        found = [(gate.angles[0], [(0.5, "ZI"), (0.5, "IZ"), (-0.5, "ZZ")])]
    elif gate.name == "u" and not any(angle.is_constant for angle in gate.angles):
        theta, phi, lam = gate.angles
        found = [(lam, [(1.0, "Z")]), (theta, [(1.0, "Y")]), (phi, [(1.0, "Z")])]
    else:
        return None
    return found


def _hermitian(coefficient: float, string: Pauli) -> tuple[float, Pauli]:
    """With the sign in the coefficient."""
    x, z, k = string
    n_y = (x & z).bit_count()
    return (coefficient if (k - n_y) % 4 == 0 else -coefficient), (x, z, n_y % 4)


def _joined(turns: list[_Turn]) -> list[_Turn]:
    """Rotations of one parameter as one, where nothing that does not commute is between them."""
    found: list[_Turn] = []
    last: dict[int, int] = {}  # where in `found` a parameter's latest sum stands
    for turn in turns:
        place = last.get(turn.parameter)
        if place is not None and all(
            commute(a, b) for other in found[place:] for _, a in other.terms for _, b in turn.terms
        ):
            found[place].terms += turn.terms
        else:
            last[turn.parameter] = len(found)
            found.append(_Turn(turn.parameter, list(turn.terms)))
    return found


def _distinct(turns: list[_Turn]) -> tuple[Generator, ...]:
    """Each once, up to a factor: the first coefficient is 1."""
    found: dict[Generator, None] = {}
    for turn in turns:
        total: dict[Pauli, float] = {}
        for coefficient, string in turn.terms:
            total[string] = total.get(string, 0.0) + coefficient
        terms = sorted((string, c) for string, c in total.items() if abs(c) > 1e-12 and string[:2] != (0, 0))
        if terms:
            found[tuple((c / terms[0][1], string) for string, c in terms)] = None
    return tuple(found)
