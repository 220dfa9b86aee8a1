"""Texts of OpenQASM: comments, names and statements of version 2, lines in messages, and damaged programs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qmltrain.circuit.interchange.qasm_import import Program, read_program
from qmltrain.circuit.interchange.qasm_text import statements, without_comments
from qmltrain.errors import InputError
from tests.circuit.dense import apply, assert_same_up_to_phase, unitary
from tests.circuit.interchange.openqasm_matrices import ANGLES, MATRICES, matrix
from tests.circuit.interchange.programs import HEADER, circuit_of
from tests.circuit.interchange.random_programs import GAPS, LIBRARY_GATES, programs
from tests.examples import examples

pytest.importorskip("openqasm3", reason="needs the extra qasm")

HEADER_2 = 'OPENQASM 2.0;\ninclude "qelib1.inc";\n'


@settings(max_examples=examples(40), deadline=None)
@given(st.data(), st.sampled_from([2, 3]))
def test_gates_of_random_programs_mean_their_matrices(data, version):
    """Gates between gaps and comments, on qubits of two registers, against a product of matrices."""
    text = HEADER + "qubit[2] ctrl_; qubit last;" if version == 3 else HEADER_2 + "qreg ctrl[2]; qreg last[1];"
    first, last = ("ctrl_", "last") if version == 3 else ("ctrl", "last[0]")
    places = [f"{first}[0]", f"{first}[1]", last]
    gap = lambda: data.draw(GAPS)  # noqa: E731
    expected = np.eye(8)
    for name in data.draw(st.lists(st.sampled_from(sorted(LIBRARY_GATES)), min_size=1, max_size=4)):
        n_angles, n_qubits = LIBRARY_GATES[name]
        qubits = tuple(data.draw(st.permutations(range(3)))[:n_qubits])
        angles = f"({gap()}{f'{gap()},'.join(map(str, ANGLES[:n_angles]))})" if n_angles else " "
        text += f"{gap()}{name}{angles}{gap()}{f',{gap()}'.join(places[k] for k in qubits)}{gap()};"
        expected = apply(matrix(name), expected, qubits, 3)
    assert_same_up_to_phase(unitary(circuit_of(text)), expected.T)


def test_names_of_version_2_may_be_keywords_of_version_3():
    text = HEADER_2 + """qreg ctrl[1]; qreg input[2]; creg output[3]; creg none[0]; creg const [ 0 ] ;
    gate inv(angle, float) pow, let { rx(angle*2^2) pow; ry(-float) let; cx pow, let; }
    inv(in, x0) ctrl[0], input[1]; // in is an input
    rz(in*sin(1)) input;
    measure ctrl[0] -> output[0];
    """  # fmt: skip
    program = read_program(text, "f")
    assert (program.n_qubits, program.parameter_names, program.n_features) == (3, ("in",), 1)
    names = [(gate.name, gate.qubits, *(angle.scale for angle in gate.angles)) for gate in program.gates]
    assert names == [
        ("rx", (0,), 4.0), ("ry", (2,), -1.0), ("cx", (0, 2)), ("rz", (1,), np.sin(1)), ("rz", (2,), np.sin(1)),
    ]  # fmt: skip
    with pytest.raises(InputError, match="line 4: 'out' is not a register") as caught:
        read_program(HEADER_2 + "qreg int[1];\nrx(0) out[0];", "f")
    assert caught.match("^f, ")
    with pytest.raises(InputError, match="line 3: int.1.: the register has 1 qubits"):
        read_program(HEADER_2 + "qreg int[1]; rx(2^2) int[1];", "f")


def test_version_2_has_one_constant():
    assert read_program(HEADER_2 + "qreg q[1]; rx(tau) q[0]; rx(pi) q[0];", "f").parameter_names == ("tau",)
    assert read_program(HEADER + "qubit q; rx(tau) q;", "f").parameter_names == ()


def test_opaque_gates_may_stand_there_unused():
    text = HEADER_2 + "opaque wait(t, u) a, b; opaque ready q; qreg q[1]; ry(0.3) q[0];"
    assert_same_up_to_phase(unitary(circuit_of(text)), MATRICES["ry"](0.3))


def test_comments_leave_everything_in_its_place():
    text = 'a // b "c"\n/* d\n; */ include "e//f"; /**/g \'/*h*/\''
    expected = f"a{' ' * 9}\n{' ' * 4}\n{' ' * 5}include \"e//f\";{' ' * 5}g '/*h*/'"
    assert without_comments(text, "f") == expected and len(expected) == len(text)


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("x q;\n\ny q; z\n q;", [1, 3, 3]),
        ("for int i in {1, 0} { x q[i]; }\nx q;\nif (c) { x q; }\nelse { y q; }\nif (d) {x q;} y q;", [1, 2, 3, 5, 5]),
        ("gate g a {\n x a; } g q;\nbox { x q; }\nh q; @note a; b\n x q; y q;", [1, 2, 3, 4, 4, 5]),
        ('include "a;b";\nx q[{0, 1}]; array[int, 2] a = {1, 2};\ny q', [1, 2, 2]),
    ],
)
def test_statements_and_their_lines(text, lines):
    found = []
    try:
        for statement in statements(text, "f", False):
            found.append(statement.span.start_line)
    except InputError as error:
        assert "line 3, column 4 ('<EOF>')" in str(error)
    assert found == lines


def test_what_is_refused_late_is_found_at_once(monkeypatch):
    """Registers, kinds of statements and names of gates are looked at before the first gate is read."""
    monkeypatch.setattr("qmltrain.circuit.interchange.qasm_import.statements", lambda *_: pytest.fail("read"))
    text = (
        HEADER_2
        + "qreg q[3]; qreg p[50];\ncreg c[1];\ngate own a { x a; }\n"
        + "cx q[0],q[1];\n" * 1000
        + "own q[0];\n"
    )
    with pytest.raises(InputError, match="line 1007: gate 'nowhere' is not known"):
        read_program(text + "nowhere(0.3) q[0];", "f")
    with pytest.raises(InputError, match="line 1007: if is not supported"):
        read_program(text + "if(c==1) x q[0];", "f")

    def check(n):
        raise InputError(f"{n} qubits")

    with pytest.raises(InputError, match="53 qubits"):
        read_program(text, "f", check)


@settings(max_examples=examples(80), deadline=None)
@given(st.sampled_from([2, 3]).flatmap(programs), st.data())
def test_a_damaged_text_gives_a_circuit_or_one_line(text, data):
    """Cut off, or with signs and words in it that do not belong there."""
    alphabet = st.sampled_from(
        [*"{}[]();,\"'@#/*^$-\n\0\x0béψ", "//", "/*", "if", "gate", "opaque", "for", "1e999", "OPENQASM"]
    )
    for _ in range(data.draw(st.integers(0, 3))):
        at = data.draw(st.integers(0, len(text)))
        text = text[:at] + data.draw(alphabet) + text[at + data.draw(st.integers(0, 2)) :]
    text = text[: data.draw(st.integers(0, 2 * len(text)))]
    try:
        assert isinstance(read_program(text, "file.qasm"), Program)
    except InputError as error:
        assert str(error).startswith("file.qasm") and "\n" not in str(error) and len(str(error)) < 400
