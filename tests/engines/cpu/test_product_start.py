"""The product start: the same values and gradients as gate by gate, whatever the layout, and the same bits whoever
computes them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qmltrain.circuit.angle import feature, parameter
from qmltrain.circuit.circuit import Circuit, Gate
from qmltrain.engines.cpu import CpuEngine, unavailable_reason
from qmltrain.engines.cpu.extension import VARIABLE
from qmltrain.engines.protocol import EngineOptions, GradientOptions
from qmltrain.engines.reference import ReferenceEngine
from qmltrain.fusion.compile import compile_plan
from qmltrain.fusion.product_starts import split
from tests.circuit.strategies import circuits, random_inputs
from tests.engines.cases import hea
from tests.engines.comparison import assert_close, begin, random_cotangents, run
from tests.engines.cpu.test_kernels import LANES, MODES, TILES, available_sets, some_strings

pytestmark = pytest.mark.skipif(unavailable_reason() is not None, reason="the C++ extension is not built")


def marked(circuit, strings):
    return replace(compile_plan(circuit, strings), product_start=True)


def options(threads: int = 1) -> EngineOptions:
    return EngineOptions(threads=threads, planner=marked)


@st.composite
def with_a_start(draw, max_qubits: int, max_gates: int) -> Circuit:
    """A random circuit behind one-qubit gates on some of its qubits."""
    circuit = draw(circuits(min_qubits=1, max_qubits=max_qubits, max_gates=max_gates))
    names = st.sampled_from(["rx", "ry", "rz", "x", "h", "s", "u"])
    gates = []
    for _ in range(draw(st.integers(0, 10))):
        name, qubit = draw(names), draw(st.integers(0, circuit.n_qubits - 1))
        count = {"u": 3, "rx": 1, "ry": 1, "rz": 1}.get(name, 0)
        angles = tuple(draw(st.sampled_from([parameter(0), parameter(3), feature(0), feature(2)])) for _ in range(count))
        gates.append(Gate(name, (qubit,), angles))
    return replace(circuit, gates=(*gates, *circuit.gates), layer_starts=())


@settings(max_examples=250, deadline=None)
@given(
    with_a_start(max_qubits=6, max_gates=12),
    st.sampled_from(MODES),
    st.sampled_from([1, 3, 17]),
    LANES,
    TILES,
    st.sampled_from(["complex64", "complex128"]),
)
def test_random_circuits_agree_with_the_reference(circuit, gradient, batch, lanes, tile, precision):
    theta, x = random_inputs(circuit, batch)
    strings = some_strings(circuit.n_qubits)
    expected = run(ReferenceEngine(), circuit, strings, theta, x)
    found = run(
        CpuEngine(tile, lanes),
        circuit,
        strings,
        theta,
        x,
        precision=precision,
        gradient=gradient,
        engine_options=options(),
    )
    assert_close(found, expected, precision, factor=4)
