"""Layered ansaetze as the gates written here by hand, in the order of their sources."""

from __future__ import annotations

import pytest

from qmltrain.errors import InputError
from tests.circuit.library.ansatz_alone import build, lines


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
    brick = lines(4, "hea", rotations=[], entangler="cz_brick", layers=3)
    assert brick == ["cz 0 1", "cz 2 3", "cz 1 2", "cz 0 1", "cz 2 3"]
    assert lines(5, "hea", rotations=[], entangler="cx_brick", layers=2) == ["cx 0 1", "cx 2 3", "cx 1 2", "cx 3 4"]
    assert lines(1, "hea", rotations=["rx"], entangler="cx_brick", layers=2) == ["rx 0 t0", "rx 0 t1"]
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


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("hea", {"rotations": ["rx", "cx"]}, r"^ansatz\.rotations: 'cx' is not known; choose one of rx, ry, rz"),
        ("hea", {"rotations": "rx"}, r"^ansatz\.rotations: a list is needed"),
        ("hea", {"entangler": "ring"}, r"^ansatz\.entangler: 'ring' is not known; choose one of cz_ring"),
        ("strongly_entangling", {"imprimitive": "swap"}, r"^ansatz\.imprimitive: "),
    ],
)
def test_unknown_choices_are_refused(name: str, options: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        build(3, name, **options)
