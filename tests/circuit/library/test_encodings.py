"""Every registered encoding: it builds and has the parameters it documents; the plain ones gate by gate."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from qmltrain.circuit.circuit import Circuit
from qmltrain.circuit.library.encodings import ENCODINGS
from qmltrain.errors import InputError
from tests.circuit import dense
from tests.circuit.library import encoding_alone
from tests.circuit.library.documented_encodings import DOCUMENTED
from tests.circuit.library.encoding_alone import lines
from tests.circuit.library.user_modules import importable
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
    with importable(folder, "user_encoding_for_tests", USER_MODULE):
        yield


def build(n: int, n_features: int, name: str, **options: object) -> Circuit:
    """With the function of `python` filled in."""
    if name == "python":
        options.setdefault("function", "user_encoding_for_tests:encode")
    return encoding_alone.build(n, n_features, name, **options)


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


def test_angle_layers_with_entanglers() -> None:
    once = ["rx 0 x0", "rx 1 x1", "cx 0 1", "cx 1 2", "cx 2 0"]
    assert lines(3, 2, "angle", gate="rx", imprimitive="cx", layers=2) == 2 * once
    assert lines(2, 2, "angle", imprimitive="cz") == ["ry 0 x0", "ry 1 x1", "cz 0 1", "cz 1 0"]
    assert lines(1, 1, "angle", imprimitive="cx", layers=2) == ["ry 0 x0", "ry 0 x0"]
    assert lines(2, 1, "angle", hadamards=True) == ["h 0", "h 1", "ry 0 x0"]
    with pytest.raises(InputError, match=r"^encoding\.imprimitive: 'swap' is not known; choose one of none, cx, cz"):
        build(2, 1, "angle", imprimitive="swap")
    with pytest.raises(InputError, match=r"^encoding\.layers: "):
        build(2, 1, "angle", layers=0)


def test_copies_of_amplitudes_share_the_qubits() -> None:
    assert lines(6, 4, "amplitude", copies=3) == [] and build(6, 4, "amplitude", copies=3).amplitude_encoded
    with pytest.raises(InputError, match=r"4 features on 6 qubits in 3 copies, found 5; set circuit\.n_qubits to 9 or"):
        build(6, 5, "amplitude", copies=3)
    with pytest.raises(InputError, match=r"^encoding\.copies: 5 qubits cannot hold 2 copies .* multiple of 2"):
        build(5, 2, "amplitude", copies=2)
    with pytest.raises(InputError, match=r"^encoding\.copies: "):
        build(5, 2, "amplitude", copies=0)


def test_big_endian_amplitudes_are_swapped() -> None:
    assert lines(3, 8, "amplitude", big_endian=True) == ["swap 0 2"]
    assert lines(4, 8, "amplitude", big_endian=True) == ["swap 0 3", "swap 1 2"]
    assert lines(1, 2, "amplitude", big_endian=True) == []


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


def test_reuploading_by_qubit_leaves_out_what_has_no_feature() -> None:
    circuit = build(2, 3, "reuploading", gates=["rz", "ry"], repeats=2, dealing="by_qubit")
    assert listing(circuit) == [
        *["rz 0 x0*t0", "ry 0 x1*t1", "rz 1 x2*t2", "rx 0 t3", "rx 1 t4"],
        *["rz 0 x0*t5", "ry 0 x1*t6", "rz 1 x2*t7", "rx 0 t8", "rx 1 t9"],
    ]
    biases = build(2, 3, "reuploading", gates=["rz", "ry"], trainable="biases", dealing="by_qubit")
    assert listing(biases)[:4] == ["rz 0 x0+t0", "ry 0 x1+t1", "rz 1 x2+t2", "ry 1 t3"]
    assert biases.parameter_names[2:4] == ("encoding.0.rz.1.bias", "encoding.0.ry.1.bias")
    with pytest.raises(
        InputError, match=r"^encoding\.dealing: by_qubit deals all 5 features .* set circuit.n_qubits=3 or"
    ):
        build(2, 5, "reuploading", gates=["rz", "ry"], repeats=2, dealing="by_qubit")
    with pytest.raises(InputError, match=r"^encoding\.dealing: 'row' is not known; choose one of cyclic, by_qubit"):
        build(2, 2, "reuploading", dealing="row")


def test_reuploading_between_other_beginnings_and_ends() -> None:
    first = build(1, 1, "reuploading", repeats=2, trainable="none", ansatz_first=True)
    assert listing(first) == ["rx 0 t0", "ry 0 x0", "rx 0 t1", "ry 0 x0", "rx 0 t2"]
    last = build(1, 1, "reuploading", repeats=1, last_block=True)
    assert listing(last) == ["ry 0 x0*t0", "rx 0 t1", "ry 0 x0*t2+t3"] and last.parameter_layers == (-1, 0, -1, -1)
    plain = build(1, 1, "reuploading", repeats=1, trainable="none", last_block=True)
    assert listing(plain) == ["ry 0 x0", "rx 0 t0", "ry 0 x0+t1"]


@pytest.mark.parametrize(("n_features", "gates", "repeats"), [(2, ["ry"], 1), (5, ["ry"], 3), (5, ["ry", "rz"], 2)])
def test_as_few_blocks_as_take_every_feature(n_features, gates, repeats) -> None:
    assert build(2, n_features, "reuploading", gates=gates) == build(
        2, n_features, "reuploading", gates=gates, repeats=repeats
    )
    if repeats > 1:
        with pytest.raises(
            InputError, match=rf"leave some of the 5 features unused; set encoding.repeats to {repeats} or"
        ):
            build(2, n_features, "reuploading", gates=gates, repeats=repeats - 1)


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


def test_basis() -> None:
    assert lines(3, 2, "basis") == ["rx 0 3.142*x0", "rx 1 3.142*x1"]


def test_basis_states_are_basis_states() -> None:
    circuit = build(3, 3, "basis")
    for outcome in range(8):
        bits = np.array([outcome >> qubit & 1 for qubit in range(3)], dtype=float)
        state_N, _ = dense.run(circuit, np.zeros(3), bits)
        assert abs(abs(state_N[outcome]) - 1) < 1e-15


def test_python_encoding() -> None:
    assert lines(2, 1, "python", function="user_encoding_for_tests:encode") == ["ry 0 x0*t0", "ry 1 x0*t1"]
    with pytest.raises(InputError, match=r"^encoding\.name: python never called ansatz\(\)"):
        build(2, 1, "python", function="user_encoding_for_tests:forgets")
    with pytest.raises(InputError, match=r"amplitude sets the initial state, but 1 gates precede it"):
        build(2, 1, "python", function="user_encoding_for_tests:late")
