"""Drift: where it is measured it is the error of deep circuits; where it is not it says so, and never 0."""

from __future__ import annotations

import functools

import numpy as np
import pytest

from qmltrain.circuit.angle import feature, parameter
from qmltrain.circuit.circuit import Circuit, Gate
from qmltrain.circuit.observables import PauliString
from qmltrain.engines.cpu import CpuEngine, unavailable_reason
from qmltrain.engines.interpreter import InterpreterEngine
from qmltrain.engines.protocol import EngineOptions, GradientOptions
from qmltrain.fusion.compile import compile_plan
from tests.engines.cases import hea
from tests.engines.comparison import begin

STRINGS = tuple(PauliString(0, 1 << q) for q in range(4))
COTANGENT = np.array([0.5, -1.0, 0.3, 0.8])
FACTOR = 4.0  # half of all draws: drift is within this factor of the relative error of the gradient
FARTHEST = 16.0  # every draw
DRAWS = range(5)
PLANNER = functools.cache(compile_plan)  # a plan is the same for every engine, precision and mode
MODES = {
    "reversible": GradientOptions("reversible"),
    "kept": GradientOptions("reversible", 20),
    "kept every moment": GradientOptions("reversible", 1),
    "checkpoint": GradientOptions("checkpoint"),
    "auto": GradientOptions(),
}


def same_angles(layers: int) -> Circuit:
    """All layers alike, as in a Trotter product: rounding of the angles adds up in step, not at random."""
    gates = [Gate("ry", (q,), (feature(q),)) for q in range(4)]
    for _ in range(layers):
        gates += [Gate("rx", (q,), (parameter(0),)) for q in range(4)]
        gates += [Gate("rzz", (q, (q + 1) % 4), (parameter(1),)) for q in range(4)]
    return Circuit(4, tuple(gates), ("a", "b"), n_features=4)


CIRCUITS = {"hea": hea(4, 200), "hea with cx": hea(4, 200, "cx"), "layers alike": same_angles(300)}


@functools.lru_cache(maxsize=2)  # for all draws
def compiled(engine: type, circuit: Circuit, precision: str, mode: GradientOptions):
    return engine().compile(circuit, STRINGS, precision, mode, EngineOptions(planner=PLANNER))


def gradient(engine, circuit: Circuit, precision: str, mode: GradientOptions, batch: int = 2, draw: int = 0):
    """Gradient of the shared slots, drift of each sample."""
    rng = np.random.default_rng(draw)
    theta = rng.uniform(0.3, np.pi, circuit.n_parameters)
    x = rng.uniform(0, np.pi, (batch, circuit.n_features))
    program = compiled(type(engine), circuit, precision, mode)
    step, angles = begin(program, circuit, theta, x)
    back = step.forward(angles).backward(np.tile(COTANGENT, (batch, 1)))
    return step.slot_gradient(back.block_sums_GR.sum(axis=0)), back.drift_B


@functools.cache
def exact_gradient(circuit: str, draw: int) -> np.ndarray:
    return gradient(InterpreterEngine(), CIRCUITS[circuit], "complex128", GradientOptions(), draw=draw)[0]


def assert_drift_is_the_error(engine, circuit: str, precision: str, mode: str) -> None:
    factors = []
    for draw in DRAWS:
        exact = exact_gradient(circuit, draw)
        found, drift_B = gradient(engine, CIRCUITS[circuit], precision, MODES[mode], draw=draw)
        error = np.linalg.norm(found - exact) / np.linalg.norm(exact)
        factors.append(error / drift_B.max())
    assert 1 / FACTOR < np.median(factors) < FACTOR
    assert min(factors) > 1 / FARTHEST and max(factors) < FARTHEST


@pytest.mark.skipif(unavailable_reason() is not None, reason="no C++ extension")
@pytest.mark.parametrize("precision", ["complex64", "complex128"])
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("circuit", CIRCUITS)
def test_drift_is_the_error_of_the_gradient_or_nan(circuit, mode, precision):
    """Beside complex128; its own error beside that of an engine of another order of sums."""
    if mode == "reversible":
        assert_drift_is_the_error(CpuEngine(), circuit, precision, mode)
    else:
        assert np.isnan(gradient(CpuEngine(), CIRCUITS[circuit], precision, MODES[mode])[1]).all()


@pytest.mark.parametrize("mode", MODES)
def test_the_interpreter_says_the_same(mode):
    if mode in ("reversible", "auto"):
        assert_drift_is_the_error(InterpreterEngine(), "hea", "complex64", mode)
    else:
        assert np.isnan(gradient(InterpreterEngine(), CIRCUITS["hea"], "complex64", MODES[mode])[1]).all()


@pytest.mark.skipif(unavailable_reason() is not None, reason="no C++ extension")
def test_blocks_that_keep_every_state_measure_nothing():
    """auto on a small circuit: full blocks keep psi of every moment, the two samples behind them, which share the lanes
    with qubits, do not."""
    _, drift_B = gradient(CpuEngine(), hea(6, 3), "complex64", GradientOptions(), batch=18)
    assert np.isnan(drift_B[:16]).all() and (drift_B[16:] > 0).all()
