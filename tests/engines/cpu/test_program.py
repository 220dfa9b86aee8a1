"""Steps of a compiled program: each owns its angles, and misuse is refused."""

from __future__ import annotations

import gc

import numpy as np
import pytest

from qmltrain.circuit.observables import PauliString
from qmltrain.engines.cpu import CpuEngine, unavailable_reason
from qmltrain.engines.cpu.extension import VARIABLE
from qmltrain.engines.protocol import GradientOptions
from qmltrain.errors import InputError
from tests.circuit.strategies import random_inputs
from tests.engines.cases import hea
from tests.engines.comparison import begin, random_cotangents

pytestmark = pytest.mark.skipif(unavailable_reason() is not None, reason="the C++ extension is not built")


def test_steps_of_a_program_keep_their_own_angles():
    """Taken in turns, each gives what it gives alone: forward, backward, the chain rule and the call for all."""
    circuit, cotangent = hea(3, 2), random_cotangents(5, 1)
    program = CpuEngine().compile(circuit, (PauliString(0, 1),))
    inputs = [random_inputs(circuit, 5, seed) for seed in range(2)]

    def outputs(step, tape):  # noqa: ANN001, ANN202
        back = tape.backward(cotangent)
        total = back.block_sums_GR.sum(axis=0)
        return [tape.expectations_BM, back.block_sums_GR, back.per_sample_BS, step.slot_gradient(total)]

    alone = []
    for theta, x in inputs:
        step, angles = begin(program, circuit, theta, x)
        alone.append([*outputs(step, step.forward(angles)), *step.expectation_gradient(angles, cotangent)])
    begun = [begin(program, circuit, theta, x) for theta, x in inputs]
    tapes = [step.forward(angles) for step, angles in begun]
    found = [outputs(step, tape) for (step, _), tape in zip(begun, tapes, strict=True)]
    for (step, angles), arrays, expected in zip(begun, found, alone, strict=True):
        arrays += step.expectation_gradient(angles, cotangent)
        for a, b in zip(arrays, expected, strict=True):
            assert a.tobytes() == b.tobytes()


@pytest.mark.parametrize("mode", ["auto", "reversible", "checkpoint"])
@pytest.mark.parametrize("batch", [1, 7, 16, 37])
@pytest.mark.parametrize("n_qubits", [1, 3, 9])
def test_expectations_without_a_tape_have_the_bits_of_those_with_one(n_qubits, batch, mode):
    circuit = hea(n_qubits, 3)
    strings = (PauliString(0, 1), PauliString(1, 1))
    program = CpuEngine().compile(circuit, strings, gradient=GradientOptions(mode))
    step, angles = begin(program, circuit, *random_inputs(circuit, batch, 0))
    assert step.expectations(angles).tobytes() == step.forward(angles).expectations_BM.tobytes()


def test_memory_of_former_tapes_is_used_again_and_holds_nothing():
    """Tapes of several sizes, some dropped on the way: gradients are those of a program that never had one."""
    circuit = hea(5, 2)
    program = CpuEngine().compile(circuit, (PauliString(0, 3),))

    def gradients(program, batch):  # noqa: ANN001, ANN202
        step, angles = begin(program, circuit, *random_inputs(circuit, batch, batch))
        back = step.forward(angles).backward(random_cotangents(batch, 1))
        return [back.block_sums_GR.tobytes(), back.per_sample_BS.tobytes(), back.drift_B.tobytes()]

    for batch in (40, 3, 64, 17, 40, 1):
        step, angles = begin(program, circuit, *random_inputs(circuit, 5, 0))
        dropped = step.forward(angles)
        assert gradients(program, batch) == gradients(CpuEngine().compile(circuit, (PauliString(0, 3),)), batch)
        del dropped


def test_a_tape_may_outlive_its_program():
    circuit = hea(5, 2)
    program = CpuEngine().compile(circuit, (PauliString(0, 3),))
    step, angles = begin(program, circuit, *random_inputs(circuit, 20, 0))
    tape = step.forward(angles)._tape
    del program, step
    gc.collect()
    del tape


def test_a_step_may_outlive_its_angles_on_the_caller_side():
    circuit = hea(3, 1)
    program = CpuEngine().compile(circuit, (PauliString(0, 1),))
    shared = np.full(circuit.n_parameters, 0.3)
    step = program.begin_step(shared)
    expected = step.forward(np.zeros((2, 3))).expectations_BM
    shared[:] = 1.0
    program.begin_step(shared).forward(np.zeros((2, 3)))
    assert step.forward(np.zeros((2, 3))).expectations_BM.tobytes() == expected.tobytes()


def test_a_step_of_another_program_is_refused():
    programs = [CpuEngine().compile(hea(3, layers), (PauliString(0, 1),)) for layers in (1, 2)]
    step = programs[0].begin_step(np.zeros(9))
    step.program = programs[1]
    with pytest.raises(ValueError, match="another program"):
        step.forward(np.zeros((1, 3)))


def test_misuse_is_refused(monkeypatch):
    circuit = hea(3, 1)
    program = CpuEngine().compile(circuit, (PauliString(0, 1),))
    step, angles = begin(program, circuit, np.zeros(circuit.n_parameters), np.zeros((2, 3)))
    tape = step.forward(angles)
    tape.backward(np.ones((2, 1)))
    with pytest.raises(InputError, match="once"):
        tape.backward(np.ones((2, 1)))
    with pytest.raises(ValueError, match="shape"):
        step.forward(angles).backward(np.ones((3, 1)))
    monkeypatch.setenv(VARIABLE, "sse9")
    with pytest.raises(InputError, match="baseline"):
        CpuEngine().compile(circuit, (PauliString(0, 1),))
