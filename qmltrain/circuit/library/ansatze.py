"""Ansaetze: the trainable circuits, and the registry of them.

An ansatz is a function ``build(builder, *, options)``: it starts its layers, takes its parameters and adds its
gates. Its keyword-only parameters are its options in the config group `ansatz`. Parameters are named
``ansatz.<layer>.<gate>.<qubit>``: the layer counted over the whole circuit (a re-uploading circuit holds the ansatz
several times), two qubits joined by an underscore, a gate that comes a second time in a layer as ``<gate>_2``.
Each docstring gives the smallest n, what is refused, the parameters' shape and order, and the source.
"""

from __future__ import annotations

from collections.abc import Callable

from qmltrain.circuit.builder import CircuitBuilder
from qmltrain.circuit.checks import check_positive
from qmltrain.circuit.library.ansatze_layered import basic_entangler, hea, simplified_two_design, strongly_entangling
from qmltrain.circuit.library.ansatze_local import efficient_su2, real_amplitudes, two_local
from qmltrain.circuit.library.ansatze_qaoa import qaoa
from qmltrain.circuit.library.ansatze_qasm import qasm
from qmltrain.circuit.library.ansatze_random import pauli_two_design, random_layers
from qmltrain.circuit.library.ansatze_sim import sim_2, sim_13, sim_14, sim_15, sim_19
from qmltrain.circuit.library.ansatze_tensor import mps, qcnn, ttn
from qmltrain.user_code import call_user_function

AnsatzBuilder = Callable[..., None]


def python(builder: CircuitBuilder, *, layers: int = 1, function: str) -> None:
    """A function of the user's own, ``package.module:name``, called as ``name(builder, layers)``.

    It uses ``layer = builder.start_layer()``, ``builder.parameters([names])`` and ``builder.add(...)``; names that
    carry `layer` stay unique where the ansatz is repeated. Refuses what the function itself refuses.
    """
    check_positive("ansatz.layers", layers)
    call_user_function(function, "ansatz.function", builder, layers)


ANSATZE: dict[str, AnsatzBuilder] = {
    "hea": hea,
    "strongly_entangling": strongly_entangling,
    "basic_entangler": basic_entangler,
    "simplified_two_design": simplified_two_design,
    "real_amplitudes": real_amplitudes,
    "efficient_su2": efficient_su2,
    "two_local": two_local,
    "pauli_two_design": pauli_two_design,
    "random_layers": random_layers,
    "sim_2": sim_2,
    "sim_13": sim_13,
    "sim_14": sim_14,
    "sim_15": sim_15,
    "sim_19": sim_19,
    "qaoa": qaoa,
    "qcnn": qcnn,
    "ttn": ttn,
    "mps": mps,
    "qasm": qasm,
    "python": python,
}
