"""Which circuits are found to stay real, and what their plan is."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qmltrain.circuit.angle import constant, parameter
from qmltrain.circuit.circuit import Circuit, Gate
from qmltrain.circuit.observables import PauliString
from qmltrain.fusion.compile import compile_plan
from qmltrain.fusion.decompose import constant as constant_angle
from qmltrain.fusion.plan import Diagonal, Term
from qmltrain.fusion.reductions import real_states
from qmltrain.fusion.reductions.real_states import is_signs
from qmltrain.fusion.reductions.setting import Setting
from tests.circuit.real_circuits import COMPLEX_GATES, real_circuits
from tests.engines.cases import hea
from tests.examples import examples

SETTING = Setting(16, "complex64")
STRINGS = (PauliString(0, 1),)


def reduced(circuit: Circuit):
    return real_states.reduce(compile_plan(circuit, STRINGS), circuit, STRINGS, SETTING)


def circuit_of(*gates: Gate, n_qubits: int = 3, amplitude_encoded: bool = False) -> Circuit:
    return Circuit(n_qubits, gates, ("a",), n_features=0, amplitude_encoded=amplitude_encoded)


@settings(max_examples=examples(100), deadline=None)
@given(real_circuits(max_qubits=5), st.booleans())
def test_admissible_gates_make_a_real_plan(circuit, amplitude_encoded):
    plan = compile_plan(circuit, STRINGS)
    real = real_states.reduce(plan, circuit, STRINGS, SETTING)
    if real is plan:  # CRY costs a rotation more
        assert real_states.line(plan) != ""
        assert sum(gate.name in ("cry", "h", "ch", "ccx", "cswap") for gate in circuit.gates)
        return
    assert real.real and not plan.real
    assert all(run.real for run in real.gate_runs)
    assert (real.n_shared_slots, real.n_per_sample_slots) == (plan.n_shared_slots, plan.n_per_sample_slots)
    assert "half the memory" in real_states.line(real)


GATES = {
    "s": Gate("s", (0,)),
    "tdg": Gate("tdg", (0,)),
    "sx": Gate("sx", (0,)),
    "rx": Gate("rx", (0,), (parameter(0),)),
    "rx of a constant": Gate("rx", (0,), (constant(0.5),)),
    "rz": Gate("rz", (0,), (parameter(0),)),
    "rz of a constant": Gate("rz", (0,), (constant(1.0),)),
    "p": Gate("p", (0,), (constant(math.pi / 4),)),
    "csx": Gate("csx", (0, 1)),
    "cy": Gate("cy", (0, 1)),
    "cp": Gate("cp", (0, 1), (constant(math.pi / 2),)),
    "crz": Gate("crz", (0, 1), (constant(math.pi),)),
    "rzz": Gate("rzz", (0, 1), (constant(math.pi / 2),)),
    "one Y": Gate("pauli_rot", (0, 1), (parameter(0),), "XZ"),
    "two Y": Gate("pauli_rot", (0, 1), (parameter(0),), "YY"),
}


@pytest.mark.parametrize("name", GATES)
def test_what_is_nearly_real_stays_complex(name):
    before = (Gate("ry", (0,), (parameter(0),)), Gate("h", (1,)), Gate("cx", (0, 2)))
    after = (Gate("ry", (1,), (parameter(0),)), Gate("ccx", (0, 1, 2)))
    assert reduced(circuit_of(*before, *after)).real
    circuit = circuit_of(*before, GATES[name], *after)
    plan = reduced(circuit)
    assert not plan.real
    assert plan == compile_plan(circuit, STRINGS)
    assert real_states.line(plan).startswith("no: ")


def test_phases_that_make_up_signs_together_are_real():
    half = (Gate("s", (0,)), Gate("sdg", (0,)), Gate("t", (1,)), Gate("t", (1,)), Gate("s", (1,)))
    assert reduced(circuit_of(Gate("h", (1,)), *half, Gate("h", (1,)))).real  # I and Z
    controlled = Gate("cp", (0, 1), (constant(math.pi / 2),))
    assert reduced(circuit_of(Gate("h", (0,)), Gate("h", (1,)), controlled, controlled)).real  # CZ
    assert not reduced(circuit_of(Gate("h", (0,)), Gate("h", (1,)), controlled)).real


def test_general_ansaetze_stay_complex():
    assert not reduced(hea(4, 2)).real


@settings(max_examples=examples(300), deadline=None)
@given(
    st.integers(1, 4),
    st.lists(st.tuples(st.integers(1, 15), st.integers(-16, 16)), max_size=8),
    st.sampled_from([1, 2, 4, 8]),
)
def test_signs_are_found_as_trying_all_addresses_finds_them(n_qubits, terms, denominator):
    terms = [(mask & ((1 << n_qubits) - 1), k * math.pi / denominator) for mask, k in terms]
    terms = [(mask, angle) for mask, angle in terms if mask]
    diagonal = Diagonal(0, tuple(Term(mask, 1, constant_angle(angle)) for mask, angle in terms), ())
    z = np.arange(1 << n_qubits)
    f = sum((0.5 * angle * (-1.0) ** np.bitwise_count(z & mask) for mask, angle in terms), np.zeros(len(z)))
    assert is_signs(diagonal) == bool(np.all(np.abs(np.sin(f - f[0])) < 1e-9))
    controlled_z = Diagonal(0, tuple(Term(m, 1, constant_angle(a)) for m, a in cz_terms(0b11)), ())
    assert is_signs(controlled_z)


def cz_terms(mask: int) -> list[tuple[int, float]]:
    """exp(i pi prod z) of the bits in `mask`."""
    subsets = [s for s in range(1, mask + 1) if s & mask == s]
    size = 2 ** mask.bit_count()
    return [(s, -2 * math.pi * (-1) ** s.bit_count() / size) for s in subsets]


@pytest.mark.parametrize("n_qubits", [1, 2, 3, 4, 5])
def test_controlled_z_of_many_qubits(n_qubits):
    for mask in range(1, 1 << n_qubits):
        terms = cz_terms(mask)
        assert is_signs(Diagonal(0, tuple(Term(m, 1, constant_angle(a)) for m, a in terms), ()))
        if len(terms) > 1:  # all of them are needed
            assert not is_signs(Diagonal(0, tuple(Term(m, 1, constant_angle(a)) for m, a in terms[1:]), ()))


def test_names_of_complex_gates_are_covered():
    assert set(COMPLEX_GATES) <= {name.split()[0] for name in GATES} | {"pauli_rot"}
