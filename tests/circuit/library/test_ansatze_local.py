"""Local-rotation ansaetze as the gates written here by hand, in Qiskit's order."""

from __future__ import annotations

import numpy as np
import pytest

from qmltrain.errors import InputError
from tests.circuit import dense
from tests.circuit.library.ansatz_alone import build, lines
from tests.circuit.listing import listing


def test_local_rotations() -> None:
    assert lines(3, "real_amplitudes") == [
        *["ry 0 t0", "ry 1 t1", "ry 2 t2", "cx 1 2", "cx 0 1", "ry 0 t3", "ry 1 t4", "ry 2 t5"]
    ]
    assert lines(2, "real_amplitudes", skip_final_rotation=True) == ["ry 0 t0", "ry 1 t1", "cx 0 1"]
    assert lines(2, "efficient_su2", skip_final_rotation=True) == ["ry 0 t0", "ry 1 t1", "rz 0 t2", "rz 1 t3", "cx 0 1"]
    two_local = build(2, "two_local", rotations=["h", "ry"], entangler="crz", entanglement="linear")
    assert listing(two_local) == [
        *["h 0", "h 1", "ry 0 t0", "ry 1 t1", "crz 0 1 t2", "h 0", "h 1", "ry 0 t3", "ry 1 t4"]
    ]
    assert two_local.parameter_names[2:4] == ("ansatz.0.crz.0_1", "ansatz.1.ry.0")
    assert two_local.layer_starts == (0, 5)


def test_full_and_reverse_linear_cx_are_the_same_unitary() -> None:
    theta = np.random.default_rng(0).normal(size=8)
    full = dense.unitary(build(4, "real_amplitudes", entanglement="full"), theta, np.zeros(0))
    reverse = dense.unitary(build(4, "real_amplitudes", entanglement="reverse_linear"), theta, np.zeros(0))
    np.testing.assert_allclose(full, reverse, atol=1e-13)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("real_amplitudes", {"entanglement": "star"}, r"^ansatz\.entanglement: 'star' is not known"),
        ("two_local", {"entangler": "cu"}, r"^ansatz\.entangler: 'cu' is not known"),
        ("two_local", {"rotations": ["id"]}, r"^ansatz\.rotations: 'id' is not known"),
    ],
)
def test_unknown_choices_are_refused(name: str, options: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        build(3, name, **options)
