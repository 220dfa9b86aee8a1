"""Every ansatz: it builds, has the parameters it documents, and small ones are the gates written here by hand."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from qmltrain.circuit.circuit import Circuit
from qmltrain.circuit.library.ansatze import ANSATZE
from qmltrain.circuit.library.assemble import assemble
from qmltrain.errors import InputError
from tests.circuit import dense
from tests.circuit.library.documented_ansaetze import DOCUMENTED, ONE_DEPTH
from tests.circuit.listing import listing

QASM_FOLDER: list[Path] = []  # where the files ry_<n>.qasm lie

USER_MODULE = """
from qmltrain.circuit.angle import parameter

def ry_layers(builder, layers):
    for _ in range(layers):
        layer = builder.start_layer()
        for qubit, index in enumerate(builder.parameters(f"mine.{layer}.{q}" for q in range(builder.n_qubits))):
            builder.add("ry", qubit, parameter(index))

def nothing(builder, layers):
    pass

def broken(builder, layers):
    return layers / 0
"""


@pytest.fixture(scope="module", autouse=True)
def user_module(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    folder = tmp_path_factory.mktemp("user")
    (folder / "user_ansatz_for_tests.py").write_text(USER_MODULE)
    for n in DOCUMENTED["qasm"][0]:
        text = "".join(f"input float t{qubit}; ry(t{qubit}) q[{qubit}];\n" for qubit in range(n))
        (folder / f"ry_{n}.qasm").write_text(f"qubit[{n}] q;\n{text}")
    QASM_FOLDER.append(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        yield
    sys.modules.pop("user_ansatz_for_tests", None)


def build(n: int, name: str, **options: object) -> Circuit:
    if name == "qasm":
        options.setdefault("path", str(QASM_FOLDER[-1] / f"ry_{n}.qasm"))
    if name == "python":
        options.setdefault("function", "user_ansatz_for_tests:ry_layers")
    return assemble(n, 0, "none", {}, name, options)


def lines(n: int, name: str, **options: object) -> list[str]:
    return listing(build(n, name, **options))


def registered_sizes() -> list[tuple[str, int]]:
    assert set(DOCUMENTED) == set(ANSATZE), "a registered ansatz is missing in the table of this test"
    return [(name, n) for name in ANSATZE for n in DOCUMENTED[name][0]]


@pytest.mark.parametrize(("name", "n"), registered_sizes())
@pytest.mark.parametrize("layers", [1, 3])
def test_parameters_are_as_documented(name: str, n: int, layers: int) -> None:
    if name in ONE_DEPTH and layers > 1:
        with pytest.raises(InputError, match=r"^ansatz.layers: the depth of"):
            build(n, name, layers=layers)
        return
    circuit = build(n, name, layers=layers)
    assert circuit.n_parameters == DOCUMENTED[name][1](n, layers)
    assert len(set(circuit.parameter_names)) == circuit.n_parameters
    # in order of time: parameters are first used in the order of their indices, and all are used
    used = list(dict.fromkeys(a.weight for gate in circuit.gates for a in gate.angles if a.weight is not None))
    assert used == list(range(circuit.n_parameters))


@pytest.mark.parametrize(("name", "n"), registered_sizes())
def test_layers_are_recorded(name: str, n: int) -> None:
    circuit = build(n, name, layers=1 if name in ONE_DEPTH else 3)
    starts = circuit.layer_starts
    assert starts and list(starts) == sorted(starts) and starts[-1] <= len(circuit.gates)
    assert len(circuit.parameter_layers) == circuit.n_parameters
    for position, gate in enumerate(circuit.gates):
        layer = sum(start <= position for start in starts) - 1
        for angle in gate.angles:
            if angle.weight is not None:
                assert circuit.parameter_layers[angle.weight] == layer
    if name != "python":
        layers = [int(name.split(".")[1]) for name in circuit.parameter_names]
        assert layers == list(circuit.parameter_layers)


@pytest.mark.parametrize("name", [name for name, (sizes, _) in DOCUMENTED.items() if sizes[0] == 2])
def test_one_qubit_too_few_is_refused(name: str) -> None:
    with pytest.raises(InputError, match=r"^ansatz\.name: .*found 1"):
        build(1, name)


@pytest.mark.parametrize("name", sorted(set(ANSATZE) - {"python"}))
@pytest.mark.parametrize("layers", [0, -1, 1.5, True, "2"])
def test_impossible_layers_are_refused(name: str, layers: object) -> None:
    with pytest.raises(InputError, match=r"^ansatz\.layers: "):
        build(4, name, layers=layers)


@pytest.mark.parametrize("name", ["pauli_two_design", "random_layers", "hea", "real_amplitudes"])
def test_repeated_by_reuploading_names_stay_unique(name: str) -> None:
    circuit = assemble(3, 2, "reuploading", {"repeats": 3}, name, {"layers": 2})
    assert len(set(circuit.parameter_names)) == circuit.n_parameters


# ---- gate lists by hand ------------------------------------------------------------------------------------


def test_hea() -> None:
    assert lines(3, "hea", rotations=["ry", "rz"], entangler="cx_ring") == [
        *["ry 0 t0", "rz 0 t1", "ry 1 t2", "rz 1 t3", "ry 2 t4", "rz 2 t5"],
        *["cx 0 1", "cx 1 2", "cx 2 0"],
    ]
    assert lines(2, "hea", rotations=["rx"], layers=2) == [
        "rx 0 t0",
        "rx 1 t1",
        "cz 0 1",
        "rx 0 t2",
        "rx 1 t3",
        "cz 0 1",
    ]
    assert lines(3, "hea", rotations=["rx"], entangler="cx_chain")[3:] == ["cx 0 1", "cx 1 2"]
    assert lines(3, "hea", rotations=["rx"], entangler="cz_chain")[3:] == ["cz 0 1", "cz 1 2"]
    assert lines(3, "hea", rotations=["rx"], entangler="none")[3:] == []
    assert lines(1, "hea") == ["rx 0 t0", "ry 0 t1", "rz 0 t2"]
    names = build(2, "hea", rotations=["rx", "ry", "rx"]).parameter_names
    assert names == tuple(f"ansatz.0.{gate}.{q}" for q in (0, 1) for gate in ("rx", "ry", "rx_2"))


def test_hea_of_the_headline_has_sixty_thousand_parameters() -> None:
    circuit = build(20, "hea", layers=1000)
    assert circuit.n_parameters == 60_000 and len(circuit.gates) == 80_000
    assert circuit.parameter_names[0] == "ansatz.0.rx.0" and circuit.parameter_names[-1] == "ansatz.999.rz.19"


def test_strongly_entangling() -> None:
    assert lines(1, "strongly_entangling") == ["rz 0 t0", "ry 0 t1", "rz 0 t2"]
    two = lines(2, "strongly_entangling", layers=2)
    assert two[6:8] == ["cx 0 1", "cx 1 0"] and two[14:] == ["cx 0 1", "cx 1 0"]
    # ranges of four layers on four qubits: 1, 2, 3, 1
    entanglers = [line for line in lines(4, "strongly_entangling", layers=4) if line.startswith("cx")]
    assert entanglers[::4] == ["cx 0 1", "cx 0 2", "cx 0 3", "cx 0 1"]
    assert entanglers[4:8] == ["cx 0 2", "cx 1 3", "cx 2 0", "cx 3 1"]
    given = lines(3, "strongly_entangling", ranges=[2], imprimitive="cz")
    assert given[9:] == ["cz 0 2", "cz 1 0", "cz 2 1"]


@pytest.mark.parametrize("ranges", [[], [1], [1, 1, 1], [0, 1], [3, 1], [1, -1], [1.0, 1], "12"])
def test_impossible_ranges_are_refused(ranges: object) -> None:
    with pytest.raises(InputError, match=r"^ansatz\.ranges: "):
        build(3, "strongly_entangling", layers=2, ranges=ranges)


def test_basic_entangler_and_simplified_two_design() -> None:
    assert lines(3, "basic_entangler") == ["rx 0 t0", "rx 1 t1", "rx 2 t2", "cx 0 1", "cx 1 2", "cx 2 0"]
    assert lines(2, "basic_entangler") == ["rx 0 t0", "rx 1 t1", "cx 0 1"]
    assert lines(4, "simplified_two_design") == [
        *["ry 0 t0", "ry 1 t1", "ry 2 t2", "ry 3 t3"],
        *["cz 0 1", "ry 0 t4", "ry 1 t5", "cz 2 3", "ry 2 t6", "ry 3 t7", "cz 1 2", "ry 1 t8", "ry 2 t9"],
    ]
    names = build(4, "simplified_two_design").parameter_names
    assert names[4:] == tuple(f"ansatz.1.{place}" for place in ("ry.0", "ry.1", "ry.2", "ry.3", "ry_2.1", "ry_2.2"))


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


def test_sim_circuits() -> None:
    rx_rz = ["rx 0 t0", "rx 1 t1", "rx 2 t2", "rz 0 t3", "rz 1 t4", "rz 2 t5"]
    assert lines(3, "sim_2") == [*rx_rz, "cx 2 1", "cx 1 0"]
    assert lines(3, "sim_19") == [*rx_rz, "crx 2 0 t6", "crx 1 2 t7", "crx 0 1 t8"]
    for name, gate in (("sim_13", "crz"), ("sim_14", "crx")):
        assert lines(3, name) == [
            *["ry 0 t0", "ry 1 t1", "ry 2 t2", f"{gate} 2 0 t3", f"{gate} 1 2 t4", f"{gate} 0 1 t5"],
            *["ry 0 t6", "ry 1 t7", "ry 2 t8", f"{gate} 2 1 t9", f"{gate} 0 2 t10", f"{gate} 1 0 t11"],
        ]
    assert lines(3, "sim_15") == [
        *["ry 0 t0", "ry 1 t1", "ry 2 t2", "cx 2 0", "cx 1 2", "cx 0 1"],
        *["ry 0 t3", "ry 1 t4", "ry 2 t5", "cx 2 1", "cx 0 2", "cx 1 0"],
    ]


def test_trees_and_chains() -> None:
    def block(a: int, b: int, first: int) -> list[str]:
        return [f"cx {a} {b}", f"ry {a} t{first}", f"ry {b} t{first + 1}"]

    assert lines(4, "ttn") == block(0, 1, 0) + block(2, 3, 2) + block(1, 3, 4)
    assert lines(4, "mps") == block(0, 1, 0) + block(1, 2, 2) + block(2, 3, 4)
    assert lines(3, "mps", layers=2) == block(0, 1, 0) + block(1, 2, 2) + block(0, 1, 4) + block(1, 2, 6)


def test_qcnn() -> None:
    def convolution(a: int, b: int, t: int) -> list[str]:
        return [*pooling(a, b, t), f"cx {b} {a}", f"rz {a} 1.571"]

    def pooling(a: int, b: int, t: int) -> list[str]:
        return [f"rz {b} -1.571", f"cx {b} {a}", f"rz {a} t{t}", f"ry {b} t{t + 1}", f"cx {a} {b}", f"ry {b} t{t + 2}"]

    four = convolution(0, 1, 0) + convolution(2, 3, 3) + convolution(1, 2, 6) + convolution(3, 0, 9)
    four += pooling(0, 2, 12) + pooling(1, 3, 15)
    four += convolution(2, 3, 18) + convolution(3, 2, 21) + pooling(2, 3, 24)
    assert lines(4, "qcnn") == four
    assert build(8, "qcnn").n_parameters == 63
    assert len(build(8, "qcnn").layer_starts) == 6


@pytest.mark.parametrize("name", ONE_DEPTH)
@pytest.mark.parametrize("n", [3, 5, 6, 12])
def test_trees_need_a_power_of_two(name: str, n: int) -> None:
    with pytest.raises(InputError, match=rf"power of two from 2 on, such as \d+ or \d+; found {n}"):
        build(n, name)


def test_random_structures_are_fixed_by_their_seed() -> None:
    # Pinned: a change here would change the circuits of stored configs.
    assert lines(3, "random_layers", n_rotations=5, seed=2) == [
        "rx 1 t0",
        "ry 2 t1",
        "cx 2 1",
        "rz 0 t2",
        "rx 0 t3",
        "rz 1 t4",
    ]
    assert lines(3, "pauli_two_design", seed=1)[3:] == [
        "rz 0 t0",
        "rx 1 t1",
        "ry 2 t2",
        "cz 0 1",
        "cz 1 2",
        "rx 0 t3",
        "rx 1 t4",
        "rz 2 t5",
    ]
    for name in ("random_layers", "pauli_two_design"):
        assert lines(5, name, layers=4) == lines(5, name, layers=4, seed=0)
        assert lines(5, name, layers=4) != lines(5, name, layers=4, seed=1)
        with pytest.raises(InputError, match=r"^ansatz\.seed: .*found -1"):
            build(3, name, seed=-1)


def test_random_layers_options() -> None:
    circuit = build(4, "random_layers", layers=50, n_rotations=20, ratio_imprimitive=0.5)
    n_cx = sum(gate.name == "cx" for gate in circuit.gates)
    assert circuit.n_parameters == 1000
    assert 850 < n_cx < 1150  # as many as rotations, give or take five standard deviations
    assert {gate.name for gate in circuit.gates} == {"rx", "ry", "rz", "cx"}
    assert not any(gate.name == "cx" for gate in build(1, "random_layers", layers=9).gates)
    assert not any(gate.name == "cx" for gate in build(4, "random_layers", layers=9, ratio_imprimitive=0.0).gates)
    for ratio in (1.0, -0.1, float("nan")):
        with pytest.raises(InputError, match=r"^ansatz\.ratio_imprimitive: "):
            build(3, "random_layers", ratio_imprimitive=ratio)
    with pytest.raises(InputError, match=r"^ansatz\.n_rotations: "):
        build(3, "random_layers", n_rotations=0)


def test_qaoa(tmp_path: Path) -> None:
    assert lines(3, "qaoa", layers=2) == [
        *["h 0", "h 1", "h 2"],
        *["rzz 0 1 2*t0", "rzz 1 2 2*t0", "rzz 2 0 2*t0", "rx 0 2*t1", "rx 1 2*t1", "rx 2 2*t1"],
        *["rzz 0 1 2*t2", "rzz 1 2 2*t2", "rzz 2 0 2*t2", "rx 0 2*t3", "rx 1 2*t3", "rx 2 2*t3"],
    ]
    assert build(3, "qaoa").parameter_names == ("ansatz.0.gamma", "ansatz.0.beta")
    assert build(3, "qaoa").layer_starts == (3,)
    (tmp_path / "graph.txt").write_text("# three edges\n0 2 0.5\n\n2 1   # weight one\n")
    drawn = lines(3, "qaoa", graph="file", path=str(tmp_path / "graph.txt"))
    assert drawn[3:5] == ["rzz 0 2 t0", "rzz 2 1 2*t0"]
    assert len(lines(6, "qaoa", graph="random_regular", degree=4, seed=3)) == 6 + 12 + 6


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"graph": "star"}, r"^ansatz\.graph: 'star' is not known; choose one of ring, chain, complete, "),
        ({"graph": "ring", "degree": 3}, r"^ansatz\.degree: not used by graph ring"),
        ({"graph": "complete", "seed": 3}, r"^ansatz\.seed: not used by graph complete"),
        ({"path": "a.txt"}, r"^ansatz\.path: not used by graph ring"),
        ({"graph": "file"}, r"^ansatz\.path: needed by graph file"),
        ({"graph": "random_regular", "degree": 5}, r"^ansatz\.degree: 5 is not in 1\.\.4"),
        ({"graph": "random_regular", "degree": 3}, r"^ansatz\.degree: no graph of 5 nodes"),
    ],
)
def test_qaoa_refuses(options: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        build(5, "qaoa", **options)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("hea", {"rotations": ["rx", "cx"]}, r"^ansatz\.rotations: 'cx' is not known; choose one of rx, ry, rz"),
        ("hea", {"rotations": []}, r"^ansatz\.rotations: a list is needed"),
        ("hea", {"rotations": "rx"}, r"^ansatz\.rotations: a list is needed"),
        ("hea", {"entangler": "ring"}, r"^ansatz\.entangler: 'ring' is not known; choose one of cz_ring"),
        ("strongly_entangling", {"imprimitive": "swap"}, r"^ansatz\.imprimitive: "),
        ("real_amplitudes", {"entanglement": "star"}, r"^ansatz\.entanglement: 'star' is not known"),
        ("two_local", {"entangler": "cu"}, r"^ansatz\.entangler: 'cu' is not known"),
        ("two_local", {"rotations": ["id"]}, r"^ansatz\.rotations: 'id' is not known"),
    ],
)
def test_unknown_choices_are_refused(name: str, options: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        build(3, name, **options)


def test_python_ansatz() -> None:
    circuit = build(2, "python", layers=2)
    assert listing(circuit) == ["ry 0 t0", "ry 1 t1", "ry 0 t2", "ry 1 t3"]
    assert circuit.parameter_layers == (0, 0, 1, 1)
    with pytest.raises(InputError, match=r"^ansatz\.function: user_ansatz_for_tests:broken failed at .*py:14: Zero"):
        build(2, "python", function="user_ansatz_for_tests:broken")
    assert build(2, "python", function="user_ansatz_for_tests:nothing").n_parameters == 0
