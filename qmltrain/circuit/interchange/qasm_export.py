"""A circuit with its parameters bound as an OpenQASM 3 program; its features stay inputs x0, x1, ..."""

from __future__ import annotations

from collections.abc import Sequence

from qmltrain.circuit.circuit import Circuit, Gate
from qmltrain.circuit.interchange.bound_angles import bind, write
from qmltrain.errors import InputError

# gates that stdgates.inc does not have
_DEFINITIONS = {
    "sxdg": "gate sxdg a { h a; sdg a; h a; }",
    "csx": "gate csx a, b { h b; cp(pi/2) a, b; h b; }",
    "rxx": "gate rxx(theta) a, b { h a; h b; cx a, b; rz(theta) b; cx a, b; h b; h a; }",
    "ryy": "gate ryy(theta) a, b { rx(pi/2) a; rx(pi/2) b; cx a, b; rz(theta) b; cx a, b; rx(-pi/2) b; rx(-pi/2) a; }",
    "rzz": "gate rzz(theta) a, b { cx a, b; rz(theta) b; cx a, b; }",
    "ccz": "gate ccz a, b, c { h c; ccx a, b, c; h c; }",
}
_NAMES = {"u": "U"}
_TO_Z = {"X": ("h {}", "h {}"), "Y": ("rx(pi/2) {}", "rx(-pi/2) {}")}  # change of basis, and back


def to_qasm3(circuit: Circuit, parameters_P: Sequence[float], notes: Sequence[str] = ()) -> str:
    """The program; `notes` become comments at its top. Global phases are not kept.

    Raises InputError for an amplitude-encoded circuit, whose features are no angles.
    """
    if circuit.amplitude_encoded:
        raise InputError(
            "export: OpenQASM has no statement for an initial state, and this circuit takes its features as one "
            "(encoding amplitude); export to pennylane or qiskit"
        )
    lines = ["OPENQASM 3.0;", *(f"// {note}" for note in notes), 'include "stdgates.inc";']
    used = {gate.name for gate in circuit.gates}
    lines += [definition for name, definition in _DEFINITIONS.items() if name in used]
    indices = {i for gate in circuit.gates for angle in gate.angles if angle.feature for i in angle.feature.indices}
    lines += [f"input float[64] x{index};" for index in sorted(indices)]
    lines.append(f"qubit[{circuit.n_qubits}] q;")
    for gate in circuit.gates:
        angles = [write(bind(angle, parameters_P), lambda i: f"x{i}", "arccos({})") for angle in gate.angles]
        lines += [f"{statement};" for statement in _statements(gate, angles)]
    return "\n".join(lines) + "\n"


def _statements(gate: Gate, angles: list[str]) -> list[str]:
    places = [f"q[{qubit}]" for qubit in gate.qubits]
    if gate.name not in ("multi_rz", "pauli_rot"):
        call = f"({', '.join(angles)})" if angles else ""
        return [f"{_NAMES.get(gate.name, gate.name)}{call} {', '.join(places)}"]
    letters = gate.pauli or "Z" * len(places)
    rotated = [(place, _TO_Z[letter]) for place, letter in zip(places, letters, strict=True) if letter in _TO_Z]
    parity = [f"cx {a}, {b}" for a, b in zip(places, places[1:], strict=False)]
    return [
        *(to.format(place) for place, (to, _) in rotated),
        *parity,
        f"rz({angles[0]}) {places[-1]}",
        *reversed(parity),
        *(back.format(place) for place, (_, back) in rotated),
    ]
