"""Random circuits whose states stay real, and what makes them complex."""

from __future__ import annotations

from hypothesis import strategies as st

from qmltrain.circuit.circuit import Circuit, Gate
from qmltrain.circuit.gates import GATES
from tests.circuit.strategies import N_FEATURES, N_PARAMETERS, angles

REAL_GATES = ("ry", "ry", "ry", "h", "x", "y", "z", "id", "cx", "cz", "ch", "cry", "ccx", "ccz", "swap", "cswap")
# any of them makes some state complex, whatever the angle
COMPLEX_GATES = ("s", "tdg", "sx", "rx", "rz", "csx", "cy", "crz", "rzz", "pauli_rot")


@st.composite
def real_gates(draw: st.DrawFn, n_qubits: int) -> Gate:
    name = draw(st.sampled_from([one for one in REAL_GATES if GATES[one].n_qubits <= n_qubits]))
    qubits = draw(st.permutations(range(n_qubits)))[: GATES[name].n_qubits]
    return Gate(name, tuple(qubits), tuple(draw(angles()) for _ in range(GATES[name].n_angles)))


@st.composite
def real_circuits(
    draw: st.DrawFn, min_qubits: int = 1, max_qubits: int = 5, max_gates: int = 20, amplitude_encoded: bool = False
) -> Circuit:
    n_qubits = draw(st.integers(min_qubits, max_qubits))
    gates = draw(st.lists(real_gates(n_qubits), max_size=max_gates))
    return Circuit(
        n_qubits,
        tuple(gates),
        parameter_names=tuple(f"theta.{index}" for index in range(N_PARAMETERS)),
        n_features=N_FEATURES,
        amplitude_encoded=amplitude_encoded,
        layer_starts=(),
        parameter_layers=(-1,) * N_PARAMETERS,
    )
