"""Every registered gate at generic angles, the ones of any width at several widths."""

from __future__ import annotations

from qmltrain.circuit.gates import GATES

ANGLES = (0.7, -1.9, 2.6, 0.31)


def _instances():
    for name, definition in GATES.items():
        angles = ANGLES[: definition.n_angles]
        if name == "multi_rz":
            yield from ((name, width, angles, "") for width in (1, 2, 3))
        elif name == "pauli_rot":
            yield from ((name, len(letters), angles, letters) for letters in ("X", "YZ", "ZYX"))
        else:
            yield name, definition.n_qubits, angles, ""


INSTANCES = list(_instances())
