"""Tree- and chain-shaped ansaetze as the gates written here by hand."""

from __future__ import annotations

import pytest

from qmltrain.errors import InputError
from tests.circuit.library.ansatz_alone import build, lines
from tests.circuit.library.documented_ansaetze import ONE_DEPTH


def test_trees_and_chains() -> None:
    def block(a: int, b: int, first: int) -> list[str]:
        return [f"cx {a} {b}", f"ry {a} t{first}", f"ry {b} t{first + 1}"]

    assert lines(4, "ttn") == block(0, 1, 0) + block(2, 3, 2) + block(1, 3, 4)
    assert lines(4, "mps") == block(0, 1, 0) + block(1, 2, 2) + block(2, 3, 4)
    assert lines(3, "mps", layers=2) == block(0, 1, 0) + block(1, 2, 2) + block(0, 1, 4) + block(1, 2, 6)


def test_a_tree_with_rotations_first() -> None:
    assert lines(2, "ttn", block="ry_cx") == ["ry 0 t0", "ry 1 t1", "cx 1 0", "ry 0 t2"]
    four = ["ry 0 t0", "ry 1 t1", "ry 2 t2", "ry 3 t3", "cx 1 0", "cx 3 2", "ry 0 t4", "ry 2 t5", "cx 2 0", "ry 0 t6"]
    assert lines(4, "ttn", block="ry_cx") == four
    circuit = build(8, "ttn", block="ry_cx")
    assert circuit.n_parameters == 15 and len(circuit.layer_starts) == 4
    with pytest.raises(InputError, match=r"^ansatz\.block: 'cz' is not known; choose one of cx_ry, ry_cx"):
        build(2, "ttn", block="cz")


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
