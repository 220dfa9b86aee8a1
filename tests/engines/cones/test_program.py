"""Programs of light cones: however a circuit is cut, it is the whole circuit; what does not fit is named."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qmltrain.circuit.observables import PauliString
from qmltrain.engines.cones.program import ConesProgram, compile_cones
from qmltrain.engines.cpu import CpuEngine
from qmltrain.engines.interpreter import InterpreterEngine
from qmltrain.engines.protocol import DEFAULT_GRADIENT, EngineOptions, GradientOptions
from qmltrain.engines.reference import ReferenceEngine
from qmltrain.errors import InputError, MemoryLimitError
from qmltrain.fusion.reductions.light_cones import LightCones
from tests.circuit.strategies import circuits, random_inputs
from tests.engines.cases import hea
from tests.engines.comparison import assert_close, run
from tests.engines.cones.cutting import Cut
from tests.examples import examples


def random_strings(draw, n_qubits: int) -> tuple[PauliString, ...]:
    masks = st.tuples(st.integers(0, 2**n_qubits - 1), st.integers(0, 2**n_qubits - 1)).filter(any)
    return tuple(PauliString(*pair) for pair in draw(st.lists(masks, min_size=1, max_size=5, unique=True)))


def compare(engine, circuit, strings, n_groups, precision, gradient=DEFAULT_GRADIENT, batch=3):
    theta, x = random_inputs(circuit, batch)
    expected = run(ReferenceEngine(), circuit, strings, theta, x)
    found = run(Cut(engine, n_groups), circuit, strings, theta, x, precision=precision, gradient=gradient)
    assert_close(found, expected, precision, 4.0)


@settings(max_examples=examples(100), deadline=None)
@given(circuits(min_qubits=1, max_qubits=5, max_gates=16), st.data(), st.integers(1, 5))
def test_every_cut_is_the_whole_circuit(circuit, data, n_groups):
    compare(ReferenceEngine(), circuit, random_strings(data.draw, circuit.n_qubits), n_groups, "complex128")


@settings(max_examples=examples(40), deadline=None)
@given(
    circuits(min_qubits=1, max_qubits=5, max_gates=16),
    st.data(),
    st.integers(1, 3),
    st.sampled_from(["complex64", "complex128"]),
    st.sampled_from([1, 16, 21]),
    st.sampled_from([DEFAULT_GRADIENT, GradientOptions("reversible"), GradientOptions("checkpoint", 2)]),
)
def test_on_the_fast_engines(circuit, data, n_groups, precision, batch, gradient):
    strings = random_strings(data.draw, circuit.n_qubits)
    for engine in (InterpreterEngine(), CpuEngine()):
        compare(engine, circuit, strings, n_groups, precision, gradient, batch)


def test_what_is_stored_of_the_modes_makes_the_same_parts_again():
    circuit = hea(12, 4)
    strings = tuple(PauliString(0, 1 << q) for q in range(4))
    for asked in (DEFAULT_GRADIENT, GradientOptions("reversible"), GradientOptions("checkpoint")):
        first = Cut(CpuEngine(), 2).compile(circuit, strings, "complex64", asked)
        stored = GradientOptions(first.forecast.mode, first.forecast.checkpoint_interval)
        again = Cut(CpuEngine(), 2).compile(circuit, strings, "complex64", stored)
        assert [one.kernels for one in again.programs] == [one.kernels for one in first.programs]


def test_a_cone_that_does_not_fit_is_named():
    circuit = hea(100, 20)  # cones of 39 qubits
    cones = LightCones(circuit, (PauliString(0, 1 << 50), PauliString(0, 1)), 16)
    cut = cones.cut_in([cones.cone(0), cones.cone(1)])
    line = r"^the light cone of Z50 has 39 qubits \(31, 32, 33, 34, \.\.\.\): engine.name=cpu: 39 qubits; at most 32"
    with pytest.raises(InputError, match=line):
        compile_cones(CpuEngine(), cut, circuit, "complex64", DEFAULT_GRADIENT, EngineOptions())
    few = LightCones(hea(100, 11), (PauliString(0, 1 << 50),), 16)
    with pytest.raises(MemoryLimitError, match=r"^the light cone of Z50 has 21 qubits .* MiB"):
        compile_cones(
            CpuEngine(), few.cut_in([few.cone(0)]), few.circuit, "complex64", DEFAULT_GRADIENT,
            EngineOptions(memory_bytes=1 << 20),
        )  # fmt: skip


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_parts_have_a_thread_each_where_they_are_small(threads):
    options = EngineOptions(threads=threads)
    strings = (PauliString(0, 1), PauliString(0, 2))
    small = Cut(CpuEngine(), 2).compile(hea(10, 2), strings, options=options)
    assert {program.kernels.threads for program in small.programs} == {1}
    large = Cut(CpuEngine(), 2).compile(hea(20, 7), strings, options=options)
    assert {program.kernels.threads for program in large.programs} == {threads}


def test_memory_is_that_of_all_parts():
    program = Cut(CpuEngine(), 4).compile(hea(20, 4), tuple(PauliString(0, 1 << q) for q in range(8)))
    assert isinstance(program, ConesProgram)
    assert program.forecast.block_bytes == sum(one.forecast.block_bytes for one in program.programs)
    assert program.forecast.fixed_bytes < 64 << 20
    assert program.traffic().passes >= 4


def test_bits_do_not_depend_on_chunks():
    circuit, strings = hea(14, 2), tuple(PauliString(0, 1 << q) for q in range(14))
    program = Cut(CpuEngine(), 5).compile(circuit, strings, "complex64")
    theta, x = random_inputs(circuit, 48)
    step = program.begin_step(np.array(theta))
    whole = step.forward(np.array(x))
    back = whole.backward(np.ones((48, 14)))
    for first in (0, 16, 32):
        part = step.forward(x[first : first + 16])
        assert np.array_equal(part.expectations_BM, whole.expectations_BM[first : first + 16])
        sums = part.backward(np.ones((16, 14))).block_sums_GR
        assert np.array_equal(sums[0], back.block_sums_GR[first // 16])
    assert np.array_equal(step.expectations(x), whole.expectations_BM)
