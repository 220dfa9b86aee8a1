"""Models of three qubits, one of each kind of encoding, head and loss, and samples for them."""

from __future__ import annotations

import numpy as np

from qmltrain.circuit.library.assemble import assemble, assemble_observables
from qmltrain.engines.interpreter import InterpreterEngine
from qmltrain.training.gradients import Evaluator
from qmltrain.training.input_layers import InputLayers
from qmltrain.training.losses import build_loss
from qmltrain.training.model import AmplitudeOptions, Model
from tests.training.head_cases import build

MODELS = {
    "reuploading, linear, cross entropy": ("reuploading", {"repeats": 3}, "z", {}, "linear", "cross_entropy", 3),
    "biases too": (
        "reuploading", {"repeats": 2, "trainable": "weights_and_biases"}, "pauli", {"terms": ["Z0 X1 + 0.5*Y2", "Z2"]},
        "raw", "cross_entropy", 2,
    ),
    "angle, scaled, binary": ("angle", {}, "z", {"qubits": [1]}, "scaled", "binary_cross_entropy", 2),
    "amplitude, projectors": ("amplitude", {}, "projector", {"states": [0, 5]}, "scaled", "cross_entropy", 2),
    "amplitude, padded": ("amplitude", {"pad_with": 0.3}, "z", {}, "linear", "cross_entropy", 4),
    "regression": ("angle", {"gate": "rx"}, "z", {"qubits": [0]}, "linear", "mean_squared_error", None),
    "dressed": ("angle", {}, "z", {}, "linear", "cross_entropy", 2),
    "trainable weights behind layers": ("reuploading", {"repeats": 2}, "z", {"qubits": [1]}, "scaled", "hinge", 2),
    "arccos behind a layer": ("chebyshev", {}, "z", {}, "linear", "cross_entropy", 3),
    "products behind a layer": ("zz_feature_map", {}, "z", {}, "raw", "cross_entropy", 3),
    "network behind": ("angle", {}, "z", {}, "mlp", "cross_entropy", 4),
    "network behind trained weights": ("reuploading", {"repeats": 2}, "z", {}, "mlp", "binary_cross_entropy", 2),
    "bias": ("amplitude", {"pad_with": 0.125}, "z", {"qubits": [2]}, "bias", "mean_squared_error", 2),
    "unhinged": ("iqp", {"repeats": 2}, "pauli", {"terms": ["Z0 + Z1 + Z2"]}, "raw", "unhinged", 2),
    "weighted fidelity": ("reuploading", {"repeats": 2}, "z", {}, "raw", "weighted_fidelity", 2),
    "weighted fidelity behind a layer": ("angle", {}, "z", {"qubits": [0, 2]}, "raw", "weighted_fidelity", 2),
    "amplitudes behind layers": ("amplitude", {"pad_with": 0.2}, "z", {}, "linear", "cross_entropy", 2),
}  # fmt: skip

# of those models: sizes and options of their input layers
LAYERS = {
    "dressed": ((5, 3), {"bias": False, "activation": "tanh", "scale": np.pi / 2, "initial": "normal"}),
    "trainable weights behind layers": ((2, 4, 3), {"activation": "sigmoid", "scale": -2.0}),
    "arccos behind a layer": ((4, 3), {"activation": "tanh", "scale": 0.9}),
    "products behind a layer": ((4, 3), {}),
    "weighted fidelity behind a layer": ((4, 3), {"activation": "tanh"}),
    "amplitudes behind layers": ((3, 5, 6), {"activation": "tanh"}),
}


def make(name: str, n_features: int = 3) -> Model:
    encoding, encoding_options, observable, observable_options, head, loss, n_classes = MODELS[name]
    if encoding == "amplitude":
        n_features = 6
    circuit = assemble(3, n_features, encoding, encoding_options, "hea", {"layers": 2, "entangler": "cx_ring"})
    observables = assemble_observables(3, observable, observable_options)
    built = build_loss(loss, {}, n_classes, observables.n_observables)
    amplitude = AmplitudeOptions(encoding_options.get("pad_with", 0.0), True)
    sizes, options = LAYERS.get(name, ((), {}))
    layers = InputLayers(sizes, **options) if sizes else None
    own_head = build(head, observables.n_observables, built.n_outputs)
    return Model(circuit, observables, own_head, built, amplitude, encoding, layers)


def inputs(model: Model, batch: int):
    generator = np.random.default_rng(7)
    theta = generator.uniform(-1, 1, model.n_parameters)
    x = generator.uniform(-1, 1, (batch, model.n_inputs))
    n_classes = model.loss.n_classes
    targets = generator.normal(size=batch) if n_classes is None else generator.integers(0, n_classes, batch)
    return theta, x, targets


def evaluator(model: Model, chunk: int = 64, engine=None, **options) -> Evaluator:
    engine = engine or InterpreterEngine()
    strings = model.observables.strings
    return Evaluator(model, engine.compile(model.circuit, strings, "complex128", **options), chunk)
