"""The fidelity with a target state on every engine, judged by the overlap itself: |<t|psi>|^2 and its derivatives."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from qmltrain.circuit.circuit import Circuit
from qmltrain.circuit.library.assemble import assemble, assemble_observables
from qmltrain.engines.cuda import CudaEngine
from qmltrain.engines.protocol import Engine
from qmltrain.engines.selection import select_engine
from qmltrain.errors import EngineUnavailableError
from qmltrain.training.gradients import Evaluator
from qmltrain.training.heads import HEADS
from qmltrain.training.losses import LOSSES
from qmltrain.training.model import Model
from tests.circuit import dense
from tests.engines.comparison import TOLERANCE
from tests.engines.cuda.emulator_device import EmulatorDevice, compiler

LARGEST = {"reference": 6, "interpreter": 10, "cpu": 12, "cuda": 8}  # qubits within a second or so


def cases() -> list:
    sizes = (1, 2, 3, 4, 6, 8, 10, 12)
    return [
        pytest.param(engine, n, id=f"{engine}-{n}", marks=pytest.mark.slow if n == 12 else ())
        for n in sizes
        for engine in LARGEST
        if n <= LARGEST[engine]
    ]


def make(name: str) -> Engine:
    if name == "cuda":
        if compiler() is None:
            pytest.skip("no C++ compiler: the CUDA emulator needs g++")
        return CudaEngine(EmulatorDevice())
    try:
        return select_engine(name).engine
    except EngineUnavailableError as error:
        pytest.skip(str(error))


class Exact(NamedTuple):
    circuit: Circuit
    theta_P: np.ndarray
    x_BF: np.ndarray
    target: np.ndarray
    fidelities: list[float]
    gradients: list[np.ndarray]


@cache  # the same for every engine and precision
def exact(n: int) -> Exact:
    """A circuit, a target, and the overlaps of dense states."""
    generator = np.random.default_rng(n)
    circuit = assemble(n, n, "angle", {}, "hea", {"layers": 1, "entangler": "cx_ring"})
    theta_P = generator.uniform(-1, 1, circuit.n_parameters)
    x_BF = generator.uniform(-1, 1, (3, n))
    # near the state of the first sample, so that the fidelity is not lost among 2^n amplitudes
    near, _ = dense.run(circuit, theta_P + 0.2, x_BF[0], tangents=False)
    noise = generator.normal(size=(2, 2**n)) / np.sqrt(2**n)
    target = near + 0.3 * (noise[0] + 1j * noise[1])
    target /= np.linalg.norm(target)
    fidelities, gradients = [], []
    for x_F in x_BF:
        state_N, tangent_PN = dense.run(circuit, theta_P, x_F)
        overlap = np.vdot(target, state_N)
        fidelities.append(abs(overlap) ** 2)
        gradients.append(2 * (np.conj(overlap) * (tangent_PN @ target.conj())).real)
    return Exact(circuit, theta_P, x_BF, target, fidelities, gradients)


@pytest.mark.parametrize("precision", ["complex64", "complex128"])
@pytest.mark.parametrize(("engine", "n"), cases())
def test_fidelity_and_its_gradient(tmp_path: Path, engine: str, n: int, precision: str) -> None:
    circuit, theta_P, x_BF, target, fidelities, gradients = exact(n)
    np.save(tmp_path / "target.npy", target)
    observables = assemble_observables(n, "target_state", {"path": str(tmp_path / "target.npy")})
    model = Model(circuit, observables, HEADS["raw"](1, 1), LOSSES["fidelity"](None))
    program = make(engine).compile(model.measured_circuit, observables.strings, precision)
    found = Evaluator(model, program, 16).gradient(theta_P, x_BF, np.zeros(len(x_BF)))
    assert fidelities[0] > 0.1
    tolerance = TOLERANCE[precision]
    np.testing.assert_allclose(found.losses_B, 1 - np.array(fidelities), rtol=0, atol=tolerance)
    np.testing.assert_allclose(found.gradient_P, -np.mean(gradients, axis=0), rtol=0, atol=tolerance)


@pytest.mark.parametrize("engine", ["interpreter", "cpu"])
@pytest.mark.parametrize("n", [10, 12])
def test_projectors_on_basis_states(engine: str, n: int) -> None:
    """2^n - 1 strings of Z, measured all at once."""
    generator = np.random.default_rng(n)
    circuit = assemble(n, n, "angle", {}, "hea", {"layers": 1})
    theta_P, x_BF = generator.uniform(-1, 1, circuit.n_parameters), generator.uniform(-1, 1, (2, n))
    outcomes = [0, 2**n - 1, 5, 2 ** (n - 1)]
    observables = assemble_observables(n, "projector", {"states": outcomes})
    model = Model(circuit, observables, HEADS["raw"](4, 4), LOSSES["cross_entropy"](4))
    program = make(engine).compile(model.measured_circuit, observables.strings, "complex128")
    evaluator = Evaluator(model, program, 16)
    states_BN = np.array([dense.run(circuit, theta_P, x_F, tangents=False)[0] for x_F in x_BF])
    expected = np.abs(states_BN[:, outcomes]) ** 2
    np.testing.assert_allclose(evaluator.expectations(theta_P, x_BF), expected, rtol=0, atol=1e-12)
