"""Loss and gradient of a batch: chunks through a Program, sums in one fixed order, the chain rule once.

Chunks bound the memory: no state outlives its chunk. They are multiples of 16 samples (or the few samples of a smaller
step, where 16 do not fit), and every sum over samples follows the tree of `qmltrain.training.reduction`, so neither
chunks nor threads change a bit.

What happens to a chunk is one pure function of arrays (`Evaluator._gradient_of`): expectations, head, loss, the way
back, sums of blocks. A `Step` runs it where the states are, on NumPy's arrays or a device's, and brings the results of
all chunks back at once. Layers before the circuit work on the host, before a chunk and after its results have come.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np

from qmltrain.engines.protocol import (
    BLOCK,
    Array,
    Backward,
    ChunkFunction,
    FloatArray,
    Forecast,
    Program,
    Tape,
)
from qmltrain.engines.ranks import Ranks, samples_of
from qmltrain.errors import MemoryLimitError, NonFiniteError
from qmltrain.training.batch_sums import BatchSums, StepAbandoned, rows_of_ranks, sums_of_ranks
from qmltrain.training.model import Model, ParameterViews
from qmltrain.training.reduction import array_namespace, block_sums, node_sizes, node_sums, tree_sum
from qmltrain.units import gib

LARGEST_CHUNK = 4096  # samples; more gains nothing and keeps Ctrl-C waiting
PENDING_BYTES = 256 << 20  # results of chunks that a step may hold before they are fetched and added up
_FUNCTIONS_KEPT = 64  # chunk functions of an Evaluator, by batch size and place in the tree


@dataclass(frozen=True)
class BatchGradient:
    """`loss` is the mean over the batch, `gradient_P` its gradient; `outputs_BC` and `losses_B` of each sample.

    `drift` is the largest distance of an un-applied state from its input state; NaN: none (see protocol.Backward).
    """

    loss: float
    gradient_P: FloatArray
    outputs_BC: FloatArray
    losses_B: FloatArray
    drift: float


@dataclass(frozen=True)
class SampleGradients:
    """Of each sample's own loss: with respect to all parameters (B, P) and to its features (B, I)."""

    parameters_BP: FloatArray
    features_BF: FloatArray


@dataclass
class _BeforeCircuit:
    """The way back through the layers before the circuit: what a chunk's samples were, in order, until results come."""

    model: Model
    views: ParameterViews
    samples: list[tuple[FloatArray, FloatArray]] = field(default_factory=list)  # x_bI, features_bF

    def sums(self, sizes: tuple[int, ...], results: list[FloatArray]) -> list[FloatArray]:
        """Sums of nodes, those of the input layers last; `results` begin with what `gradient_of` gives for these."""
        layers = self.model.input
        assert layers is not None
        x_bI, features_bF = self.samples.pop(0)
        n_own = 1 + self.model.circuit.amplitude_encoded
        cotangent_bF = features_gradient(self.model, self.views.circuit, features_bF, *results[:n_own])
        blocks_GP = layers.block_gradients(self.views.input, x_bI, cotangent_bF)
        return [*results[n_own:], node_sums(blocks_GP, sizes)]


def features_gradient(
    model: Model, circuit_P: FloatArray, features_bF: FloatArray, per_sample_bS: FloatArray, bra_bN: Array | None = None
) -> FloatArray:
    """d loss / d what the circuit encodes, (b, F), from that of its angles and, of amplitudes, from the bra at the
    start (its real part is enough)."""
    gradient_bF = model.angles.input_gradient(per_sample_bS, circuit_P, features_bF)
    if bra_bN is None:
        return gradient_bF
    return gradient_bF + model.input_state_gradient(bra_bN, features_bF)


def chunk_size(forecast: Forecast, n_strings: int, samples: int = BLOCK) -> int:
    """Samples in flight, of steps of so many `samples`: as many blocks of 16 as fit beside what is fixed; where not one
    does, as many samples as fit, if these are all of a step. Raises MemoryLimitError where a step does not fit."""
    memory_bytes = forecast.memory_bytes
    of_block = chunk_bytes(forecast, n_strings, BLOCK) - forecast.fixed_bytes
    blocks = (memory_bytes - forecast.fixed_bytes) // max(1, of_block)
    if blocks >= 1:
        return BLOCK * int(min(blocks, LARGEST_CHUNK // BLOCK))
    few = range(1, BLOCK if forecast.few else 1)
    fitting = max((n for n in few if chunk_bytes(forecast, n_strings, n) <= memory_bytes), default=0)
    if fitting >= samples:
        return fitting
    least = min(samples, BLOCK) if forecast.few else BLOCK
    what = "1 sample needs" if least == 1 else f"{least} samples in flight need"
    smaller = f"steps of at most {fitting} (train.batch_size), " if fitting else ""
    raise MemoryLimitError(
        f"{what} {gib(chunk_bytes(forecast, n_strings, least))} of {gib(memory_bytes)}; use {smaller}fewer qubits, "
        "engine.precision=complex64, gradient.mode=reversible, or raise engine.memory_gib"
    )


def chunk_bytes(forecast: Forecast, n_strings: int, samples: int) -> int:
    """Memory of so many samples in flight.

    Beside the states, the expectations of the Pauli strings, their cotangents and a copy: little for a few, as much
    as some states for the 2^n strings of a projector.
    """
    return forecast.bytes(samples) + -(-samples // BLOCK) * BLOCK * 3 * 8 * n_strings


class Evaluator:
    """Runs a Model on a Program in chunks of `chunk` samples: whole blocks, or fewer samples than one. With `ranks`
    outputs and gradients of a batch are computed together with the others."""

    def __init__(self, model: Model, program: Program, chunk: int, ranks: Ranks | None = None) -> None:
        if chunk < 1 or (chunk > BLOCK and chunk % BLOCK):
            raise ValueError(f"chunk of {chunk} samples: must be a multiple of {BLOCK}, or less than that")
        self.model = model
        self.program = program
        self.chunk = chunk
        self.ranks = ranks
        self._functions: dict[object, ChunkFunction] = {}

    def _share(self, n_samples: int) -> range:
        """The samples that are computed here."""
        return range(n_samples) if self.ranks is None else samples_of(n_samples, self.ranks.rank, self.ranks.size)

    def _chunks(self, samples: range, stop: Callable[[], bool] | None) -> Iterator[slice]:
        for first in range(samples.start, samples.stop, self.chunk):
            if stop is not None and stop():
                raise StepAbandoned
            yield slice(first, min(first + self.chunk, samples.stop))

    def outputs(self, theta_P: FloatArray, x_BI: FloatArray, stop: Callable[[], bool] | None = None) -> FloatArray:
        """Head outputs (B, C), no gradient."""

        def outputs_of(tape: Tape, head_P: Array) -> tuple[Array, ...]:
            return (self.model.head.forward(head_P, self.model.expectations(tape.expectations_BM)),)

        return self._forward("outputs", outputs_of, theta_P, x_BI, stop)

    def expectations(self, theta_P: FloatArray, x_BI: FloatArray, stop: Callable[[], bool] | None = None) -> FloatArray:
        """Expectations of the observables (B, K)."""

        def expectations_of(tape: Tape, head_P: Array) -> tuple[Array, ...]:
            return (self.model.expectations(tape.expectations_BM),)

        return self._forward("expectations", expectations_of, theta_P, x_BI, stop)

    def _forward(
        self,
        name: str,
        function: ChunkFunction,
        theta_P: FloatArray,
        x_BI: FloatArray,
        stop: Callable[[], bool] | None,
    ) -> FloatArray:
        model = self.model
        function = self._kept(name, function)
        views, samples = model.split(theta_P), self._share(len(x_BI))
        found: list[FloatArray] = []
        try:
            step = self.program.begin_step(model.angles.shared(views.circuit))
            for rows in self._chunks(samples, stop):
                x_bF = model.features(views, x_BI[rows], rows.start)
                per_sample_bS, initial_bN = model.angles.per_sample(views.circuit, x_bF), model.initial_state(x_bF)
                step.chunk(function, per_sample_bS, initial_bN, (views.head,), backward=False)
            found = [rows_bC for (rows_bC,) in step.results()] if samples else []
        except StepAbandoned:
            if self.ranks is None:
                raise
            return rows_of_ranks(None, len(x_BI), self.ranks, abandoned=True)
        own_bC = np.concatenate(found) if found else None
        if self.ranks is not None:
            return rows_of_ranks(own_bC, len(x_BI), self.ranks)
        assert own_bC is not None
        return own_bC

    def _kept(self, key: object, function: ChunkFunction) -> ChunkFunction:
        """The function first given under `key`: steps tell functions apart by identity."""
        if key not in self._functions and len(self._functions) >= _FUNCTIONS_KEPT:
            self._functions.clear()
        return self._functions.setdefault(key, function)

    def _gradient_of(self, batch: int, sizes: tuple[int, ...]) -> ChunkFunction:
        """What happens to a chunk of a batch, whose blocks make nodes of `sizes` in the tree of sums.

        Takes the tape, head parameters, targets, parameters of the loss where it has some and, with trainable
        encodings, `AngleMap.encoding_factors`. Gives outputs (b, C), losses (b,), whether loss and cotangent are finite
        (b,), drift (b,), and sums of nodes (L, R): raw sums, head, encoding, loss. Before these, where there are layers
        before the circuit, the gradient of its angles (b, S') and, of amplitudes, the real part of the bra at the start
        (b, N).
        """
        model = self.model
        bra_wanted = model.input is not None and model.circuit.amplitude_encoded

        def gradient_of(tape: Tape, head_P: Array, targets_b: Array, *more: Array) -> tuple[Array, ...]:
            loss, factors = (model.loss.at(more[0]), more[1:]) if model.loss.n_parameters else (model.loss, more)
            expectations_bK = model.expectations(tape.expectations_BM)
            outputs_bC = model.head.forward(head_P, expectations_bK)
            losses_b = loss.value(outputs_bC, targets_b)
            cotangent_bC = loss.cotangent(outputs_bC, targets_b) / batch
            cotangent_bK = model.head.backward(head_P, expectations_bK, cotangent_bC)
            cotangent_bM = model.string_cotangent(cotangent_bK)
            # tapes on devices take no word of it
            back = tape.backward(cotangent_bM, initial=True) if bra_wanted else tape.backward(cotangent_bM)
            sums = [back.block_sums_GR]
            if model.head.n_parameters:
                sums.append(model.head.block_gradients(head_P, expectations_bK, cotangent_bC))
            if factors:
                sums.append(block_sums(model.angles.encoding_terms(back.per_sample_BS, factors[0])))
            if loss.n_parameters:
                sums.append(block_sums(loss.sample_gradients(outputs_bC, targets_b) / batch))
            finite_b = _finite(losses_b, cotangent_bC)
            before = [] if model.input is None else [back.per_sample_BS]
            if bra_wanted:
                xp = array_namespace(losses_b)
                before.append(xp.asarray(xp.real(back.initial_BN), dtype=losses_b.dtype))
            nodes = (node_sums(blocks, sizes) for blocks in sums)
            return (outputs_bC, losses_b, finite_b, back.drift_B, *before, *nodes)

        return gradient_of

    def gradient(
        self,
        theta_P: FloatArray,
        x_BI: FloatArray,
        targets_B: np.ndarray,
        stop: Callable[[], bool] | None = None,
    ) -> BatchGradient:
        """Mean loss over the batch and its gradient. Raises NonFiniteError, StepAbandoned.

        ValueError for a batch of which not even the first block fits into a chunk: a block is summed in one piece.
        """
        model, batch = self.model, len(x_BI)
        if self.chunk < min(batch, BLOCK):
            raise ValueError(f"batch of {batch} samples: chunks of {self.chunk} do not hold a block")
        views = model.split(theta_P)
        step = self.program.begin_step(model.angles.shared(views.circuit))
        targets_B = np.asarray(targets_B, dtype=np.float64 if model.loss.n_classes is None else np.int64)
        samples = self._share(batch)
        before = None if model.input is None else _BeforeCircuit(model, views)
        sums = BatchSums(samples.start // BLOCK, before=None if before is None else before.sums)
        try:
            for rows in self._chunks(samples, stop):
                x_bF = model.features(views, x_BI[rows], rows.start)
                if before is not None:
                    before.samples.append((x_BI[rows], x_bF))
                sizes = node_sizes(rows.start // BLOCK, -(-len(x_bF) // BLOCK))
                inputs = [views.head, targets_B[rows], *([views.loss] if model.loss.n_parameters else [])]
                if model.angles.has_trainable_encoding:
                    inputs.append(model.angles.encoding_factors(x_bF))
                function = self._kept((batch, sizes), self._gradient_of(batch, sizes))
                per_sample_bS, initial_bN = model.angles.per_sample(views.circuit, x_bF), model.initial_state(x_bF)
                step.chunk(function, per_sample_bS, initial_bN, tuple(inputs))
                sums.sizes.append(sizes)
                if step.pending_bytes > PENDING_BYTES:
                    sums.add(step.results())
            sums.add(step.results() if samples else [])
        except StepAbandoned:
            if self.ranks is None:
                raise
            sums = sums_of_ranks(None, batch, self.ranks)
        else:
            sums = sums if self.ranks is None else sums_of_ranks(sums, batch, self.ranks)
        losses_B = np.concatenate(sums.losses)
        _check_finite(losses_B, np.concatenate(sums.finite))
        totals = [tree.total() for tree in sums.trees]
        gradient_P = model.angles.shared_gradient(step.slot_gradient(totals[0]))
        of_input = [totals.pop()] if model.input is not None else []
        of_loss = [totals.pop()] if model.loss.n_parameters else []
        if model.angles.has_trainable_encoding:
            gradient_P = gradient_P + model.angles.encoding_gradient(totals[-1])
        if model.head.n_parameters:
            gradient_P = np.concatenate([gradient_P, totals[1]])
        gradient_P = np.concatenate([gradient_P, *of_input, *of_loss])
        if not np.all(np.isfinite(gradient_P)):
            first = int(np.flatnonzero(~np.isfinite(gradient_P))[0])
            raise NonFiniteError(
                f"gradient of parameter {first} ({model.parameter_names[first]}) is {gradient_P[first]}; "
                "lower optimizer.learning_rate or set optimizer.clip_norm"
            )
        loss = float(tree_sum(losses_B[:, None])[0] / batch)
        return BatchGradient(loss, gradient_P, np.concatenate(sums.outputs), losses_B, sums.drift)

    def sample_gradients(self, theta_P: FloatArray, x_BI: FloatArray, targets_B: np.ndarray) -> SampleGradients:
        """Gradients of each sample's own loss (not divided by the batch)."""
        model = self.model
        views = model.split(theta_P)
        circuit_P, head_P, loss = views.circuit, views.head, model.loss.at(views.loss)
        step = self.program.begin_step(model.angles.shared(circuit_P))
        parameters, features = [], []
        for rows in self._chunks(self._share(len(x_BI)), None):
            x_bF = model.features(views, x_BI[rows], rows.start)
            tape = step.forward(model.angles.per_sample(circuit_P, x_bF), model.initial_state(x_bF))
            expectations_bK = model.expectations(tape.expectations_BM)
            outputs_bC = model.head.forward(head_P, expectations_bK)
            cotangent_bC = loss.cotangent(outputs_bC, targets_B[rows])
            cotangent_bK = model.head.backward(head_P, expectations_bK, cotangent_bC)
            amplitude = model.circuit.amplitude_encoded
            back = tape.backward(model.string_cotangent(cotangent_bK), per_sample_shared=True, initial=amplitude)
            of_head_bP = model.head.sample_gradients(head_P, expectations_bK, cotangent_bC)
            of_parts = [self._circuit_gradients(back, x_bF), of_head_bP]
            gradient_bF = features_gradient(model, circuit_P, x_bF, back.per_sample_BS, back.initial_BN)
            if model.input is not None:
                of_parts.append(model.input.sample_gradients(views.input, x_BI[rows], gradient_bF))
                gradient_bF = model.input.input_gradient(views.input, x_BI[rows], gradient_bF)
            of_parts.append(loss.sample_gradients(outputs_bC, targets_B[rows]))
            parameters.append(np.concatenate(of_parts, axis=1))
            features.append(gradient_bF)
        own = [np.concatenate(pieces) if pieces else None for pieces in (parameters, features)]
        if self.ranks is not None:
            own = [rows_of_ranks(rows_bX, len(x_BI), self.ranks) for rows_bX in own]
        parameters_BP, features_BF = own
        assert parameters_BP is not None and features_BF is not None
        return SampleGradients(parameters_BP, features_BF)

    def _circuit_gradients(self, back: Backward, x_bF: FloatArray) -> FloatArray:
        """(b, P) of each sample."""
        angles = self.model.angles
        assert back.shared_BS is not None
        gradient_bP = angles.shared_gradient(back.shared_BS)
        if angles.has_trainable_encoding:
            gradient_bP = gradient_bP + angles.encoding_gradient(angles.encoding_sums(back.per_sample_BS, x_bF))
        return gradient_bP


def _finite(losses_b: Array, cotangent_bC: Array) -> Array:
    """(b,) 1 where loss and cotangent of a sample are finite, else 0; float64."""
    xp = array_namespace(losses_b)
    finite_b = xp.isfinite(losses_b) & xp.all(xp.isfinite(cotangent_bC), axis=1)
    return xp.asarray(finite_b, dtype=losses_b.dtype)


def _check_finite(losses_B: FloatArray, finite_B: FloatArray) -> None:
    bad = np.flatnonzero(finite_B == 0)
    if len(bad):
        raise NonFiniteError(
            f"loss of sample {bad[0]} of the batch is {losses_B[bad[0]]}; "
            "lower optimizer.learning_rate or set optimizer.clip_norm"
        )
