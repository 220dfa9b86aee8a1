"""All that lies around the circuit of a trained model, put together: from raw samples to predictions."""

from __future__ import annotations

from dataclasses import dataclass

from qmltrain.models.trained import TrainedModel
from qmltrain.numpy_source.arrays import Arrays
from qmltrain.numpy_source.layers import head_source, input_source
from qmltrain.numpy_source.predictions import predictions_source
from qmltrain.numpy_source.preprocessing import preprocess_source


@dataclass(frozen=True)
class Source:
    """`text` to stand behind a source that has `expectations(x)`, for the features of one sample, and `np`; `imports`
    are the modules that it needs beside NumPy."""

    text: str
    imports: tuple[str, ...]


def around_circuit(trained: TrainedModel) -> Source:
    """Source of `preprocess`, `input_layers`, `head`, `outputs`, `scores` and `predict`, as far as the model has them.

    Raises InputError for a head or loss that is not known here.
    """
    model, arrays = trained.model, Arrays()
    views = model.split(trained.theta_P)
    before = preprocess_source(trained.preprocessor, model, arrays)
    layers = input_source(model, views.input, arrays)
    head = head_source(model, views.head, arrays)
    if model.loss.n_parameters:  # trained, but nothing that is predicted depends on them
        arrays.add("LOSS_WEIGHTS", views.loss)
    encoded = "input_layers(preprocess(x))" if layers else "preprocess(x)"
    values = f"np.array([expectations(row) for row in {encoded}], dtype=np.float64)"
    values += f".reshape(-1, {model.observables.n_observables})"
    outputs = [
        "",
        "def outputs(x):",
        f'    """(B, {model.head.n_outputs}) outputs of the model for raw samples."""',
        f"    return head({values})" if head else f"    return {values}",
        "",
    ]
    judged = predictions_source(model.loss, trained.class_names, trained.target_scaler)
    lines = [
        "",
        "",
        "# From raw samples to predictions, in NumPy.",
        *_names(trained),
        *before,
        *layers,
        *head,
        *outputs,
        *judged,
        "",
        *arrays.lines(),
    ]
    return Source("\n".join(lines).rstrip("\n") + "\n", arrays.imports)


def _names(trained: TrainedModel) -> list[str]:
    """Constants of the data: the columns of a sample, the classes, or the units of what is predicted."""
    found = []
    if trained.feature_names and len(trained.sample_shape) == 1:
        found.append(f"FEATURE_NAMES = {trained.feature_names!r}  # the columns of x")
    if trained.class_names:
        found.append(f"CLASS_NAMES = {trained.class_names!r}")
    elif trained.target_scaler is not None:
        found += [
            f"TARGET_MEAN = {float(trained.target_scaler.mean)!r}",
            f"TARGET_DEVIATION = {float(trained.target_scaler.deviation)!r}",
        ]
    return [*found, ""]
