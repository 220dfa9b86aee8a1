"""Steps: how training drives a program over a batch, the same for engines on the host and on a device.

    step = begin_step(program, shared_S)
    step.chunk(function, per_sample_bS, initial_bN, inputs)    for each chunk of the batch
    step.results()                                             once

An engine with a device of its own brings its `begin_step`; any other program runs the function on NumPy arrays at once.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from qmltrain.engines.protocol import ChunkFunction, FloatArray, Program, SlotValues, Step


class HostStep:
    """`qmltrain.engines.protocol.Step` on a program whose arrays are NumPy's."""

    def __init__(self, program: Program, shared_S: FloatArray) -> None:
        self.program, self.shared_S = program, shared_S
        self._results: list[tuple[FloatArray, ...]] = []
        self.pending_bytes = 0

    def chunk(
        self,
        function: ChunkFunction,
        per_sample_bS: FloatArray,
        initial_bN: FloatArray | None,
        inputs: tuple[NDArray[Any], ...],
    ) -> None:
        tape = self.program.forward(SlotValues(self.shared_S, per_sample_bS), initial_bN)
        self._results.append(tuple(np.asarray(array) for array in function(tape, *inputs)))
        self.pending_bytes += sum(array.nbytes for array in self._results[-1])

    def results(self) -> list[tuple[FloatArray, ...]]:
        results, self._results, self.pending_bytes = self._results, [], 0
        return results


def begin_step(program: Program, shared_S: FloatArray) -> Step:
    """A step of `program` with these values of the shared slots (S,)."""
    begin = getattr(program, "begin_step", None)
    return HostStep(program, shared_S) if begin is None else begin(shared_S)
