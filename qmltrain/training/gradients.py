"""Loss and gradient of a batch: chunks through a Program, sums in one fixed order, the chain rule once.

Chunks bound the memory: no state outlives its chunk. They are multiples of 16 samples, and every sum over samples
follows the tree of `qmltrain.training.reduction`, so neither chunks nor threads change a bit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from qmltrain.engines.checkpointing import gib
from qmltrain.engines.protocol import BLOCK, Backward, FloatArray, Forecast, Program, Tape
from qmltrain.errors import MemoryLimitError, NonFiniteError
from qmltrain.training.model import Model
from qmltrain.training.reduction import TreeSum, block_sums, tree_sum

LARGEST_CHUNK = 4096  # samples; more gains nothing and keeps Ctrl-C waiting


class StepAbandoned(Exception):  # noqa: N818 - a request, not an error
    """The run was asked to stop between two chunks; nothing of the step counts."""


@dataclass(frozen=True)
class BatchGradient:
    """`loss` is the mean over the batch, `gradient_P` its gradient; `outputs_BC` and `losses_B` of each sample.

    `drift` is the largest distance of an un-applied state from its input state (see protocol.Backward).
    """

    loss: float
    gradient_P: FloatArray
    outputs_BC: FloatArray
    losses_B: FloatArray
    drift: float


@dataclass(frozen=True)
class SampleGradients:
    """Of each sample's own loss: with respect to all parameters (B, P) and to its features (B, F)."""

    parameters_BP: FloatArray
    features_BF: FloatArray


def chunk_size(forecast: Forecast, n_strings: int) -> int:
    """Samples in flight: as many blocks of 16 as fit beside what is fixed. Raises MemoryLimitError for none.

    `string_bytes` come beside the states of the forecast.
    """
    memory_bytes = forecast.memory_bytes
    block_bytes = forecast.block_bytes + string_bytes(n_strings)
    blocks = (memory_bytes - forecast.fixed_bytes) // max(1, block_bytes)
    if blocks < 1:
        raise MemoryLimitError(
            f"a block of {BLOCK} samples needs {gib(forecast.fixed_bytes + block_bytes)} of "
            f"{gib(memory_bytes)}; use fewer qubits, engine.precision=complex64, gradient.mode=reversible, or raise "
            "engine.memory_gib"
        )
    return BLOCK * int(min(blocks, LARGEST_CHUNK // BLOCK))


def string_bytes(n_strings: int) -> int:
    """Bytes of a block for the expectations of its Pauli strings, their cotangents and a copy: little for a few, as
    much as some states for the 2^n strings of a projector."""
    return BLOCK * 3 * 8 * n_strings


class Evaluator:
    """Runs a Model on a Program in chunks of `chunk` samples."""

    def __init__(self, model: Model, program: Program, chunk: int) -> None:
        if chunk < 1 or chunk % BLOCK:
            raise ValueError(f"chunk of {chunk} samples: must be a positive multiple of {BLOCK}")
        self.model = model
        self.program = program
        self.chunk = chunk

    def _chunks(self, n_samples: int, stop: Callable[[], bool] | None) -> Iterator[slice]:
        for first in range(0, n_samples, self.chunk):
            if stop is not None and stop():
                raise StepAbandoned
            yield slice(first, min(first + self.chunk, n_samples))

    def _forward(self, theta_P: FloatArray, x_BF: FloatArray) -> tuple[Tape, FloatArray, FloatArray]:
        """The tape, observable expectations (B, K) and head outputs (B, C) of one chunk."""
        self.model.domain.check(x_BF)
        circuit_P, head_P = self.model.split(theta_P)
        slots = self.model.angles.values(circuit_P, x_BF)
        tape = self.program.forward(slots, self.model.initial_state(x_BF))
        expectations_BK = self.model.expectations(tape.expectations_BM)
        return tape, expectations_BK, self.model.head.forward(head_P, expectations_BK)

    def outputs(self, theta_P: FloatArray, x_BF: FloatArray, stop: Callable[[], bool] | None = None) -> FloatArray:
        """Head outputs (B, C), no gradient."""
        return np.concatenate([self._forward(theta_P, x_BF[rows])[2] for rows in self._chunks(len(x_BF), stop)])

    def expectations(self, theta_P: FloatArray, x_BF: FloatArray) -> FloatArray:
        """Expectations of the observables (B, K)."""
        return np.concatenate([self._forward(theta_P, x_BF[rows])[1] for rows in self._chunks(len(x_BF), None)])

    def gradient(
        self,
        theta_P: FloatArray,
        x_BF: FloatArray,
        targets_B: np.ndarray,
        stop: Callable[[], bool] | None = None,
    ) -> BatchGradient:
        """Mean loss over the batch and its gradient. Raises NonFiniteError, StepAbandoned."""
        model, batch = self.model, len(x_BF)
        circuit_P, head_P = model.split(theta_P)
        raw, encoding, head = TreeSum(), TreeSum(), TreeSum()
        outputs, losses, drift = [], [], 0.0
        for rows in self._chunks(batch, stop):
            x_bF, targets_b = x_BF[rows], targets_B[rows]
            tape, expectations_bK, outputs_bC = self._forward(theta_P, x_bF)
            outputs.append(outputs_bC)
            losses.append(model.loss.value(outputs_bC, targets_b))
            cotangent_bC = model.loss.cotangent(outputs_bC, targets_b) / batch
            _check_finite(losses[-1], cotangent_bC, rows.start)
            cotangent_bK = model.head.backward(head_P, expectations_bK, cotangent_bC)
            back = tape.backward(model.string_cotangent(cotangent_bK))
            raw.add(back.block_sums_GR)
            if model.head.n_parameters:
                head.add(model.head.block_gradients(head_P, expectations_bK, cotangent_bC))
            if model.angles.has_trainable_encoding:
                encoding.add(block_sums(model.angles.encoding_sums(back.per_sample_BS, x_bF)))
            drift = max(drift, float(np.max(back.drift_B, initial=0.0)))
        losses_B = np.concatenate(losses)
        shared_S = model.angles.values(circuit_P, x_BF[:1]).shared_S
        gradient_P = model.angles.shared_gradient(self.program.slot_gradient(raw.total(), shared_S))
        if model.angles.has_trainable_encoding:
            gradient_P = gradient_P + model.angles.encoding_gradient(encoding.total())
        if model.head.n_parameters:
            gradient_P = np.concatenate([gradient_P, head.total()])
        if not np.all(np.isfinite(gradient_P)):
            first = int(np.flatnonzero(~np.isfinite(gradient_P))[0])
            raise NonFiniteError(
                f"gradient of parameter {first} ({model.parameter_names[first]}) is {gradient_P[first]}; "
                "lower optimizer.learning_rate or set optimizer.clip_norm"
            )
        loss = float(tree_sum(losses_B[:, None])[0] / batch)
        return BatchGradient(loss, gradient_P, np.concatenate(outputs), losses_B, drift)

    def sample_gradients(self, theta_P: FloatArray, x_BF: FloatArray, targets_B: np.ndarray) -> SampleGradients:
        """Gradients of each sample's own loss (not divided by the batch)."""
        model = self.model
        circuit_P, head_P = model.split(theta_P)
        parameters, features = [], []
        for rows in self._chunks(len(x_BF), None):
            x_bF, targets_b = x_BF[rows], targets_B[rows]
            tape, expectations_bK, outputs_bC = self._forward(theta_P, x_bF)
            cotangent_bC = model.loss.cotangent(outputs_bC, targets_b)
            cotangent_bK = model.head.backward(head_P, expectations_bK, cotangent_bC)
            amplitude = model.circuit.amplitude_encoded
            back = tape.backward(model.string_cotangent(cotangent_bK), per_sample_shared=True, initial=amplitude)
            of_head_bP = model.head.sample_gradients(head_P, expectations_bK, cotangent_bC)
            parameters.append(np.concatenate([self._circuit_gradients(back, x_bF), of_head_bP], axis=1))
            gradient_bF = model.angles.input_gradient(back.per_sample_BS, circuit_P, x_bF)
            if amplitude:
                assert back.initial_BN is not None
                gradient_bF = gradient_bF + model.input_state_gradient(back.initial_BN, x_bF)
            features.append(gradient_bF)
        return SampleGradients(np.concatenate(parameters), np.concatenate(features))

    def _circuit_gradients(self, back: Backward, x_bF: FloatArray) -> FloatArray:
        """(b, P) of each sample."""
        angles = self.model.angles
        assert back.shared_BS is not None
        gradient_bP = angles.shared_gradient(back.shared_BS)
        if angles.has_trainable_encoding:
            gradient_bP = gradient_bP + angles.encoding_gradient(angles.encoding_sums(back.per_sample_BS, x_bF))
        return gradient_bP


def _check_finite(losses_b: FloatArray, cotangent_bC: FloatArray, first_row: int) -> None:
    bad = np.flatnonzero(~(np.isfinite(losses_b) & np.all(np.isfinite(cotangent_bC), axis=1)))
    if len(bad):
        raise NonFiniteError(
            f"loss of sample {first_row + int(bad[0])} of the batch is {losses_b[bad[0]]}; "
            "lower optimizer.learning_rate or set optimizer.clip_norm"
        )
