"""The C++ engine where states are long and circuits deep: rounding, drift, memory."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

from qmltrain.circuit.observables import PauliString
from qmltrain.engines.cpu import CpuEngine, unavailable_reason
from qmltrain.job_limits import available_bytes
from tests.engines.cases import hea
from tests.engines.comparison import begin

pytestmark = [pytest.mark.slow, pytest.mark.skipif(unavailable_reason() is not None, reason="no C++ extension")]


def gradients(n_qubits: int, layers: int, entangler: str = "cz") -> tuple[dict[str, np.ndarray], dict[str, float]]:
    """Gradient (S,) and drift in both precisions, of one sample and four Z's."""
    circuit = hea(n_qubits, layers, entangler)
    rng = np.random.default_rng(0)
    theta = rng.uniform(0, 2 * np.pi, circuit.n_parameters)
    x = rng.uniform(0, np.pi, (1, n_qubits))
    strings = tuple(PauliString(0, 1 << q) for q in range(4))
    found, drift = {}, {}
    for precision in ("complex64", "complex128"):
        program = CpuEngine().compile(circuit, strings, precision)
        step, angles = begin(program, circuit, theta, x)
        back = step.forward(angles).backward(np.array([[0.5, -1.0, 0.3, 0.8]]))
        found[precision] = step.slot_gradient(back.block_sums_GR.sum(axis=0))
        drift[precision] = float(back.drift_B.max())
    return found, drift


@pytest.mark.parametrize("entangler", ["cz", "cx"])
def test_a_hundred_layers_of_20_qubits_round_within_the_bound(entangler):
    found, drift = gradients(20, 100, entangler)
    exact = found["complex128"]
    assert np.linalg.norm(found["complex64"] - exact) <= 2e-5 * np.linalg.norm(exact)
    assert drift["complex64"] <= 2e-5 and drift["complex128"] <= 1e-12


@pytest.mark.skipif(available_bytes() < 6 << 30, reason="needs 6 GiB")
def test_26_qubits():
    found, drift = gradients(26, 2)
    exact = found["complex128"]
    assert np.linalg.norm(found["complex64"] - exact) <= 2e-5 * np.linalg.norm(exact)
    assert drift["complex64"] <= 2e-5 and drift["complex128"] <= 1e-12


@pytest.mark.skipif(available_bytes() < 5 << 30, reason="needs 5 GiB")
def test_a_step_of_28_qubits_takes_two_states(tmp_path):
    """VQE: one update and the energy after it, forward and backward, in less than 5 GiB resident; a state is 2."""
    words = "dataset=none encoding=none head=raw loss=expectation observable=ising circuit.n_qubits=28 ansatz.layers=2"
    options = ["train.epochs=1", "engine.name=cpu", "engine.memory_gib=4.5", f"run.dir={tmp_path / 'run'}"]
    command = [sys.executable, "-m", "qmltrain", *words.split(), *options, "schedule=constant", "run.progress=none"]
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert process.stdout is not None
    printed = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    assert status == 0, printed
    assert usage.ru_maxrss < 5 << 20, usage.ru_maxrss  # KiB
