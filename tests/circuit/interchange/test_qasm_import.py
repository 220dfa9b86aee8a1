"""OpenQASM in: whole programs mean what OpenQASM says, and what a circuit cannot be is refused with its line."""

from __future__ import annotations

import math

import numpy as np
import pytest

from qmltrain.circuit.angle import Angle, Feature, constant, parameter
from qmltrain.circuit.angle import feature as feature_angle
from qmltrain.circuit.circuit import Circuit, Gate
from qmltrain.circuit.interchange import qasm_calls, qasm_values
from qmltrain.circuit.interchange.qasm_import import read_program
from qmltrain.errors import InputError
from tests.circuit.dense import run
from tests.circuit.interchange.programs import HEADER, LIBRARY, circuit_of, lines

pytest.importorskip("openqasm3", reason="needs the extra qasm")

HEADER_2 = 'OPENQASM 2.0;\ninclude "qelib1.inc";\n'


def test_a_program_with_inputs_loops_and_definitions():
    text = HEADER + """
    input float[64] x0; input float x1; input array[float[64], 3] theta; input angle phi;
    const float half = pi / 2; const int n = 2;
    qubit[n] q; qubit extra;
    gate pair(t) a, b { ry(t) a; cx a, b; rz(-t/2) b; }
    for int i in [0:n-1] { ry(2 * theta[i] * x0 + half) q[i]; }
    for int i in {1, 0} { h q[i]; }
    pair(theta[2]) q[1], extra;
    rz(2 * (pi - x0) * (pi - x1)) q;
    rx(phi) q[-1];
    barrier q;
    bit[2] c; c = measure q;
    """  # fmt: skip
    circuit = circuit_of(text)
    assert circuit.parameter_names == ("theta.0", "theta.1", "theta.2", "phi") and circuit.n_features == 2
    product = Angle(2.0, Feature("product", (0, 1), math.pi))
    assert circuit.gates == (
        Gate("ry", (0,), (Angle(2.0, Feature("linear", (0,)), 0, None, math.pi / 2),)),
        Gate("ry", (1,), (Angle(2.0, Feature("linear", (0,)), 1, None, math.pi / 2),)),
        Gate("h", (1,)),
        Gate("h", (0,)),
        Gate("ry", (1,), (parameter(2),)),
        Gate("cx", (1, 2)),
        Gate("rz", (2,), (parameter(2, -0.5),)),
        Gate("rz", (0,), (product,)),
        Gate("rz", (1,), (product,)),
        Gate("rx", (1,), (parameter(3),)),
    )


def test_a_program_of_version_two():
    text = HEADER_2 + """
    qreg a[2]; qreg b[1]; creg c[3];
    gate twice(t, s) q { rx(t) q; rx(t*s) q; }
    u1(pi/2) a; u2(0, pi) b[0]; u3(x0, 1/2, w) a[1]; twice(w, 2^3/4) b[0];
    cu1(-pi/2^2+1) a[0], a[1]; CX a, b[0]; barrier a;
    measure a -> c;
    """  # fmt: skip
    circuit = circuit_of(text)
    assert circuit.parameter_names == ("w",) and circuit.n_features == 1 and circuit.n_qubits == 3
    half_pi = constant(math.pi / 2)
    assert circuit.gates == (
        Gate("p", (0,), (half_pi,)),
        Gate("p", (1,), (half_pi,)),
        Gate("u", (2,), (half_pi, constant(0), constant(math.pi))),
        Gate("u", (1,), (feature_angle(0), constant(0.5), parameter(0))),
        Gate("rx", (2,), (parameter(0),)),
        Gate("rx", (2,), (parameter(0, 2.0),)),
        Gate("cp", (0, 1), (constant(1 - math.pi / 4),)),
        Gate("cx", (0, 2)),
        Gate("cx", (1, 2)),
    )


@pytest.mark.parametrize(
    ("text", "n"),
    [
        ("qubit[3] q; h q[0:1]; x q[{2, 0}]; z q[-1];", ["h 0", "h 1", "x 2", "x 0", "z 2"]),
        ("qubit[3] q; y q[2:-1:0]; x q[:1];", ["y 2", "y 1", "y 0", "x 0", "x 1"]),
        ("qubit a; qubit[2] b; cx a, b; cz b[0], b[1];", ["cx 0 1", "cx 0 2", "cz 1 2"]),
        ("h $0; cx $0, $2;", ["h 0", "cx 0 2"]),
        ("qubit[2] q; float t = 3 / 3; rx(t) q[int(1)];", None),
    ],
)  # fmt: skip
def test_qubits(text, n):
    if n is None:
        with pytest.raises(InputError, match="cast is not supported"):
            lines(text)
        return
    assert lines(text) == n


REFUSED = [
    ("qubit q; £", "token recognition error"),
    ('include "mine.inc"; qubit q;', "include 'mine.inc' is not available"),
    ("qubit q; x q;\nreset q;", "line 2: reset of qubit 0 after a gate on it"),
    ("qubit[2] q; cx q[0], q[1]; x q[0];\nreset q[1];", "line 2: reset of qubit 1 after a gate on it"),
    ("qubit q; bit c;\nif (c == 1) { x q; }", "line 2: if is not supported"),
    ("qubit q; bit c; for int i in [0:1] {\nif (c == 1) { x q; } }", "line 2: if is not supported"),
    ("qubit q; def f() { }", "def is not supported"),
    ("qubit q; while (true) { x q; }", "while is not supported"),
    ("qubit q; for int i in [0:1] { while (true) { x q; } }", "while is not supported"),
    ("qubit q; for int i in [0:1] { delay[10ns] q; }", "delay is not supported"),
    ("qubit q; delay[10ns] q;", "delay is not supported"),
    ("qubit q;\nbox { x q; }", "line 2: box is not supported"),
    ("qubit[2] q; let a = q[0:1];", "let is not supported"),
    ("qubit q; end;", "end is not supported"),
    ("defcal x $0 { play; }", "defcal is not supported"),
    ("qubit q; OPENQASM 3.0;", "OPENQASM can only be the first statement"),
    ("qubit q; x q; /* no end", "the comment that begins here has no end"),
    ("qubit q; measure q; x q;", "gate x on qubit 0 after its measurement"),
    ("qubit q; rx(theta) q;", "'theta' is not declared; write `input float theta;`"),
    ("qubit q; rx(1/2) q;", r"1/2 divides integers, .* write 1.0/2"),
    ("qubit q; rx(1/0) q;", "division by zero"),
    ("qubit q; rx(1.0/0) q;", "division by zero"),
    ("qubit q; rx(ln(-1.0)) q;", r"ln\(-1\): "),
    ("qubit q; rx((-1.0) ** 0.5) q;", r"-1 \*\* 0.5"),
    ("qubit q; rx(1e400) q;", "not finite"),
    ("qubit q; rx(1e308*1e308) q;", "not finite"),
    ("qubit q; rx(1e400-1e400) q;", "not finite"),
    (f"qubit q; rx(1{'0' * 400}) q;", "not finite"),
    (f"qubit q; rx(1{'0' * 5000}) q;", "not understood"),
    ("qubit q; rx(10 ** 400) q;", r"10 \*\* 400"),
    ("qubit q; rx(10**300 * 10**300 / 7) q;", "a number must be an integer, found inf"),
    ("qubit q; rx(10**300 * 10**300 % 7) q;", "a number must be an integer, found inf"),
    ("qubit q; rx(ln(0)) q;", r"ln\(0\): "),
    ("qubit q; rx(exp(1000)) q;", r"exp\(1000\): "),
    ("qubit q; rx(sqrt(-1.0)) q;", r"sqrt\(-1\): "),
    ("qubit q; x q[10 ** 300];", r"the register has 1 qubits"),
    ("input float a; input float b; qubit q; rx(a*b) q;", "parameters cannot be multiplied"),
    ("input float a; qubit q; rx(a*a) q;", "parameters cannot be multiplied"),
    ("input float a; qubit q; rx(sin(a)) q;", "a number is needed here"),
    ("input float a; qubit q; rx(1/a) q;", "a number is needed here"),
    ("input float x0; input float x1; qubit q; rx(x0 + x1) q;", "its angle has a form that a circuit cannot take"),
    ("input float x0; qubit q; rx(arccos(2*x0)) q;", "a number is needed here"),
    ("input float x0; qubit q; rx(x0 * arccos(x0)) q;", "arccos of a feature cannot be multiplied"),
    ("input int a; qubit q;", "input a: must be float, angle, or an array"),
    ("input array[float, 2, 2] a; qubit q;", "needs one dimension"),
    ("input array[float, 2] a; qubit q; rx(a[2]) q;", r"a\[2\]: the array has 2 elements"),
    ("input float a; qubit a;", "a is declared twice"),
    ("qubit q; qubit q;", "q is declared twice"),
    ("qubit[0] q; x q;", "size 0 is not possible"),
    ("qubit[2] q; x q[2];", r"q\[2\]: the register has 2 qubits"),
    ("qubit[2] q; x q[0.5];", "an index must be an integer"),
    ("qubit[2] q; x r;", "'r' is not a register of qubits"),
    ("qubit[2] q; qubit[3] r; cx q, r;", "registers of different sizes"),
    ("qubit[2] q; cx q[0], q[0];", "a qubit is given twice"),
    ("qubit q; x $1;", "cannot be mixed"),
    ("x $1000000;", "qubit .1000000 is not possible"),
    (f"x ${'9' * 5000};", "is not possible"),
    (f"input float x{'9' * 5000}; qubit q;", "feature x9+... is not possible"),
    ("qubit q; rx q;", "gate rx takes 1 angles and 1 qubits, found 0 and 1"),
    ("qubit[2] q; x q[0], q[1];", "gate x takes 0 angles and 1 qubits, found 0 and 2"),
    ("qubit q; sqrtx q;", "gate 'sqrtx' is not known"),
    ("gate a q { a q; } qubit r; a r;", "gate a calls itself"),
    ("gate a q { x r; } qubit r; a r;", "'r' is not an argument"),
    ("gate a q { x q; } gate a q { y q; } qubit r;", "gate a is defined twice"),
    ("qubit q; ctrl @ x q;", "1 qubits are too few for 1 controls"),
    ("qubit[2] q; pow(0.5) @ x q[0];", r"pow\(...\) must be an integer"),
    ("qubit[2] q; ctrl(0) @ x q[0];", r"ctrl\(0\) is not possible"),
    ("gate a q { x q[0]; } qubit r; a r;", "is not an argument of the gate"),
    ("qubit q; for int i in [0:999999999] { x q; }", "range of more than"),
    ("qubit q; for float f in [0:1] { x q; } for bit b in c { }", "a loop goes over a range"),
    ("qubit q; float f;", "a variable without a value"),
]


WHOLE = [
    ("", "the file is empty"),
    ("// a circuit is still to come", "the file is empty, or holds comments alone"),
    ("////", "comments alone"),
    ("/* a\n */ // b\n", "comments alone"),
    ("OPENQASM 3.0;", "declares no qubits"),
    ("OPENQASM 3.0; // comment", "declares no qubits"),
    ("OPENQASM 4.0; qubit q;", "OpenQASM 4.0; versions 2 and 3"),
    ("// OPENQASM 2.0;\nqubit q; bit c;\nif (c) U(0, 0, 0) q;", "line 3: if is not supported"),
    ("OPENQASM 2.0; qreg q[1]; gate a(t) b { U(T, 0, 0) b; } a(0.1) q[0];", "'T' is not declared"),
    ("OPENQASM 2.0; qreg q[1];\ncreg c[1];\nif(c==1) U(0, 0, 0) q[0];", "line 3: if is not supported"),
    ("OPENQASM 2.0;\nqreg q[0];", "line 2, column 7 .*size must be positive"),
    ("OPENQASM 2.0; qreg q[2];\nctrl @ U(0, 0, 0) q[0], q[1];", "line 2, column 7 .*not understood as OpenQASM 2"),
    ("OPENQASM 2.0;\nopaque f(a) b;\nqreg q[1]; f(1) q[0];", "line 3: gate f is opaque"),
    ("OPENQASM 2.0;\nqubit q;", "line 2: 'qubit' is a word of OpenQASM 3, the file says 2"),
    ("qubit q; h q", "line 1, column 13"),
]
REFUSED = [(LIBRARY + text, message) for text, message in REFUSED] + WHOLE


@pytest.mark.parametrize(("text", "message"), REFUSED, ids=[message for _, message in REFUSED])
def test_what_cannot_be_is_refused_with_file_and_line(text, message, capfd):
    with pytest.raises(InputError, match=rf"^ansatz\.path: f\.qasm[,:].*{message}") as caught:
        read_program(text, "ansatz.path: f.qasm")
    assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")  # what is wrong is said once, by the error


@pytest.mark.parametrize(
    "text",
    [
        "qubit q; for int i in [0:99] { for int j in [0:99] { x q; } }",
        "gate a q {x q; x q;} gate b q {pow(99) @ a q;} gate c q {pow(99) @ b q;} qubit r; c r;",
    ],
)
def test_more_gates_than_anyone_means(monkeypatch, text):
    """With a smaller limit: the real one takes seconds to come to."""
    for module in (qasm_calls, qasm_values):
        monkeypatch.setattr(module, "LARGEST_COUNT", 1000)
    with pytest.raises(InputError, match="more than 1000 gates"):
        read_program(LIBRARY + text, "ansatz.path: f.qasm")


def test_without_the_parser_it_says_how_to_get_it(monkeypatch):
    import builtins

    original = builtins.__import__

    def without(name, *args, **kwargs):
        if name.startswith("openqasm3"):
            raise ImportError(name)
        return original(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(InputError, match=r"pip install 'qmltrain\[qasm\]'"):
        read_program("qubit q;", "file")


def test_resets_of_fresh_qubits_are_passed_over():
    text = "qubit[3] q; reset q; ry(0.3) q[0]; reset q[1]; reset q[{1, 2}]; cx q[0], q[1];"
    assert lines(text) == lines("qubit[3] q; ry(0.3) q[0]; cx q[0], q[1];")
    assert read_program(LIBRARY + text, "f").reset_qubits == (0, 1, 2)


@pytest.mark.field
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("version", [2, 3])
def test_circuits_of_qiskit_are_read(version, seed):
    """Random circuits of Qiskit, written by Qiskit, mean the same here: same qubit order, same angles."""
    pytest.importorskip("qiskit")
    from qiskit import qasm2, qasm3
    from qiskit.circuit.random import random_circuit as of_qiskit
    from qiskit.quantum_info import Statevector

    theirs = of_qiskit(3, 6, max_operands=2, seed=seed)
    text = qasm2.dumps(theirs) if version == 2 else qasm3.dumps(theirs)
    program = read_program(text, "qiskit")
    state, _ = run(Circuit(3, program.gates), np.zeros(0), np.zeros(0), tangents=False)
    assert abs(np.vdot(state, Statevector(theirs).data)) == pytest.approx(1, abs=1e-10)


@pytest.mark.field
def test_named_parameters_of_qiskit_are_read():
    pytest.importorskip("qiskit")
    from qiskit import QuantumCircuit, qasm3
    from qiskit.circuit import Parameter

    circuit = QuantumCircuit(2)
    a, b, x0 = Parameter("a"), Parameter("b"), Parameter("x0")
    circuit.rx(2 * a * x0 + b, 1)
    program = read_program(qasm3.dumps(circuit), "qiskit")
    assert (program.parameter_names, program.n_features) == (("a", "b"), 1)
    [gate] = program.gates
    assert (gate.name, gate.qubits, gate.angles[0].scale, gate.angles[0].weight, gate.angles[0].bias) == (
        "rx",
        (1,),
        2.0,
        0,
        1,
    )
