"""StepRecipe: a whole training step as plain arrays and names, for an engine that runs spans of steps by itself.

A step is a chain: features to angles or amplitudes, the circuit, observables, head, loss, and all the way back to the
gradient of the mean loss; then clipping, and the optimiser. `qmltrain.training.native_recipe` makes recipes, an engine
with `Program.training_steps` runs them (`qmltrain.engines.protocol`). Shape letters: N samples, F columns of features,
P parameters, S slots, K observables, M Pauli strings, L layers, T steps of a span.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from qmltrain.engines.protocol import FloatArray
from qmltrain.engines.ranks import Ranks

IntArray = NDArray[np.int64]

LineFormatter = Callable[[Sequence[str], Sequence[NDArray[Any]]], bytes]
STEP_ROWS = ("loss", "gradient_norm", "drift", "loss_sum", "hits")  # what every step of a span gives


@dataclass(frozen=True)
class SlotAngles:
    """Angles of slots: ``scale * f * theta[weight] + theta[bias] + offset``, f = 1 for shared slots, else the value in
    column `feature`; an index of -1: that factor is 1, that summand is not there."""

    scale_S: FloatArray
    offset_S: FloatArray
    weight_S: IntArray
    bias_S: IntArray
    feature_S: IntArray


@dataclass(frozen=True)
class DenseInput:
    """Layers before the circuit: `sizes`, each followed by `activation` (none, tanh, relu, sigmoid), the last times
    `scale`; and what amplitudes and angles take of the features that they give, in the order of `StepRecipe`: column c
    is of kind `kinds[c]` (0: a feature, 1: its arccos, 2: the product of ``centres[c]`` - feature) of the features
    ``indices[starts[c]:starts[c + 1]]``."""

    sizes: IntArray
    activation: str
    bias: bool
    scale: float
    kinds: IntArray
    starts: IntArray
    indices: IntArray
    centres: FloatArray


@dataclass(frozen=True)
class StepRecipe:
    """A sample has `n_columns` numbers: the features that are amplitudes (`n_amplitudes`, padded with `pad_with`,
    divided by their norm where `normalize`, and this state `copies` times side by side), then the values f(x) that
    angles take; with layers before the circuit (`input`) what these take. Parameters are those of the circuit, of the
    head, and of these layers.

    Observable k is constants_K[k] plus the sum over entries start_K[k] to start_K[k + 1] of value times string.
    `head_hidden`, `head_activation` and `head_bias` are those of dense heads. `n_classes` 0: regression.
    `optimizer_arrays` are those of its state with shape (P,). `frozen_P` is empty where all parameters are trained,
    `clip_norm` 0 where nothing is clipped.
    """

    n_circuit: int
    n_amplitudes: int
    n_columns: int
    input: DenseInput | None
    shared: SlotAngles
    per_sample: SlotAngles
    pad_with: float
    normalize: bool
    copies: int
    start_K: IntArray
    string: IntArray
    value: FloatArray
    constants_K: FloatArray
    head: str
    head_hidden: tuple[int, ...]
    head_activation: str
    head_bias: bool
    n_outputs: int
    loss: str
    n_classes: int
    delta: float
    class_weights: FloatArray
    optimizer: str
    optimizer_numbers: FloatArray
    optimizer_arrays: tuple[str, ...]
    layer_P: IntArray
    n_layers: int
    frozen_P: NDArray[np.bool_]
    clip_norm: float


@dataclass(frozen=True)
class SpanInputs:
    """What a span of T steps starts from.

    The batch of step t are the samples ``rows[offsets_T1[t]:offsets_T1[t + 1]]`` of `columns_NF` and `targets_N`
    (values, or numbers of classes). `parameters_P` and `optimizer_arrays`, which are moved on in place, are those after
    `steps_before` steps. Gradients and parameters are stored of the steps (from 0) in `gradient_steps` and
    `parameter_steps`. No step begins more than `seconds` after the first.
    """

    columns_NF: FloatArray
    targets_N: FloatArray
    rows: IntArray
    offsets_T1: IntArray
    learning_rates_T: FloatArray
    seconds: float
    steps_before: int
    parameters_P: FloatArray
    optimizer_arrays: list[FloatArray]
    gradient_steps: IntArray
    parameter_steps: IntArray


@dataclass(frozen=True)
class SpanRows:
    """What a span gave: `steps` whole ones, and why it ended: "done", "time", "stopped", or "not finite": the next step
    meets a number that is NaN or infinite. Arrays have a row for each of the T steps asked for, of which those of whole
    steps count: `metrics_5T` as `STEP_ROWS` says, `layer_norms_TL`; gradients and parameters for each step whose are
    stored."""

    steps: int
    end: str
    metrics_5T: FloatArray
    layer_norms_TL: FloatArray
    gradients_TP: FloatArray
    parameters_TP: FloatArray


@dataclass(frozen=True)
class JointPart:
    """A circuit's part with a Program of its own: slot k of the program is slot `shared[k]` (`per_sample[k]`) of the
    whole circuit, its string k is string `strings[k]`."""

    program: Any
    shared: IntArray
    per_sample: IntArray
    strings: IntArray


class TrainingSteps(Protocol):
    """Runs spans of one recipe on one program. Where a span ends never changes a bit of what follows.

    `format_lines` writes rows as lines of JSON, (names, columns) -> bytes; None where nothing is faster than
    Python.
    """

    format_lines: LineFormatter | None

    def as_matrix(self, batch: int) -> bool:
        """Whether steps of so many samples take the shared part of the circuit as one matrix, in which samples meet."""
        ...

    def run(self, inputs: SpanInputs, stop: Callable[[], bool], ranks: Ranks | None = None) -> SpanRows:
        """`stop` is asked every 50 ms, in the middle of longer steps too; a step that is left then leaves no trace.
        With `ranks` the spans of all end with the same step, as soon as that of one does."""
        ...
