"""Plain statements: what is read here is what the package openqasm3 reads, in random programs of both versions."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qmltrain.circuit.interchange import qasm_calls, qasm_import, qasm_text
from qmltrain.circuit.interchange.qasm_import import Program, read_program
from qmltrain.circuit.interchange.qasm_plain import KEYWORDS, PlainStatements
from qmltrain.errors import InputError
from tests.circuit.interchange.programs import LIBRARY
from tests.circuit.interchange.random_programs import programs
from tests.examples import examples

pytest.importorskip("openqasm3", reason="needs the extra qasm")


def outcome(text: str) -> Program | str:
    """The program, or what is said instead; where in its line a text goes wrong, both may see differently."""
    try:
        return read_program(text, "f")
    except InputError as error:
        return re.sub(r", column .*", "", str(error))


@settings(max_examples=examples(100), deadline=None)
@given(st.sampled_from([2, 3]).flatmap(programs))
def test_plain_statements_are_read_as_the_package_reads_them(text):
    found = outcome(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PlainStatements, "read", lambda self, text, at, line: (None, at))
        assert outcome(text) == found


def test_what_is_plain_does_not_reach_the_package(monkeypatch):
    """Else large files would be slow again."""
    monkeypatch.setattr(qasm_text, "_parsed", lambda text, *_: pytest.fail(text))
    text = """gate_1 q[0]; gate own(a, lam) u, v { rz(a/2) u; cx u, v; barrier u; }
    rx(-(pi + 1.5e-3)*2/x0) q [ 1 ] , r ; U(0,0,1)\n$3; barrier q; own(1, 2) q[0], q[1]; measured $1;"""
    kinds = [type(statement).__name__ for statement in qasm_text.statements(text, "f", False)]
    assert kinds == [
        "QuantumGate",
        "QuantumGateDefinition",
        *["QuantumGate"] * 2,
        "QuantumBarrier",
        *["QuantumGate"] * 2,
    ]


def test_the_keywords_are_those_of_the_package():
    from openqasm3.parser import qasm3Lexer

    words = {name.strip("'") for name in qasm3Lexer.literalNames if re.fullmatch(r"'[A-Za-z]+'", str(name))}
    assert words - {"im"} <= KEYWORDS


REPEATED = [
    "qubit q; h q; h q; gate h u { x u; } h q; h q;",  # another gate of the name from then on
    "qubit[3] q; h q[0]; h q[0]; cx q[0], q[1]; h q[0]; cx q[0], q[1]; h q; h q; gphase(1); id q[2]; id q[2];",
    "qubit[2] q; gate a u { x u; } a q[0]; a q[0]; gate b u { a u; y u; } a q[0]; b q[0]; b q[0];",
    "qubit[2] q; reset q[1]; x q[0]; x q[0]; reset q[1]; x q[1]; x q[1]; reset q[1];",
    "qubit[2] q; id q[1]; id q[1]; reset q[1];",
    "qubit[2] q; bit c; x q[0]; x q[0]; c = measure q[0]; x q[1]; x q[1]; x q[0];",
    "qubit[2] q; for int i in [0:2] { x q[i % 2]; x q[0]; } x q[0]; x q[0];",
    "x $0; x $0; x $4; x $4; cx $0, $4; cx $0, $4;",
    "qubit[2] q; cx q[0], q[0]; cx q[0], q[0];",
]


@pytest.mark.parametrize("text", REPEATED)
@pytest.mark.parametrize("limit", [7, 1000])
def test_repeated_calls(monkeypatch, text, limit):
    """They are worked out once; as if each were worked out anew, limits and refusals included."""
    for module in (qasm_import, qasm_calls):
        monkeypatch.setattr(module, "LARGEST_COUNT", limit)
    found = outcome(LIBRARY + text)
    monkeypatch.setattr(PlainStatements, "read", lambda self, text, at, line: (None, at))
    assert outcome(LIBRARY + text) == found
