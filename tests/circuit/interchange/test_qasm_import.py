"""OpenQASM in and out: what is read means what OpenQASM says, what is written reads back as the same circuit."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from qmltrain.circuit.angle import Angle, Feature, constant, parameter
from qmltrain.circuit.angle import feature as feature_angle
from qmltrain.circuit.circuit import Circuit, Gate, from_gates
from qmltrain.circuit.gates import GATES as OUR_GATES
from qmltrain.circuit.gates import controlled as controlled_matrix
from qmltrain.circuit.gates import gate_matrix, general
from qmltrain.circuit.interchange.qasm_export import to_qasm3
from qmltrain.circuit.interchange.qasm_expressions import Expression, NotAnAngleError, Symbol, to_angle
from qmltrain.circuit.interchange.qasm_gates import GATES
from qmltrain.circuit.interchange.qasm_import import read_program
from qmltrain.circuit.library.assemble import assemble
from qmltrain.errors import InputError
from tests.circuit.dense import apply, run
from tests.circuit.listing import listing
from tests.circuit.strategies import angles, circuits, random_inputs

pytest.importorskip("openqasm3", reason="needs the extra qasm")

HEADER = 'OPENQASM 3.0;\ninclude "stdgates.inc";\n'
HEADER_2 = 'OPENQASM 2.0;\ninclude "qelib1.inc";\n'


def circuit_of(text: str, n_features: int = 0) -> Circuit:
    program = read_program(text, "file")
    return Circuit(
        program.n_qubits, program.gates, program.parameter_names, n_features=max(n_features, program.n_features)
    )


def lines(text: str) -> list[str]:
    return listing(circuit_of(text))


def unitary(circuit: Circuit, theta=(), x=()) -> np.ndarray:
    """Columns are what basis states become."""
    size = 2**circuit.n_qubits
    states = [run(circuit, np.array(theta), np.array(x), np.eye(size)[k], tangents=False)[0] for k in range(size)]
    return np.array(states).T


def assert_same_up_to_phase(a: np.ndarray, b: np.ndarray) -> None:
    overlap = np.vdot(a, b) / len(a)
    assert abs(abs(overlap) - 1) < 1e-12
    np.testing.assert_allclose(a * overlap, b, atol=1e-12)


# in


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


@pytest.mark.parametrize("name", GATES)
def test_every_gate_name_gives_the_matrix_of_its_definition(name):
    """Against the definitions of stdgates.inc and qelib1.inc, written out with matrices."""
    n_angles, n_qubits, _, _ = GATES[name]
    values = [0.3, -1.1, 0.7, 2.2][:n_angles]
    aliases = {
        "CX": ("cx", values), "phase": ("p", values), "cphase": ("cp", values), "u0": ("id", []), "u1": ("p", values),
        "u2": ("u", [math.pi / 2, *values]), "u3": ("u", values), "U": ("u", values), "cu1": ("cp", values),
        "cu3": ("cu", [*values, 0.0]),
    }  # fmt: skip
    ours, ours_values = aliases.get(name, (name, values))
    call = f"{name}({', '.join(map(str, values))})" if values else name
    text = HEADER + f"qubit[{n_qubits}] q; {call} {', '.join(f'q[{k}]' for k in range(n_qubits))};"
    expected = gate_matrix(ours, n_qubits, tuple(ours_values))
    assert_same_up_to_phase(unitary(circuit_of(text)), expected)


@pytest.mark.parametrize(
    ("statement", "same_as"),
    [
        ("inv @ s q[0];", "sdg q[0];"),
        ("inv @ rx(0.3) q[0];", "rx(-0.3) q[0];"),
        ("inv @ u3(0.3, 0.5, 0.7) q[0];", "u3(-0.3, -0.7, -0.5) q[0];"),
        ("pow(3) @ t q[0];", "t q[0]; s q[0];"),
        ("pow(-2) @ rz(0.2) q[0];", "rz(-0.4) q[0];"),
        ("pow(0) @ x q[0];", "id q[0];"),
        ("ctrl @ x q[0], q[1];", "cx q[0], q[1];"),
        ("ctrl(2) @ x q[0], q[1], q[2];", "ccx q[0], q[1], q[2];"),
        ("ctrl @ ctrl @ z q[2], q[0], q[1];", "ccz q[0], q[1], q[2];"),
        ("negctrl @ ry(0.4) q[0], q[1];", "x q[0]; cry(0.4) q[0], q[1]; x q[0];"),
        ("ctrl @ s q[1], q[0];", "cp(pi/2) q[0], q[1];"),
        ("ctrl @ sxdg q[0], q[1];", "inv @ csx q[0], q[1];"),
        ("ctrl @ inv @ sx q[0], q[1];", "inv @ ctrl @ sx q[0], q[1];"),
        ("ctrl @ gphase(0.3) q[0];", "p(0.3) q[0];"),
        ("gphase(0.3); h q[0];", "h q[0];"),
        ("inv @ pair(0.4) q[0], q[1];", "crz(-0.4) q[0], q[1]; h q[1];"),
        ("ctrl @ u(0.3, 0.5, 0.7) q[0], q[1];", "cu(0.3, 0.5, 0.7, 0) q[0], q[1];"),
        ("ctrl @ shifted q[0], q[1];", "crx(pi) q[0], q[1];"),
        ("ctrl @ id q[0], q[1];", "id q[0];"),
        ("negctrl @ ctrl @ x q[0], q[1], q[2];", "x q[0]; ccx q[0], q[1], q[2]; x q[0];"),
        ("inv @ cu(0.3, 0.5, 0.7, 0.9) q[0], q[1]; cu(0.3, 0.5, 0.7, 0.9) q[0], q[1];", "id q[0];"),
    ],
)
def test_modifiers(statement, same_as):
    text = HEADER + "gate pair(t) a, b { h b; crz(t) a, b; } gate shifted a { x a; gphase(-pi/2); } qubit[3] q; "
    assert_same_up_to_phase(unitary(circuit_of(text + statement)), unitary(circuit_of(text + same_as)))


def test_the_builtin_gate_keeps_its_phase_under_a_control():
    """U(theta, phi, lambda) of OpenQASM 3 is e^{i theta/2} times the matrix with cos(theta/2) in its corner."""
    found = unitary(circuit_of(HEADER + "qubit[2] q; ctrl @ U(0.3, 0.5, 0.7) q[0], q[1];"))
    np.testing.assert_allclose(found, controlled_matrix(np.exp(0.15j) * general(0.3, 0.5, 0.7)), atol=1e-14)


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
    ("qubit q; h q", "line 1, column 13"),
    ("qubit q; £", "token recognition error"),
    ("", "the file is empty"),
    ("OPENQASM 3.0;", "declares no qubits"),
    ("OPENQASM 4.0; qubit q;", "OpenQASM 4.0; versions 2 and 3"),
    ('include "mine.inc"; qubit q;', "include 'mine.inc' is not available"),
    ("qubit q;\nreset q;", "line 2: quantum reset is not supported"),
    ("qubit q; bit c;\nif (c == 1) { x q; }", "line 2: branching statement is not supported"),
    ("qubit q; def f() { }", "subroutine definition is not supported"),
    ("qubit q; while (true) { x q; }", "while loop is not supported"),
    ("qubit q; measure q; x q;", "gate x on qubit 0 after its measurement"),
    ("qubit q; rx(theta) q;", "'theta' is not declared; write `input float theta;`"),
    ("OPENQASM 2.0; qreg q[1]; gate a(t) b { rx(T) b; } a(0.1) q[0];", "'T' is not declared"),
    ("qubit q; rx(1/2) q;", r"1/2 divides integers, .* write 1.0/2"),
    ("qubit q; rx(1/0) q;", "division by zero"),
    ("qubit q; rx(1.0/0) q;", "division by zero"),
    ("qubit q; rx(ln(-1.0)) q;", r"ln\(-1\): "),
    ("qubit q; rx((-1.0) ** 0.5) q;", r"-1 \*\* 0.5"),
    ("qubit q; rx(1e400) q;", "not finite"),
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
    ("qubit q; rx q;", "gate rx takes 1 angles and 1 qubits, found 0 and 1"),
    ("qubit[2] q; x q[0], q[1];", "gate x takes 0 angles and 1 qubits, found 0 and 2"),
    ("qubit q; sqrtx q;", "gate 'sqrtx' is not known"),
    ("gate a q { a q; } qubit r; a r;", "gate a calls itself"),
    ("gate a q { x r; } qubit r; a r;", "'r' is not an argument"),
    ("gate a q { x q; } gate a q { y q; } qubit r;", "gate a is defined twice"),
    ("qubit q; ctrl @ x q;", "1 qubits are too few for 1 controls"),
    ("qubit[2] q; pow(0.5) @ x q[0];", r"pow\(...\) must be an integer"),
    ("qubit[2] q; ctrl(0) @ x q[0];", r"ctrl\(0\) is not possible"),
    ("qubit[4] q; ctrl @ ccx q[0], q[1], q[2], q[3];", "a controlled ccx is not available"),
    ("qubit q; for int i in [0:999999999] { x q; }", "range of more than"),
    ("qubit q; for int i in [0:1999] { for int j in [0:1999] { x q; } }", "more than 1000000 gates"),
    ("gate a q {x q; x q;} gate b q {pow(9999) @ a q;} gate c q {pow(9999) @ b q;} qubit r; c r;", "more than 1000000"),
    ("qubit q; for float f in [0:1] { x q; } for bit b in c { }", "a loop goes over a range"),
    ("qubit q; float f;", "a variable without a value"),
]


@pytest.mark.parametrize(("text", "message"), REFUSED, ids=[message for _, message in REFUSED])
def test_what_cannot_be_is_refused_with_file_and_line(text, message, capfd):
    with pytest.raises(InputError, match=rf"^ansatz\.path: f\.qasm[,:].*{message}") as caught:
        read_program(text, "ansatz.path: f.qasm")
    assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")  # what is wrong is said once, by the error


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


# angles


def expression_of(angle: Angle) -> Expression:
    """The polynomial that an Angle is, term by term as its definition says."""
    total = Expression.number(1.0 if angle.weight is not None or angle.feature else 0.0).scaled(angle.scale)
    if angle.feature is not None:
        for index in angle.feature.indices:
            kind = "arccos" if angle.feature.kind == "arccos" else "feature"
            symbol = Expression.symbol(Symbol(kind, index))
            total = total * (
                Expression.number(angle.feature.centre) - symbol if angle.feature.kind == "product" else symbol
            )
    if angle.weight is not None:
        total = total * Expression.symbol(Symbol("parameter", angle.weight))
    if angle.bias is not None:
        total = total + Expression.symbol(Symbol("parameter", angle.bias))
    return total + Expression.number(float(angle.offset))


@settings(max_examples=200)
@given(angles(), st.integers(0, 2**32))
@example(Angle(2.0, Feature("product", (0, 0, 1), math.pi), 1, 1, 0.5), 0)
@example(Angle(-1.0, Feature("product", (2, 1), 0.0), None, 3, 0.0), 1)
def test_every_angle_of_a_circuit_is_recognised(angle, seed):
    from tests.circuit.dense import angle_value

    generator = np.random.default_rng(seed)
    theta, x = generator.normal(size=4), generator.uniform(-0.9, 0.9, size=3)
    found = to_angle(expression_of(angle))
    assert angle_value(found, theta, x) == pytest.approx(angle_value(angle, theta, x), rel=1e-9, abs=1e-9)


def test_sums_of_three_parameters_are_no_angle():
    three = [Expression.symbol(Symbol("parameter", k)) for k in range(3)]
    with pytest.raises(NotAnAngleError, match="two parameters may be added"):
        to_angle(three[0] + three[1] + three[2])
    with pytest.raises(NotAnAngleError, match="two parameters may be added"):
        to_angle(three[0].scaled(2) + three[1].scaled(3))
    assert to_angle(three[0].scaled(2) + three[1]) == Angle(2.0, None, 0, 1)


# out


@settings(max_examples=60)
@given(circuits(max_qubits=4, max_gates=12))
def test_what_is_written_reads_back_as_the_same_circuit(circuit):
    theta, x = random_inputs(circuit, batch=1, seed=4)
    again = circuit_of(to_qasm3(circuit, theta, ["a note"]), n_features=3)
    assert again.n_parameters == 0 and again.n_qubits == circuit.n_qubits
    (state, _), (state_again, _) = (
        run(circuit, theta, x[0], tangents=False),
        run(again, theta[:0], x[0], tangents=False),
    )
    assert abs(np.vdot(state, state_again)) == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize("name", OUR_GATES)
def test_every_gate_is_written_with_its_matrix(name):
    definition = OUR_GATES[name]
    n = definition.n_qubits or 3
    values = (0.3, -1.1, 0.7, 2.2)[: definition.n_angles]
    gate = Gate(name, tuple(reversed(range(n))), tuple(map(constant, values)), "XYZ" if name == "pauli_rot" else "")
    circuit = from_gates(n, [gate])
    expected = apply(gate_matrix(name, n, values, gate.pauli), np.eye(2**n), gate.qubits, n).T
    assert_same_up_to_phase(unitary(circuit_of(to_qasm3(circuit, []))), expected)


def test_an_initial_state_cannot_be_written():
    circuit = Circuit(1, (), n_features=2, amplitude_encoded=True)
    with pytest.raises(InputError, match="export to pennylane or qiskit"):
        to_qasm3(circuit, [])


# the ansatz


def test_the_ansatz_takes_a_file(tmp_path):
    path = tmp_path / "mine.qasm"
    path.write_text(HEADER + "input float a; input float x1; qubit[2] q; rx(a) q[0]; ry(a * x1) q[1]; cz q[0], q[1];")
    circuit = assemble(3, 2, "none", {}, "qasm", {"path": str(path), "layers": 2})
    assert circuit.parameter_names == ("ansatz.0.a", "ansatz.1.a") and circuit.parameter_layers == (0, 1)
    assert circuit.layer_starts == (0, 3)
    weighted = [gate.angles[0] for gate in circuit.gates if gate.name == "ry"]
    assert weighted == [Angle(1.0, Feature("linear", (1,)), k) for k in (0, 1)]


@pytest.mark.parametrize(
    ("n_qubits", "n_features", "options", "message"),
    [
        (1, 2, {}, "has 2 qubits, the circuit 1; set circuit.n_qubits to 2"),
        (2, 1, {}, "uses the feature x1, the data has 1 features"),
        (2, 2, {"layers": 0}, "ansatz.layers"),
        (2, 2, {"path": "absent.qasm"}, "ansatz.path: the file absent.qasm cannot be read"),
        (2, 2, {"path": None}, "ansatz.path: needed by qasm"),
    ],
)
def test_a_file_that_does_not_fit_is_refused(tmp_path, n_qubits, n_features, options, message):
    path = tmp_path / "mine.qasm"
    path.write_text("input float x1; qubit[2] q; rx(x1) q;")
    with pytest.raises(InputError, match=message):
        assemble(n_qubits, n_features, "none", {}, "qasm", {"path": str(path), **options})
