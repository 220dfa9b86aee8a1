"""Models of three qubits, one of each kind of encoding, head and loss, and samples for them."""

from __future__ import annotations

import numpy as np

from qmltrain.circuit.library.assemble import assemble, assemble_observables
from qmltrain.training.heads import HEADS
from qmltrain.training.losses import LOSSES
from qmltrain.training.model import AmplitudeOptions, Model

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
}  # fmt: skip


def make(name: str, n_features: int = 3) -> Model:
    encoding, encoding_options, observable, observable_options, head, loss, n_classes = MODELS[name]
    if encoding == "amplitude":
        n_features = 6
    circuit = assemble(3, n_features, encoding, encoding_options, "hea", {"layers": 2, "entangler": "cx_ring"})
    observables = assemble_observables(3, observable, observable_options)
    built = LOSSES[loss](n_classes)
    amplitude = AmplitudeOptions(encoding_options.get("pad_with", 0.0), True)
    return Model(circuit, observables, HEADS[head](observables.n_observables, built.n_outputs), built, amplitude)


def inputs(model: Model, batch: int):
    generator = np.random.default_rng(7)
    theta = generator.uniform(-1, 1, model.n_parameters)
    x = generator.uniform(-1, 1, (batch, model.circuit.n_features))
    n_classes = model.loss.n_classes
    targets = generator.normal(size=batch) if n_classes is None else generator.integers(0, n_classes, batch)
    return theta, x, targets
