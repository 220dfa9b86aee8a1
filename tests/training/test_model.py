"""Model: constants of observables stay outside the engines, in double precision, whatever the states are in."""

from __future__ import annotations

import numpy as np
import pytest

from qmltrain.circuit.library.assemble import assemble, assemble_observables
from qmltrain.engines.cpu import CpuEngine, unavailable_reason
from qmltrain.engines.interpreter import InterpreterEngine
from qmltrain.engines.protocol import GradientOptions
from qmltrain.engines.reference import ReferenceEngine
from qmltrain.training.gradients import BatchGradient, Evaluator
from qmltrain.training.heads import HEADS
from qmltrain.training.losses import LOSSES
from qmltrain.training.model import Model
from qmltrain.training.shots import ShotSampler

ENGINES = {
    "cpu": pytest.param(CpuEngine, marks=pytest.mark.skipif(bool(unavailable_reason()), reason="no C++ extension")),
    "interpreter": InterpreterEngine,
    "reference": ReferenceEngine,
}
MODES = {
    "auto": GradientOptions(),
    "reversible": GradientOptions("reversible"),
    "kept states": GradientOptions("reversible", 5),
    "checkpoint": GradientOptions("checkpoint"),
}


def energy_of(*terms: str, layers: int = 3, head: str = "raw") -> Model:
    observables = assemble_observables(4, "pauli", {"terms": list(terms)})
    return Model(assemble(4, 0, "none", {}, "hea", {"layers": layers}), observables, HEADS[head](len(terms), 1),
                 LOSSES["expectation"](None))  # fmt: skip


def gradient(model: Model, engine, mode: GradientOptions, precision="complex64") -> tuple[BatchGradient, np.ndarray]:
    """Of one sample at fixed parameters; its expectations."""
    theta_P = np.random.default_rng(5).uniform(-np.pi, np.pi, model.n_parameters)
    nothing = np.zeros((1, 0))
    run = Evaluator(model, engine().compile(model.circuit, model.observables.strings, precision, mode), 16)
    return run.gradient(theta_P, nothing, np.zeros(1)), run.expectations(theta_P, nothing)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("engine", [e for e in ENGINES.values() if e is not ReferenceEngine])
def test_a_constant_changes_no_bit_of_a_gradient(engine, mode):
    """Of 60 layers in single precision, where a measured constant of -1000 moved the gradient by 3e-4."""
    without, energy = gradient(energy_of("0.5*Z0 + 0.25*X1 X2", layers=60), engine, MODES[mode])
    found, shifted = gradient(energy_of("0.5*Z0 - 1000 + 0.25*X1 X2", layers=60), engine, MODES[mode])
    np.testing.assert_array_equal(found.gradient_P, without.gradient_P)
    assert found.loss == without.loss - 1000.0
    np.testing.assert_array_equal(shifted, energy - 1000.0)


@pytest.mark.parametrize("engine", ENGINES.values())
def test_observables_of_constants_alone(engine):
    found, energy = gradient(energy_of("2 + 0.5*I3"), engine, GradientOptions())
    assert found.loss == 2.5 and energy.tolist() == [[2.5]]
    np.testing.assert_array_equal(found.gradient_P, 0.0)


@pytest.mark.parametrize("engine", ENGINES.values())
def test_a_constant_beside_other_observables(engine):
    """A head of four inputs, one of which is a constant: its weight learns, the circuit's gradient knows nothing."""
    terms = ["Z0", "7", "X1 Y2", "Z3 - 0.1"]
    model = energy_of(*terms, head="linear")
    found, expectations = gradient(model, engine, GradientOptions(), "complex128")
    without, plain = gradient(energy_of("Z0", "0*Z0", "X1 Y2", "Z3", head="linear"), engine, GradientOptions(),
                              "complex128")  # fmt: skip
    np.testing.assert_allclose(expectations, plain + np.array([0.0, 7.0, 0.0, -0.1]), rtol=0, atol=1e-15)
    n = model.circuit.n_parameters
    np.testing.assert_allclose(found.gradient_P[:n], without.gradient_P[:n], rtol=0, atol=1e-15)
    weights = [found.gradient_P[n + model.head.parameter_names.index(name)] for name in model.head.parameter_names]
    assert 7.0 in weights


def test_shots_do_not_measure_constants():
    model = energy_of("2 + 0.5*I3", "Z0 - 1000", head="linear")
    theta_P = np.zeros(model.circuit.n_parameters + model.head.n_parameters)
    found = ShotSampler(model, "complex64").expectations(theta_P, np.zeros((3, 0)), np.arange(3), 10, 0)
    np.testing.assert_array_equal(found, [[2.5, -999.0]] * 3)
