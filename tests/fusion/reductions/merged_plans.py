"""Plans whose gate runs with per-sample angles are merged wherever they can be, worth it or not; circuits for them."""

from __future__ import annotations

from unittest.mock import patch

from hypothesis import strategies as st

from qmltrain.circuit.circuit import Circuit, Gate
from qmltrain.circuit.observables import PauliString
from qmltrain.fusion import lowering
from qmltrain.fusion.compile import compile_plan
from qmltrain.fusion.plan import Plan
from tests.circuit.strategies import N_FEATURES, N_PARAMETERS, angles, gates


def merged(circuit: Circuit, strings: tuple[PauliString, ...]) -> Plan:
    with patch.object(lowering, "_merging_pays", lambda rotations, n_qubits: True):
        return compile_plan(circuit, strings, sample_angles=True)


@st.composite
def dense_runs(draw: st.DrawFn, max_qubits: int, max_layers: int) -> Circuit:
    """Layers of up to four rotations on each qubit, about any axes by any angles, then any gates: runs of every mix."""
    n = draw(st.integers(1, max_qubits))
    sequence: list[Gate] = []
    for _ in range(draw(st.integers(1, max_layers))):
        for q in range(n):
            axes = draw(st.lists(st.sampled_from(["ry", "rx", "rz", "rz", "h", "x"]), max_size=4))
            sequence += [Gate(axis, (q,), (draw(angles()),) if axis[0] == "r" else ()) for axis in axes]
        sequence += [draw(gates(n)) for _ in range(draw(st.integers(0, 2)))]
        if n > 1 and draw(st.booleans()):
            sequence += [Gate(draw(st.sampled_from(["cz", "cx"])), (q, (q + 1) % n)) for q in range(n if n > 2 else 1)]
    names = tuple(f"theta.{k}" for k in range(N_PARAMETERS))
    return Circuit(n, tuple(sequence), names, n_features=N_FEATURES)
