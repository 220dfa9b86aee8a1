"""Expectation values as a device would estimate them: from a finite number of measurements.

Pauli strings of I and Z alone are read from the same measurements, as on a device: each sample's state is measured
`shots` times in the computational basis, and every such string is averaged over these outcomes, correlations between
strings included. A string with X or Y needs a basis of its own and gets `shots` measurements of its own: the outcomes
+1 and -1 have probabilities (1 +- <P>) / 2, so their number is binomial. There is no other noise.

The states come from the interpreter, whatever engine trained the run. Every sample has a random stream of its own, so
an estimate depends on the sample, its row and the seed, never on the chunk it is computed in.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from qmltrain.engines.interpreter import InterpreterEngine
from qmltrain.engines.protocol import EngineOptions, FloatArray, Precision
from qmltrain.errors import InputError
from qmltrain.training.gradients import chunk_size
from qmltrain.training.model import Model

MAX_SHOTS = 2**31 - 1


def check_shots(shots: int, seed: int) -> None:
    """Raise InputError for numbers that cannot be."""
    if isinstance(shots, bool) or not isinstance(shots, int | np.integer) or not 1 <= shots <= MAX_SHOTS:
        raise InputError(f"shots: found {shots!r}; allowed: integers from 1 to {MAX_SHOTS}")
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
        raise InputError(f"seed: found {seed!r}; allowed: integers from 0")


class ShotSampler:
    """Estimates expectation values of a Model's observables; states in `precision`, chunks within `memory_bytes`.

    Raises MemoryLimitError where the states of one sample do not fit.
    """

    def __init__(self, model: Model, precision: Precision, memory_bytes: int | None = None) -> None:
        self.model = model
        strings = model.observables.strings
        self._program = InterpreterEngine().compile(
            model.measured_circuit, strings, precision, options=EngineOptions(memory_bytes=memory_bytes)
        )
        self._diagonal = np.array([string.is_diagonal for string in strings])
        self._chunk = chunk_size(self._program.forecast, len(strings), samples=1)

    def expectations(
        self, theta_P: FloatArray, x_BF: FloatArray, rows: NDArray[np.int64], shots: int, seed: int
    ) -> FloatArray:
        """Estimates (B, K) from `shots` measurements; `rows` (B,) choose each sample's random stream."""
        check_shots(shots, seed)
        parts = [
            self._chunk_expectations(theta_P, x_BF[first:last], rows[first:last], shots, seed)
            for first in range(0, len(x_BF), self._chunk)
            for last in [first + self._chunk]
        ]
        return np.concatenate(parts) if parts else np.zeros((0, self.model.observables.n_observables))

    def _chunk_expectations(
        self, theta_P: FloatArray, x_bF: FloatArray, rows: NDArray[np.int64], shots: int, seed: int
    ) -> FloatArray:
        model = self.model
        views = model.split(theta_P)
        features_bF = model.features(views, x_bF)
        step = self._program.begin_step(model.angles.shared(views.circuit))
        tape = step.forward(model.angles.per_sample(views.circuit, features_bF), model.initial_state(features_bF))
        strings_bM = tape.expectations_BM.copy()
        for sample, row in enumerate(rows):
            generator = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(int(row),)))
            if self._diagonal.any():
                strings_bM[sample, self._diagonal] = tape.measured(sample, shots, generator)[self._diagonal]
            others = np.flatnonzero(~self._diagonal)
            chances = np.clip((1.0 + strings_bM[sample, others]) / 2.0, 0.0, 1.0)  # rounding may leave [0, 1]
            strings_bM[sample, others] = 2.0 * generator.binomial(shots, chances) / shots - 1.0
        return model.expectations(strings_bM)
