"""Final states of rows of features: a circuit at given parameters, without observables, in chunks bounded by memory.

What quantum kernels and studies of states begin with. Chunks are whole blocks of 16, so a state's bits depend on its
row's place among the rows that are asked for at once, and on nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from qmltrain.engines.protocol import (
    BLOCK,
    DEFAULT_OPTIONS,
    Engine,
    EngineOptions,
    FloatArray,
    Forecast,
    GradientOptions,
    Precision,
    Program,
)
from qmltrain.training.gradients import chunk_size
from qmltrain.training.model import Model

ComplexArray = NDArray[np.complexfloating]

CHUNK_BYTES = 16 << 20  # of states that leave the engine at once
NO_GRADIENT = GradientOptions("reversible")  # of programs that never go back: no state is kept on the way


def states_chunk(forecast: Forecast, n_qubits: int) -> int:
    """Samples whose states are asked for at once: whole blocks, or the few that fit. Raises MemoryLimitError."""
    fitting = chunk_size(forecast, 0, 1)
    most = max(1, CHUNK_BYTES // (BLOCK * 16 << n_qubits)) * BLOCK
    return min(fitting, most)


class StateMap:
    """`model` says circuit, initial states and which features are allowed; its observables are left out. `program`: its
    circuit compiled without strings (`NO_GRADIENT`), where the caller has compiled it."""

    def __init__(
        self,
        model: Model,
        engine: Engine,
        precision: Precision = "complex64",
        options: EngineOptions = DEFAULT_OPTIONS,
        program: Program | None = None,
    ) -> None:
        """Raises InputError and MemoryLimitError as the engine does, and where not one state fits."""
        self.model = model
        self.program = program or engine.compile(model.circuit, (), precision, NO_GRADIENT, options)
        self.chunk = states_chunk(self.program.forecast, model.circuit.n_qubits)

    def chunks(self, theta_P: FloatArray, x_BF: FloatArray) -> Iterator[tuple[slice, ComplexArray]]:
        """Rows, and their states (b, N). `theta_P` may have parameters of a head behind those of the circuit. Raises
        InputError for features that the circuit cannot encode."""
        model = self.model
        views = model.split(theta_P)
        step = self.program.begin_step(model.angles.shared(views.circuit))
        for first in range(0, len(x_BF), self.chunk):
            rows = slice(first, min(first + self.chunk, len(x_BF)))
            x_bF = model.features(views, x_BF[rows], rows.start)
            yield rows, step.states(model.angles.per_sample(views.circuit, x_bF), model.initial_state(x_bF))

    def states(self, theta_P: FloatArray, x_BF: FloatArray) -> ComplexArray:
        """(B, N), amplitudes by basis index; each up to a phase."""
        return np.concatenate([states_bN for _, states_bN in self.chunks(theta_P, x_BF)])
