"""A model and an optimiser as a `StepRecipe`, where everything in them has a native form.

Native forms are looked up by the exact type: a class derived from one of these may compute something else. A head, loss
or optimiser of one's own gets a native form by an entry here and its link in kernels/cpu/step; without one it is
trained by `ArraySteps`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from qmltrain.circuit.angle import Feature
from qmltrain.engines.protocol import FloatArray
from qmltrain.engines.step_recipe import DenseInput, IntArray, SlotAngles, StepRecipe
from qmltrain.training.angles import AngleColumns, feature_value
from qmltrain.training.class_weights import ClassWeighted
from qmltrain.training.heads import MLP, Bias, Head, Linear, Raw, Scaled
from qmltrain.training.input_layers import InputLayers
from qmltrain.training.loss_protocol import Loss
from qmltrain.training.losses import (
    BinaryCrossEntropy,
    CrossEntropy,
    Expectation,
    Fidelity,
    Hinge,
    Huber,
    MeanSquaredError,
    Unhinged,
)
from qmltrain.training.model import Model
from qmltrain.training.optimizer_protocol import FullBatchOptimizer, Optimizer
from qmltrain.training.optimizers import SGD, Adam, AdamW
from qmltrain.training.state import TrainingPlan
from qmltrain.training.weighted_fidelity import WeightedFidelity

MOMENTS = ("first_moment", "second_moment")

FEATURE_KINDS = ("linear", "arccos", "product")  # by their number in the extension
# names in the extension
NATIVE_HEADS: dict[type, str] = {Raw: "raw", Scaled: "scaled", Linear: "linear", Bias: "bias", MLP: "mlp"}
NATIVE_LOSSES: dict[type, str] = {
    CrossEntropy: "cross_entropy",
    BinaryCrossEntropy: "binary_cross_entropy",
    MeanSquaredError: "mean_squared_error",
    Hinge: "hinge",
    Huber: "huber",
    Expectation: "expectation",
    Fidelity: "fidelity",
    Unhinged: "unhinged",
    WeightedFidelity: "weighted_fidelity",
}
# name, its numbers, and its arrays (P,), in the order of kernels/cpu/step/optimizers.hpp
NATIVE_OPTIMIZERS: dict[type, Callable[[Any], tuple[str, list[float], tuple[str, ...]]]] = {
    SGD: lambda sgd: ("sgd", [sgd.momentum, sgd.weight_decay], ("velocity",) if sgd.momentum else ()),
    Adam: lambda adam: ("adam", [adam.beta_1, adam.beta_2, adam.epsilon, 0.0], MOMENTS),
    AdamW: lambda adam: ("adamw", [adam.beta_1, adam.beta_2, adam.epsilon, adam.weight_decay], MOMENTS),
}


def why_not_native(model: Model, optimizer: Optimizer | FullBatchOptimizer) -> str | None:
    """What has no native form, in words for a user; None where all has."""
    if type(optimizer) not in NATIVE_OPTIMIZERS:
        return f"optimizer.name={optimizer.name} has no native form"
    if model.input is not None and type(model.input) is not InputLayers:
        return f"input layers of class {type(model.input).__name__} have no native form"
    if type(model.head) not in NATIVE_HEADS:
        return f"head.name={model.head.name} has no native form"
    if type(_unweighted(model.loss)) not in NATIVE_LOSSES:
        return f"loss.name={model.loss.name} has no native form"
    return None


def step_recipe(model: Model, optimizer: Optimizer | FullBatchOptimizer, plan: TrainingPlan) -> StepRecipe:
    """Raises ValueError where `why_not_native` has something to say."""
    reason = why_not_native(model, optimizer)
    if reason is not None:
        raise ValueError(reason)
    loss = _unweighted(model.loss)
    name, numbers, arrays = NATIVE_OPTIMIZERS[type(optimizer)](optimizer)
    rows_K, strings = np.nonzero(model.coefficients_KM)
    layers, layer_P = model.layers()
    frozen_P = np.empty(0, dtype=bool) if plan.frozen_P is None else plan.frozen_P
    return StepRecipe(
        n_circuit=model.circuit.n_parameters,
        n_amplitudes=_n_amplitudes(model),
        n_columns=_n_amplitudes(model) + len(_distinct_features(model)) if model.input is None else model.n_inputs,
        input=_dense_input(model),
        shared=_slot_angles(model.angles.shared_columns, model),
        per_sample=_slot_angles(model.angles.per_sample_columns, model, model.angles.features),
        pad_with=model.amplitude.pad_with,
        normalize=model.amplitude.normalize,
        copies=model.amplitude.copies,
        start_K=np.searchsorted(rows_K, np.arange(len(model.coefficients_KM) + 1)).astype(np.int64),
        string=strings.astype(np.int64),
        value=model.coefficients_KM[rows_K, strings],
        constants_K=np.array(model.observables.constants, dtype=np.float64),
        **_head(model.head),
        n_outputs=model.head.n_outputs,
        loss=NATIVE_LOSSES[type(loss)],
        n_classes=loss.n_classes or 0,
        delta=loss.delta if isinstance(loss, Huber) else 0.0,
        class_weights=model.loss.weights_C if isinstance(model.loss, ClassWeighted) else np.empty(0),
        optimizer=name,
        optimizer_numbers=np.array(numbers, dtype=np.float64),
        optimizer_arrays=arrays,
        layer_P=layer_P.astype(np.int64),
        n_layers=len(layers),
        frozen_P=frozen_P,
        clip_norm=plan.clip_norm or 0.0,
    )


def _dense_input(model: Model) -> DenseInput | None:
    layers = model.input
    if layers is None:
        return None
    features = [Feature("linear", (k,)) for k in range(_n_amplitudes(model))] + _distinct_features(model)
    counts = [len(feature.indices) for feature in features]
    return DenseInput(
        np.array(layers.sizes, dtype=np.int64),
        layers.activation,
        layers.bias,
        float(layers.scale),
        np.array([FEATURE_KINDS.index(feature.kind) for feature in features], dtype=np.int64),
        np.cumsum([0, *counts]).astype(np.int64),
        np.array([index for feature in features for index in feature.indices], dtype=np.int64),
        np.array([feature.centre for feature in features], dtype=np.float64),
    )


def feature_columns(model: Model, x_BF: FloatArray) -> FloatArray:
    """(B, n_columns) what the native step takes of the features: those that are amplitudes, as they are, and f(x) of
    every different feature of an angle; with layers before the circuit what these take. No copy where these are the
    features. Raises InputError as `feature_value`."""
    if as_they_are(model):
        return np.ascontiguousarray(x_BF, dtype=np.float64)
    columns = [x_BF[:, k] for k in range(_n_amplitudes(model))]
    columns += [feature_value(feature, x_BF) for feature in _distinct_features(model)]
    return np.stack(columns, axis=1) if columns else np.empty((len(x_BF), 0))


def as_they_are(model: Model) -> bool:
    """Whether `feature_columns` are the features."""
    if model.input is not None:
        return True
    features = _distinct_features(model)
    if _n_amplitudes(model):
        return not features
    return [(f.kind, f.indices) for f in features] == [("linear", (k,)) for k in range(model.circuit.n_features)]


def _n_amplitudes(model: Model) -> int:
    """Features that are amplitudes."""
    return model.circuit.n_features if model.circuit.amplitude_encoded else 0


def _distinct_features(model: Model) -> list[Feature]:
    """The features of angles, each once."""
    return list(dict.fromkeys(model.angles.features))


def _head(head: Head) -> dict[str, Any]:
    layers = head.layers if isinstance(head, MLP) else None
    bias = layers.bias if layers else isinstance(head, Linear) and head.bias
    return {
        "head": NATIVE_HEADS[type(head)],
        "head_hidden": layers.sizes[1:-1] if layers else (),
        "head_activation": layers.activation if layers else "none",
        "head_bias": bias,
    }


def _unweighted(loss: Loss) -> Loss:
    return loss.loss if type(loss) is ClassWeighted else loss


def _slot_angles(columns: AngleColumns, model: Model, features: Sequence[Feature] = ()) -> SlotAngles:
    def index(pointers: IntArray) -> IntArray:
        return np.where(pointers < model.angles.n_parameters, pointers, -1)

    where = {feature: _n_amplitudes(model) + column for column, feature in enumerate(_distinct_features(model))}
    feature_S = np.array([where[feature] for feature in features] or [-1] * len(columns.scale), dtype=np.int64)
    return SlotAngles(columns.scale, columns.offset, index(columns.weight), index(columns.bias), feature_S)
