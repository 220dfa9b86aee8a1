"""HostStep: the part of a `Step` that all engines share whose states are NumPy arrays."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qmltrain.circuit.circuit import Circuit
from qmltrain.engines.protocol import ChunkFunction, FloatArray, Tape
from qmltrain.errors import InputError

MAX_QUBITS = 40  # of a state whose addresses are NumPy's integers; memory ends before


def check_addresses(engine: str, circuit: Circuit) -> None:
    """Raises InputError for a circuit of more qubits than a state can have."""
    if circuit.n_qubits > MAX_QUBITS:
        raise InputError(f"engine.name={engine}: {circuit.n_qubits} qubits; at most {MAX_QUBITS} are possible")


@dataclass(frozen=True)
class Expectations:
    """What a function of a chunk gets in place of a tape where it goes no way back."""

    expectations_BM: FloatArray


class HostStep(ABC):
    """`qmltrain.engines.protocol.Step`: runs the function of a chunk at once, on NumPy arrays."""

    def __init__(self) -> None:
        self._results: list[tuple[FloatArray, ...]] = []
        self.pending_bytes = 0

    @abstractmethod
    def forward(self, per_sample_BS: FloatArray, initial_BN: FloatArray | None = None) -> Tape: ...

    def expectations(self, per_sample_BS: FloatArray, initial_BN: FloatArray | None = None) -> FloatArray:
        """Expectations (B, M) alone, the same bits as those of `forward`; an engine may keep no states for them."""
        return self.forward(per_sample_BS, initial_BN).expectations_BM

    @abstractmethod
    def states(
        self, per_sample_BS: FloatArray, initial_BN: FloatArray | None = None
    ) -> NDArray[np.complexfloating]: ...

    @abstractmethod
    def slot_gradient(self, total_R: FloatArray) -> FloatArray: ...

    def chunk(
        self,
        function: ChunkFunction,
        per_sample_bS: FloatArray,
        initial_bN: FloatArray | None,
        inputs: tuple[NDArray[Any], ...],
        *,
        backward: bool = True,
    ) -> None:
        tape: Tape | Expectations
        if backward:
            tape = self.forward(per_sample_bS, initial_bN)
        else:
            tape = Expectations(self.expectations(per_sample_bS, initial_bN))
        self._results.append(tuple(np.asarray(array) for array in function(tape, *inputs)))
        self.pending_bytes += sum(array.nbytes for array in self._results[-1])

    def results(self) -> list[tuple[FloatArray, ...]]:
        results, self._results, self.pending_bytes = self._results, [], 0
        return results
