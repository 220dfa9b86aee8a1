"""Hamiltonians, each against its formula written out with Kronecker products."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from qmltrain.circuit.gates import PAULI
from qmltrain.circuit.library.assemble import assemble_observables
from qmltrain.errors import InputError
from tests.circuit.library.dense_observables import matrix


def on(n: int, **letters: str) -> np.ndarray:
    """``on(3, q0="X", q2="Z")``: the dense product; qubit 0 is the last factor."""
    product = np.ones((1, 1), dtype=complex)
    for qubit in range(n):
        product = np.kron(PAULI[letters.get(f"q{qubit}", "I")], product)
    return product


def pair(n: int, letter: str, i: int, j: int) -> np.ndarray:
    return on(n, **{f"q{i}": letter, f"q{j}": letter})


def dense(n: int, name: str, **options: object) -> np.ndarray:
    observables = assemble_observables(n, name, options)
    assert observables.n_observables == 1
    return matrix(observables, 0, n)


@pytest.mark.parametrize("n", [2, 3, 4])
def test_ising(n: int) -> None:
    expected = sum(-pair(n, "Z", q, q + 1) for q in range(n - 1)) - sum(on(n, **{f"q{q}": "X"}) for q in range(n))
    np.testing.assert_allclose(dense(n, "ising"), expected, atol=1e-15)
    ring = -0.5 * sum(pair(n, "Z", q, (q + 1) % n) for q in range(n if n > 2 else 1))
    ring = ring - 2.0 * sum(on(n, **{f"q{q}": "X"}) for q in range(n))
    np.testing.assert_allclose(dense(n, "ising", graph="ring", coupling=0.5, field=2.0), ring, atol=1e-15)


def test_ising_ground_energy_is_that_of_free_fermions() -> None:
    # Open chain: E_0 = -sum of the singular values of the bidiagonal matrix (h on the diagonal, J beside it).
    n, coupling, field = 6, 0.7, 1.3
    modes = np.linalg.svd(field * np.eye(n) + coupling * np.eye(n, k=1), compute_uv=False)
    lowest = np.linalg.eigvalsh(dense(n, "ising", coupling=coupling, field=field))[0]
    assert lowest == pytest.approx(-np.sum(modes), abs=1e-12)


@pytest.mark.parametrize("n", [2, 3])
def test_heisenberg(n: int) -> None:
    couplings = {"X": 0.5, "Y": -1.0, "Z": 2.0}
    expected = sum(value * pair(n, letter, q, q + 1) for letter, value in couplings.items() for q in range(n - 1))
    expected = expected - 0.3 * sum(on(n, **{f"q{q}": "Z"}) for q in range(n))
    found = dense(n, "heisenberg", couplings=list(couplings.values()), field=0.3)
    np.testing.assert_allclose(found, expected, atol=1e-15)


def test_the_antiferromagnetic_pair_is_a_singlet() -> None:
    np.testing.assert_allclose(np.linalg.eigvalsh(dense(2, "heisenberg")), [-3, 1, 1, 1], atol=1e-14)
    assert len(assemble_observables(2, "heisenberg", {"couplings": [1.0, 1.0, 0.0]}).strings) == 2


def test_maxcut_counts_what_is_cut(tmp_path: Path) -> None:
    path = tmp_path / "graph.txt"
    path.write_text("0 1 2.0\n1 2 -0.5\n0 3\n")
    diagonal = np.diag(dense(4, "maxcut", graph="file", path=str(path))).real
    for bits in range(16):
        side = [bits >> q & 1 for q in range(4)]
        cut = 2.0 * (side[0] != side[1]) - 0.5 * (side[1] != side[2]) + 1.0 * (side[0] != side[3])
        assert diagonal[bits] == pytest.approx(-cut)
    assert np.min(np.diag(dense(5, "maxcut")).real) == pytest.approx(-4)  # a ring of five
    regular = dense(6, "maxcut", graph="random_regular", degree=3, seed=1)
    assert np.min(np.diag(regular).real) in (-7, -9)  # the prism and K_3,3


def test_parity() -> None:
    np.testing.assert_allclose(np.diag(dense(3, "parity")).real, [1, -1, -1, 1, -1, 1, 1, -1])
    observables = assemble_observables(3, "parity", {"qubits": [2, 0]})
    assert observables.names == ("Z2 Z0",) and observables.strings[0].z_mask == 0b101


def test_file(tmp_path: Path) -> None:
    path = tmp_path / "h2.txt"
    path.write_text("# energy offset\n-0.5\n0.25 X0 X1 # twice\n\n0.25 X0 X1\n-1e-1*Y0 Z1 + Z0\n")
    observables = assemble_observables(2, "hamiltonian", {"path": str(path)})
    assert observables.names == ("h2",) and len(observables.strings) == 3 and observables.constants == (-0.5,)
    expected = -0.5 * on(2) + 0.5 * pair(2, "X", 0, 1) - 0.1 * on(2, q0="Y", q1="Z") + on(2, q0="Z")
    np.testing.assert_allclose(matrix(observables, 0, 2), expected, atol=1e-15)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("ising", {"graph": "star"}, r"^observable\.graph: 'star' is not known"),
        ("ising", {"graph": "chain", "degree": 2}, r"^observable\.degree: not used by graph chain"),
        ("ising", {"couplings": [1.0]}, r"^observable\.couplings: not used by ising"),
        ("ising", {"coupling": 0.0, "field": 0.0}, r"nothing to measure"),
        (
            "heisenberg",
            {"couplings": [1e308, 0.0, 0.0], "field": -math.inf},
            "a coefficient of heisenberg is not finite",
        ),
        ("heisenberg", {"couplings": [1.0, 2.0]}, r"^observable\.couplings: \[Jx, Jy, Jz\] is needed, found \[1\.0, 2"),
        ("heisenberg", {"couplings": [0.0, 0.0, 0.0]}, r"nothing to measure"),
        ("maxcut", {"graph": "random_regular", "degree": 9}, r"^observable\.degree: 9 is not in 1\.\.2"),
        ("maxcut", {"graph": "file"}, r"^observable\.path: needed by graph file"),
        ("parity", {"qubits": [3]}, r"^observable\.qubits: 3 is not in"),
        ("hamiltonian", {}, r"^observable\.path: needed by hamiltonian"),
        ("hamiltonian", {"path": "missing.txt"}, r"^observable\.path: the Hamiltonian missing\.txt cannot be read"),
    ],
)
def test_bad_input_is_refused(name: str, options: dict, message: str) -> None:
    with pytest.raises(InputError, match=message) as refused:
        assemble_observables(3, name, options)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("name", ["ising", "heisenberg", "maxcut"])
def test_one_qubit_has_no_edges(name: str) -> None:
    with pytest.raises(InputError, match=r"^observable\.name: .* needs at least 2 qubits"):
        assemble_observables(1, name, {})


def test_files_of_windows_are_read(tmp_path: Path) -> None:
    """A byte order mark and CRLF are no part of a Hamiltonian or of a graph."""
    for encoding, end in (("utf-8", "\n"), ("utf-8-sig", "\r\n")):
        (tmp_path / encoding).mkdir()
        for name, lines in (("h.txt", ["0.5 X0 Z1", "-0.3 Z0"]), ("graph.txt", ["0 1 2.0", "1 2"])):
            (tmp_path / encoding / name).write_bytes(end.join([*lines, ""]).encode(encoding))
    for name, file, options in (("hamiltonian", "h.txt", {}), ("maxcut", "graph.txt", {"graph": "file"})):
        plain, marked = (
            assemble_observables(3, name, {"path": str(tmp_path / encoding / file), **options})
            for encoding in ("utf-8", "utf-8-sig")
        )
        assert marked == plain


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has no terms"),
        ("# only words\n", "has no terms"),
        ("0.5 X0\n0.5 Q1\n", "line 2 of .*position 5"),
        ("0.5 X0 X3\n", "line 1 of .*qubit 3 is not in"),
        ("0.5 X0 X0\n", "stands twice"),
        ("[[1, 2]]", "cannot be read"),
        ("Z0\n1e999 X0 X1\n", "line 2 of .*the number 1e999 is beyond"),
        ("1e308 Z0\n1e308 Z0\n", "observable: a coefficient of h is not finite"),
    ],
)
def test_bad_files_are_refused_with_the_line(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "h.txt").write_text(text)
    with pytest.raises(InputError, match=r"^observable(\.path)?: .*" + message.removeprefix("observable: ")) as refused:
        assemble_observables(3, "hamiltonian", {"path": str(tmp_path / "h.txt")})
    assert "\n" not in str(refused.value)
