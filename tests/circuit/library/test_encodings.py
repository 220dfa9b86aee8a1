"""Every encoding: it builds, has the parameters it documents, and small ones are the gates written here by hand."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import numpy as np
import pytest

from qmltrain.circuit.circuit import Circuit
from qmltrain.circuit.library.assemble import assemble
from qmltrain.circuit.library.encodings import ENCODINGS
from qmltrain.errors import InputError
from tests.circuit import dense
from tests.circuit.library.documented_encodings import DOCUMENTED
from tests.circuit.listing import listing

USER_MODULE = """
from qmltrain.circuit.angle import feature

def encode(builder, ansatz):
    for qubit, weight in enumerate(builder.parameters(f"mine.{q}" for q in range(builder.n_qubits))):
        builder.add("ry", qubit, feature(0, weight=weight))
    ansatz()

def forgets(builder, ansatz):
    builder.add("h", 0)

def late(builder, ansatz):
    builder.add("h", 0)
    builder.amplitude_encode()
"""


@pytest.fixture(scope="module", autouse=True)
def user_module(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    folder = tmp_path_factory.mktemp("user")
    (folder / "user_encoding_for_tests.py").write_text(USER_MODULE)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        yield
    sys.modules.pop("user_encoding_for_tests", None)


def build(n: int, n_features: int, name: str, **options: object) -> Circuit:
    """The encoding around an ansatz of one RX a qubit."""
    if name == "python":
        options.setdefault("function", "user_encoding_for_tests:encode")
    return assemble(n, n_features, name, options, "hea", {"rotations": ["rx"], "entangler": "none"})


def lines(n: int, n_features: int, name: str, **options: object) -> list[str]:
    """The gates of the encoding, without those of the ansatz behind it."""
    circuit = build(n, n_features, name, **options)
    assert len(circuit.layer_starts) == 1
    return listing(circuit)[: circuit.layer_starts[0]]


def registered_sizes() -> list[tuple[str, int, int]]:
    assert set(DOCUMENTED) == set(ENCODINGS), "a registered encoding is missing in the table of this test"
    return [(name, n, f) for name in ENCODINGS for n, f in DOCUMENTED[name][0]]


@pytest.mark.parametrize(("name", "n", "n_features"), registered_sizes())
def test_builds_as_documented(name: str, n: int, n_features: int) -> None:
    circuit = build(n, n_features, name)
    assert circuit.n_parameters == DOCUMENTED[name][1](n) + n
    assert len(set(circuit.parameter_names)) == circuit.n_parameters
    assert circuit.amplitude_encoded == (name == "amplitude")
    for parameter, layer in zip(circuit.parameter_names, circuit.parameter_layers, strict=True):
        assert (layer == 0) == parameter.startswith("ansatz."), (parameter, layer)
    if name not in ("amplitude", "none", "python"):
        used = {i for gate in circuit.gates for a in gate.angles if a.feature for i in a.feature.indices}
        assert used == set(range(n_features)), "a feature never enters the circuit"


@pytest.mark.parametrize("name", sorted(set(ENCODINGS) - {"none", "python"}))
def test_no_features_are_refused(name: str) -> None:
    with pytest.raises(InputError, match=r"^encoding\.name: .* encodes features, but there are none"):
        build(2, 0, name)


@pytest.mark.parametrize("name", sorted(set(ENCODINGS) - {"none", "python", "amplitude", "reuploading"}))
def test_more_features_than_qubits_are_refused_with_the_fix(name: str) -> None:
    with pytest.raises(InputError, match=r"found 5 features for 3 qubits; set preprocess\.pca=3, or encoding=reup"):
        build(3, 5, name)


# ---- gate lists by hand ------------------------------------------------------------------------------------


def test_angle() -> None:
    assert lines(3, 2, "angle") == ["ry 0 x0", "ry 1 x1"]
    assert lines(1, 1, "angle", gate="rz") == ["rz 0 x0"]
    with pytest.raises(InputError, match=r"^encoding\.gate: 'h' is not known; choose one of rx, ry, rz"):
        build(1, 1, "angle", gate="h")


def test_amplitude_has_no_gates_and_a_limit() -> None:
    assert lines(3, 8, "amplitude") == []
    with pytest.raises(InputError, match=r"holds 8 features on 3 qubits, found 9; set circuit\.n_qubits to 4 or more"):
        build(3, 9, "amplitude")


def test_reuploading_deals_features_cyclically() -> None:
    circuit = build(2, 3, "reuploading", gates=["ry", "rz"], repeats=2, trainable="none")
    assert listing(circuit) == [
        *["ry 0 x0", "ry 1 x1", "rz 0 x2", "rz 1 x0", "rx 0 t0", "rx 1 t1"],
        *["ry 0 x1", "ry 1 x2", "rz 0 x0", "rz 1 x1", "rx 0 t2", "rx 1 t3"],
    ]
    assert circuit.layer_starts == (4, 10)
    halves = build(8, 16, "reuploading", repeats=4, trainable="none")
    firsts = [g.angles[0].feature.indices[0] for g in halves.gates if g.angles[0].feature and g.qubits == (0,)]
    assert firsts == [0, 8, 0, 8]


def test_weights_of_every_block_belong_to_no_layer() -> None:
    circuit = build(2, 2, "reuploading", repeats=3)
    assert circuit.parameter_layers == (-1, -1, 0, 0, -1, -1, 1, 1, -1, -1, 2, 2)
    assert [name.split(".")[:2] for name in circuit.parameter_names[4:8:2]] == [["encoding", "1"], ["ansatz", "1"]]


def test_reuploading_trainable_weights() -> None:
    circuit = build(2, 2, "reuploading", trainable="weights_and_biases")
    assert listing(circuit)[:2] == ["ry 0 x0*t0+t1", "ry 1 x1*t2+t3"]
    assert circuit.parameter_names == (
        *("encoding.0.ry.0.weight", "encoding.0.ry.0.bias", "encoding.0.ry.1.weight", "encoding.0.ry.1.bias"),
        *("ansatz.0.rx.0", "ansatz.0.rx.1"),
    )
    weights = build(1, 1, "reuploading", gates=["rz", "ry", "rz"], repeats=2)
    assert listing(weights) == [
        *["rz 0 x0*t0", "ry 0 x0*t1", "rz 0 x0*t2", "rx 0 t3"],
        *["rz 0 x0*t4", "ry 0 x0*t5", "rz 0 x0*t6", "rx 0 t7"],
    ]
    assert weights.parameter_names[:4] == (
        *("encoding.0.rz.0.weight", "encoding.0.ry.0.weight", "encoding.0.rz_2.0.weight"),
        "ansatz.0.rx.0",
    )


def test_reuploading_refuses_what_would_leave_features_out() -> None:
    build(4, 16, "reuploading", gates=["rx", "ry"], repeats=2)
    message = r"3 repeats x 4 qubits x 1 gates leave some of the 16 features unused; set encoding\.repeats to 4"
    with pytest.raises(InputError, match=message):
        build(4, 16, "reuploading", repeats=3)
    for options, key in (
        ({"gates": []}, "gates"),
        ({"gates": "ry"}, "gates"),
        ({"gates": ["ry", "cx"]}, "gates"),
        ({"repeats": 0}, "repeats"),
        ({"repeats": 1.0}, "repeats"),
        ({"trainable": "yes"}, "trainable"),
    ):
        with pytest.raises(InputError, match=rf"^encoding\.{key}: "):
            build(2, 2, "reuploading", **options)


def test_basis_and_iqp() -> None:
    assert lines(3, 2, "basis") == ["rx 0 3.142*x0", "rx 1 3.142*x1"]
    assert lines(3, 3, "iqp") == [
        *["h 0", "rz 0 x0", "h 1", "rz 1 x1", "h 2", "rz 2 x2"],
        *["rzz 0 1 prod(0-x0x1)", "rzz 0 2 prod(0-x0x2)", "rzz 1 2 prod(0-x1x2)"],
    ]
    assert lines(3, 3, "iqp", entanglement="linear")[6:] == ["rzz 0 1 prod(0-x0x1)", "rzz 1 2 prod(0-x1x2)"]
    assert len(lines(3, 3, "iqp", repeats=3)) == 27


def test_basis_states_are_basis_states() -> None:
    circuit = build(3, 3, "basis")
    for outcome in range(8):
        bits = np.array([outcome >> qubit & 1 for qubit in range(3)], dtype=float)
        state_N, _ = dense.run(circuit, np.zeros(3), bits)
        assert abs(abs(state_N[outcome]) - 1) < 1e-15


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
    from qmltrain.circuit.gates import pauli_rotation

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
        phase = np.vdot(expected, found) / len(found)
        assert abs(abs(phase) - 1) < 1e-12, letters


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


def test_python_encoding() -> None:
    assert lines(2, 1, "python") == ["ry 0 x0*t0", "ry 1 x0*t1"]
    with pytest.raises(InputError, match=r"^encoding\.name: python never called ansatz\(\)"):
        build(2, 1, "python", function="user_encoding_for_tests:forgets")
    with pytest.raises(InputError, match=r"amplitude sets the initial state, but 1 gates precede it"):
        build(2, 1, "python", function="user_encoding_for_tests:late")
