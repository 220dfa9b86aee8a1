"""Feature maps as the gates written here by hand, and what they do to a state."""

from __future__ import annotations

import numpy as np
import pytest

from qmltrain.circuit.gates import pauli_rotation
from qmltrain.errors import InputError
from tests.circuit import dense
from tests.circuit.library.encoding_alone import build, lines
from tests.circuit.listing import listing


def test_iqp() -> None:
    assert lines(3, 3, "iqp") == [
        *["h 0", "rz 0 x0", "h 1", "rz 1 x1", "h 2", "rz 2 x2"],
        *["rzz 0 1 prod(0-x0x1)", "rzz 0 2 prod(0-x0x2)", "rzz 1 2 prod(0-x1x2)"],
    ]
    assert lines(3, 3, "iqp", entanglement="linear")[6:] == ["rzz 0 1 prod(0-x0x1)", "rzz 1 2 prod(0-x1x2)"]
    assert len(lines(3, 3, "iqp", repeats=3)) == 27


def test_feature_maps() -> None:
    assert lines(2, 2, "z_feature_map", repeats=1) == ["h 0", "h 1", "p 0 2*x0", "p 1 2*x1"]
    assert lines(3, 2, "zz_feature_map", repeats=1, alpha=1.0) == [
        *["h 0", "h 1", "p 0 x0", "p 1 x1", "cx 0 1", "p 1 prod(3.142-x0x1)", "cx 0 1"]
    ]
    assert lines(3, 3, "pauli_feature_map", repeats=1, paulis=["XYZ"], alpha=1.0)[3:] == [
        *["h 0", "sx 1", "cx 0 1", "cx 1 2", "p 2 prod(3.142-x0x1x2)", "cx 1 2", "cx 0 1", "h 0", "sxdg 1"]
    ]
    ladders = lines(4, 4, "pauli_feature_map", repeats=1, paulis=["ZZZ"], entanglement="reverse_linear")[4:]
    assert ladders[::5] == ["cx 1 2", "cx 0 1"]


def test_pauli_evolution_is_the_exponential() -> None:
    """exp(-i alpha f P / 2), judged by a Pauli rotation gate, up to the phase of P(...)."""
    x = np.array([0.3, -0.8, 1.1])
    for letters in ("X", "Y", "Z", "XY", "YX", "ZX", "XYZ", "YYX"):
        n = len(letters)
        circuit = build(n, n, "pauli_feature_map", repeats=1, paulis=[letters], alpha=0.6)
        found = dense.unitary(circuit, np.zeros(n), x[:n])
        hadamards = np.ones((1, 1))
        for _ in range(n):
            hadamards = np.kron(hadamards, np.array([[1, 1], [1, -1]]) / np.sqrt(2))
        expected = hadamards
        if n == 1:
            expected = pauli_rotation(letters, 0.6 * x[0]) @ expected
        else:
            expected = pauli_rotation(letters, 0.6 * np.prod(np.pi - x[:n])) @ expected
        dense.assert_same_up_to_phase(found, expected)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"paulis": []}, r"^encoding\.paulis: a list"),
        ({"paulis": "ZZ"}, r"^encoding\.paulis: a list"),
        ({"paulis": ["ZI"]}, r"^encoding\.paulis: 'ZI' is not a string of X, Y and Z"),
        ({"paulis": ["ZZZZ"]}, r"^encoding\.paulis: a string of 4 letters needs as many features, found 3"),
        ({"paulis": ["ZZZ"], "entanglement": "circular"}, r"^encoding\.entanglement: circular is defined for pairs"),
        ({"entanglement": "star"}, r"^encoding\.entanglement: 'star' is not known"),
        ({"repeats": 0}, r"^encoding\.repeats: "),
    ],
)
def test_pauli_feature_map_refuses(options: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        build(3, 3, "pauli_feature_map", **options)


def test_qaoa_embedding() -> None:
    circuit = build(3, 2, "qaoa_embedding")
    assert listing(circuit)[:12] == [
        *["rx 0 x0", "rx 1 x1", "h 2", "rzz 0 1 t0", "rzz 1 2 t1", "rzz 2 0 t2", "ry 0 t3", "ry 1 t4", "ry 2 t5"],
        *["rx 0 x0", "rx 1 x1", "h 2"],
    ]
    assert circuit.parameter_names[2:4] == ("encoding.0.rzz.2_0", "encoding.0.ry.0")
    assert lines(2, 2, "qaoa_embedding", local_field="rz")[2:5] == ["rzz 0 1 t0", "rz 0 t1", "rz 1 t2"]
    assert lines(1, 1, "qaoa_embedding") == ["rx 0 x0", "ry 0 t0", "rx 0 x0"]
    with pytest.raises(InputError, match=r"^encoding\.local_field: 'Y' is not known"):
        build(2, 2, "qaoa_embedding", local_field="Y")


def test_towers() -> None:
    assert lines(3, 1, "fourier") == ["rx 0 x0", "rx 1 x0", "rx 2 x0"]
    assert lines(4, 1, "fourier", scaling="tower") == ["rx 0 x0", "rx 1 2*x0", "rx 2 3*x0", "rx 3 4*x0"]
    assert lines(4, 1, "chebyshev", gate="ry", scaling="exponential") == [
        *["ry 0 acos(x0)", "ry 1 2*acos(x0)", "ry 2 4*acos(x0)", "ry 3 8*acos(x0)"]
    ]
    assert lines(5, 2, "fourier", scaling="tower") == ["rx 0 x0", "rx 1 x1", "rx 2 2*x0", "rx 3 2*x1", "rx 4 3*x0"]
    with pytest.raises(InputError, match=r"^encoding\.scaling: 'linear' is not known"):
        build(2, 1, "fourier", scaling="linear")


def test_chebyshev_gives_chebyshev_polynomials() -> None:
    """<Z> of RX(m arccos x)|0> is T_m(x)."""
    circuit = build(3, 1, "chebyshev", scaling="tower")
    for x in (-0.9, 0.1, 0.6):
        state_N, _ = dense.run(circuit, np.zeros(3), np.array([x]))
        probability = np.abs(state_N.reshape(2, 2, 2)) ** 2
        found = [1 - 2 * probability.take(1, axis=2 - qubit).sum() for qubit in range(3)]
        np.testing.assert_allclose(found, [x, 2 * x**2 - 1, 4 * x**3 - 3 * x], atol=1e-14)
