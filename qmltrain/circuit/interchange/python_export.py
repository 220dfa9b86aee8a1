"""A circuit with its parameters bound as Python source for PennyLane or Qiskit; its features stay a variable.

The sources need nothing of qmltrain. Each holds `circuit`, the observables, and `expectations(x)` for one sample's
features.
"""

from __future__ import annotations

from collections.abc import Sequence

from qmltrain.circuit.circuit import Circuit, Gate
from qmltrain.circuit.interchange.bound_angles import bind, write
from qmltrain.circuit.observables import Observables, PauliString

_PENNYLANE = {
    "id": "Identity", "x": "PauliX", "y": "PauliY", "z": "PauliZ", "h": "Hadamard", "s": "S", "t": "T", "sx": "SX",
    "rx": "RX", "ry": "RY", "rz": "RZ", "p": "PhaseShift", "u": "U3", "cx": "CNOT", "cy": "CY", "cz": "CZ", "ch": "CH",
    "cp": "ControlledPhaseShift", "crx": "CRX", "cry": "CRY", "crz": "CRZ", "swap": "SWAP", "rxx": "IsingXX",
    "ryy": "IsingYY", "rzz": "IsingZZ", "ccx": "Toffoli", "ccz": "CCZ", "cswap": "CSWAP", "multi_rz": "MultiRZ",
}  # fmt: skip
_DIAGONALIZE = "before the observables are measured"
_PENNYLANE_ADJOINT = {"sdg": "S", "tdg": "T", "sxdg": "SX"}


def to_pennylane(
    circuit: Circuit,
    observables: Observables,
    parameters_P: Sequence[float],
    state: str,
    notes: Sequence[str] = (),
    imports: Sequence[str] = (),
) -> str:
    """Source with `circuit(x)`, `OBSERVABLES` and the QNode `expectations(x)`.

    `state` is the source of `initial_state(x)` where the circuit is amplitude-encoded (`state_source`). `imports` are
    lines that what comes behind needs.
    """
    body = []
    if circuit.amplitude_encoded:
        # the first wire that is given is PennyLane's highest bit
        body.append("qml.StatePrep(initial_state(x), wires=list(reversed(range(N_QUBITS))))")
    for gate in circuit.gates:
        body += _pennylane(gate, _angles(gate, parameters_P, "qml.math.arccos({})"))
    sums = []
    for row in range(observables.n_observables):
        terms = _terms(observables, row)
        words = ", ".join(_word(letters) for letters, _ in terms)
        sums.append(f"    qml.dot({[value for _, value in terms]}, [{words}]),")
    rotated = [line for gate in observables.diagonalizing_gates for line in _pennylane(gate, _angles(gate, (), ""))]
    lines = [
        *(f"# {note}" for note in notes),
        "# Wire q is qubit q of qmltrain, so that expectation values agree. PennyLane counts wire 0 as the highest bit",
        "# of a basis state, qmltrain qubit 0 as the lowest: reverse the bits of states and probabilities.",
        *_imports(circuit, imports, "import pennylane as qml"),
        "",
        f"N_QUBITS = {circuit.n_qubits}",
        *([state] if circuit.amplitude_encoded else []),
        "",
        "",
        "def circuit(x):",
        *(f"    {line}" for line in body or ["pass"]),
        *(["", "", f"def diagonalize():  # {_DIAGONALIZE}", *(f"    {line}" for line in rotated)] if rotated else []),
        "",
        "",
        "OBSERVABLES = [",
        *sums,
        "]",
        "",
        "",
        '@qml.qnode(qml.device("default.qubit", wires=N_QUBITS))',
        "def expectations(x):",
        "    circuit(x)",
        *(["    diagonalize()"] if rotated else []),
        "    return [qml.expval(observable) for observable in OBSERVABLES]",
    ]
    return "\n".join(lines) + "\n"


def to_qiskit(
    circuit: Circuit,
    observables: Observables,
    parameters_P: Sequence[float],
    state: str,
    notes: Sequence[str] = (),
    imports: Sequence[str] = (),
) -> str:
    """Source with `circuit` (its free Parameters are x0, x1, ...), `OBSERVABLES` and `expectations(x)`; arguments are
    those of `to_pennylane`."""
    body = []
    for gate in circuit.gates:
        body += _qiskit(gate, _angles(gate, parameters_P, "{}.arccos()"))
    rotated = [
        line for gate in observables.diagonalizing_gates for line in _qiskit(gate, _angles(gate, (), ""), "diagonalize")
    ]
    sums = [_sparse(observables, row, circuit.n_qubits) for row in range(observables.n_observables)]
    # not QuantumCircuit.initialize, which refuses amplitudes whose norm is 1 to the precision of float32
    start = "initial_state(x)" if circuit.amplitude_encoded else "QuantumCircuit(circuit.num_qubits)"
    lines = [
        *(f"# {note}" for note in notes),
        "# Qiskit counts as qmltrain does: qubit q is bit q of a basis state, written rightmost first.",
        *_imports(circuit, ("import numpy as np", *imports), "from qiskit import QuantumCircuit"),
        "from qiskit.circuit import Parameter",
        "from qiskit.quantum_info import SparsePauliOp, Statevector",
        *([state] if circuit.amplitude_encoded else []),
        "",
        f'x = [Parameter(f"x{{i}}") for i in range({circuit.n_features})]',
        f"circuit = QuantumCircuit({circuit.n_qubits})",
        *body,
        *([f"diagonalize = QuantumCircuit({circuit.n_qubits})  # {_DIAGONALIZE}", *rotated] if rotated else []),
        "",
        "OBSERVABLES = [",
        *(f"    {line}," for line in sums),
        "]",
        "",
        "",
        "def expectations(x):",
        '    values = {p: float(x[int(p.name.removeprefix("x"))]) for p in circuit.parameters}',
        f"    final = Statevector({start}).evolve(circuit.assign_parameters(values))",
        *(["    final = final.evolve(diagonalize)"] if rotated else []),
        "    return np.array([final.expectation_value(observable).real for observable in OBSERVABLES])",
    ]
    return "\n".join(lines) + "\n"


def _imports(circuit: Circuit, wanted: Sequence[str], package: str) -> list[str]:
    """Lines that import the standard library, NumPy and the first name of the `package`."""
    lines = {*wanted, *(["import math"] if circuit.amplitude_encoded else [])}
    of_numpy = sorted(line for line in lines if "numpy" in line)
    standard = sorted(lines.difference(of_numpy))
    return [*standard, *([""] if standard else []), *of_numpy, package]


def state_source(n_qubits: int, pad_with: float, normalize: bool, copies: int = 1) -> str:
    """Source of `initial_state(x)`: the amplitudes of a sample's features, missing ones padded."""
    size = 1 << n_qubits // copies
    several = [
        "    one = amplitudes = [a / norm for a in amplitudes]",
        f"    for _ in range({copies - 1}):  # copies side by side",
        "        amplitudes = [a * b for a in amplitudes for b in one]",
        "    return amplitudes",
    ]
    norm = "    norm = math.sqrt(sum(a * a for a in amplitudes))" if normalize else "    norm = 1.0"
    return "\n".join(
        [
            "",
            "",
            "def initial_state(x):",
            f"    amplitudes = [float(a) for a in x] + [{float(pad_with)!r}] * ({size} - len(x))",
            norm,
            *(["    return [a / norm for a in amplitudes]"] if copies == 1 else several),
            "",
        ]
    )


def _angles(gate: Gate, parameters_P: Sequence[float], arccos: str) -> list[str]:
    return [write(bind(angle, parameters_P), lambda i: f"x[{i}]", arccos) for angle in gate.angles]


def _pennylane(gate: Gate, angles: list[str]) -> list[str]:
    qubits, name = list(gate.qubits), gate.name
    wires = f"wires={qubits}"
    if name == "pauli_rot":
        return [f"qml.PauliRot({angles[0]}, {gate.pauli!r}, {wires})"]
    if name in _PENNYLANE_ADJOINT:
        return [f"qml.adjoint(qml.{_PENNYLANE_ADJOINT[name]}({wires}))"]
    if name == "csx":
        return [f"qml.ctrl(qml.SX(wires={qubits[1:]}), control={qubits[0]})"]
    if name == "cu":
        return [
            f"qml.PhaseShift({angles[3]}, wires={qubits[0]})",
            f"qml.ctrl(qml.U3({', '.join(angles[:3])}, wires={qubits[1:]}), control={qubits[0]})",
        ]
    return [f"qml.{_PENNYLANE[name]}({', '.join([*angles, wires])})"]


def _qiskit(gate: Gate, angles: list[str], circuit: str = "circuit") -> list[str]:
    qubits = ", ".join(map(str, gate.qubits))
    if gate.name not in ("multi_rz", "pauli_rot"):
        return [f"{circuit}.{gate.name}({', '.join([*angles, qubits])})"]
    letters = gate.pauli or "Z" * len(gate.qubits)
    to_z = {"X": ("h({})",) * 2, "Y": ("rx(np.pi / 2, {})", "rx(-np.pi / 2, {})")}
    rotated = [(q, to_z[letter]) for q, letter in zip(gate.qubits, letters, strict=True) if letter in to_z]
    parity = [f"cx({a}, {b})" for a, b in zip(gate.qubits, gate.qubits[1:], strict=False)]
    calls = [
        *(to.format(q) for q, (to, _) in rotated),
        *parity,
        f"rz({angles[0]}, {gate.qubits[-1]})",
        *reversed(parity),
        *(back.format(q) for q, (_, back) in rotated),
    ]
    return [f"{circuit}.{call}" for call in calls]


def _letters(string: PauliString) -> list[tuple[str, int]]:
    """The letters of a string that are not I, with their qubits."""
    mask = string.x_mask | string.z_mask
    return [
        ("IXZY"[(string.x_mask >> q & 1) | (string.z_mask >> q & 1) << 1], q)
        for q in range(mask.bit_length())
        if mask >> q & 1
    ]


def _terms(observables: Observables, row: int) -> list[tuple[list[tuple[str, int]], float]]:
    """Letters and coefficient of each term of an observable; its constant has no letters."""
    terms = [
        (_letters(observables.strings[index]), float(value)) for index, value in observables.coefficients[row].items()
    ]
    constant = float(observables.constants[row])
    return [([], constant), *terms] if constant or not terms else terms


def _word(letters: list[tuple[str, int]]) -> str:
    return " @ ".join(f"qml.{letter}({q})" for letter, q in letters) if letters else "qml.I(0)"


def _sparse(observables: Observables, row: int, n_qubits: int) -> str:
    terms = [
        ("".join(letter for letter, _ in letters), [q for _, q in letters], value)
        for letters, value in _terms(observables, row)
    ]
    return f"SparsePauliOp.from_sparse_list({terms}, num_qubits={n_qubits})"
