"""Which features a circuit reads: those of gates that change its state by more than a phase.

A qubit that nothing has entangled yet may be in an eigenstate of Z (at the start), X (behind H) or Y, and a rotation
about that axis changes its phase alone: RZ on |0>, RX on |+>. This is followed gate by gate, as far as fixed gates on
one qubit go; where it is not known, a gate is taken to change the state.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from qmltrain.circuit.circuit import Circuit, Gate
from qmltrain.training.model import Model

# of which letter a gate is a function, on each of its qubits: eigenstates of these stay, but for a phase
_ABOUT = {
    **dict.fromkeys(("rz", "p"), "Z"),
    "rx": "X",
    "ry": "Y",
    **dict.fromkeys(("cz", "cp", "crz", "rzz"), "ZZ"),
    **dict.fromkeys(("cx", "crx"), "ZX"),
    **dict.fromkeys(("cy", "cry"), "ZY"),
    "rxx": "XX",
    "ryy": "YY",
}
# what fixed gates make of the axes X, Y, Z; "XYZ" where each stays
_AXES = {
    **dict.fromkeys(("id", "x", "y", "z"), "XYZ"),
    **dict.fromkeys(("s", "sdg"), "YXZ"),
    "h": "ZYX",
    **dict.fromkeys(("sx", "sxdg"), "XZY"),
}
_PERMUTING = frozenset(("cx", "swap", "ccx"))  # basis states


def circuit_reads(circuit: Circuit) -> NDArray[np.int64]:
    """The encoded features that have an effect on the circuit's state, increasing."""
    if circuit.amplitude_encoded:
        return np.arange(circuit.n_features)
    used = set[int]()
    axes = ["Z"] * circuit.n_qubits  # of which each qubit is in an eigenstate; "" where that is not known
    for gate in circuit.gates:
        if len(used) == circuit.n_features:
            break
        here = [axes[q] for q in gate.qubits]
        about = _about(gate)
        if about == "".join(here):
            continue
        for angle in gate.angles:
            if angle.feature is not None and angle.scale != 0:
                used.update(angle.feature.indices)
        moved = _AXES.get(gate.name)
        if moved is not None:
            axes[gate.qubits[0]] = here[0] and moved["XYZ".index(here[0])]
        elif not (gate.name in _PERMUTING and set(here) == {"Z"}):
            for q in gate.qubits:
                axes[q] = ""
    return np.array(sorted(used), dtype=np.int64)


def encoded_features_read(model: Model) -> NDArray[np.int64]:
    """Of the features that the model's circuit encodes: one amplitude that is all there is, +-1, is a phase."""
    alone = model.circuit.n_features == 1 and model.needs_features and model.amplitude.normalize
    return np.arange(0) if alone else circuit_reads(model.circuit)


def features_read(model: Model) -> NDArray[np.int64]:
    """The features of a sample, after preprocessing, that have an effect: all that an input layer takes, else those of
    the circuit."""
    return encoded_features_read(model) if model.input is None else np.arange(model.input.n_inputs)


def _about(gate: Gate) -> str:
    if gate.name == "pauli_rot":
        return gate.pauli or ""
    return "Z" * len(gate.qubits) if gate.name == "multi_rz" else _ABOUT.get(gate.name, "?")
