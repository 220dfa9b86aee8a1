"""Running one circuit on one engine, all outputs in one bundle, and comparing bundles."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from qmltrain.circuit.circuit import Circuit
from qmltrain.circuit.observables import PauliString
from qmltrain.engines.protocol import EngineOptions, GradientOptions, Step, Tape
from qmltrain.engines.reference import ReferenceEngine
from qmltrain.training.angles import AngleMap

# absolute tolerance of expectations and gradients for states of norm one, by precision
TOLERANCE = {"complex64": 2e-5, "complex128": 1e-10}


@dataclass
class Outputs:
    """What an engine says of one batch: everything the protocol offers."""

    expectations_BM: np.ndarray
    slots_S: np.ndarray
    per_sample_BS: np.ndarray
    shared_BS: np.ndarray
    initial_BN: np.ndarray
    drift: float


def random_cotangents(batch: int, n_strings: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(batch, n_strings))


def begin(program, circuit: Circuit, theta, x) -> tuple[Step, np.ndarray]:
    """A step at these parameters, and the per-sample slots (B, S') of these features."""
    angles = AngleMap(circuit)
    return program.begin_step(angles.shared(theta)), angles.per_sample(theta, x)


def forward(program, circuit: Circuit, theta, x, initial=None) -> Tape:
    step, per_sample = begin(program, circuit, theta, x)
    return step.forward(per_sample, initial)


def run(engine, circuit: Circuit, strings: tuple[PauliString, ...], theta, x, initial=None, **options) -> Outputs:
    """Forward and backward with random cotangents through the protocol."""
    precision = options.get("precision", "complex128")
    gradient = options.get("gradient", GradientOptions())
    program = engine.compile(circuit, strings, precision, gradient, options.get("engine_options", EngineOptions()))
    step, per_sample = begin(program, circuit, theta, x)
    tape = step.forward(per_sample, initial)
    back = tape.backward(random_cotangents(len(x), len(strings)), per_sample_shared=True, initial=True)
    total = back.block_sums_GR.sum(axis=0)
    return Outputs(
        np.array(tape.expectations_BM),
        step.slot_gradient(total),
        back.per_sample_BS,
        back.shared_BS,
        back.initial_BN,
        float(np.fmax.reduce(back.drift_B, initial=np.nan)),
    )


def by_reference(circuit: Circuit, strings: tuple[PauliString, ...], theta, x, initial=None) -> Outputs:
    """What the reference says, computed once for all cases that differ only in what the engine is told."""
    arrays = [None if a is None else (a.dtype.str, a.shape, a.tobytes()) for a in (theta, x, initial)]
    return _by_reference(circuit, strings, *arrays)


@lru_cache(maxsize=64)  # cases of the same circuit follow one another
def _by_reference(circuit: Circuit, strings: tuple[PauliString, ...], *stored) -> Outputs:
    arrays = [None if one is None else np.frombuffer(one[2], one[0]).reshape(one[1]) for one in stored]
    return run(ReferenceEngine(), circuit, strings, *arrays)


def states(engine, circuit: Circuit, theta, x, initial=None, precision="complex128", gradient=None, **options):
    """Final states (B, N); `options` of the engine."""
    program = engine.compile(circuit, (), precision, gradient or GradientOptions(), EngineOptions(**options))
    step, per_sample = begin(program, circuit, theta, x)
    return step.states(per_sample, initial)


def assert_same_states(found: np.ndarray, expected: np.ndarray, precision: str = "complex128") -> None:
    """Each up to a phase: the distance after the one that brings them closest."""
    assert found.shape == expected.shape
    overlap = np.sum(expected.conj() * found, axis=1, keepdims=True)
    nearest = expected * overlap / np.abs(overlap)
    np.testing.assert_allclose(found, nearest, rtol=0, atol=TOLERANCE[precision])


def assert_close(found: Outputs, expected: Outputs, precision: str, factor: float = 1.0) -> None:
    """Every output within the table's tolerance, scaled by `factor` (depth, batch)."""
    tolerance = TOLERANCE[precision] * factor
    for name in ("expectations_BM", "per_sample_BS", "shared_BS"):
        a, b = getattr(found, name), getattr(expected, name)
        np.testing.assert_allclose(a, b, rtol=0, atol=tolerance, err_msg=name)
    batch = len(expected.expectations_BM)
    np.testing.assert_allclose(found.slots_S, expected.slots_S, rtol=0, atol=tolerance * batch, err_msg="slots_S")
    assert not found.drift > tolerance, f"drift {found.drift}"  # NaN: not measured
