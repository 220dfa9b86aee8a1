"""Source of `scores(x)` and `predict(x)`: what the loss makes of outputs, class numbers or values in their units."""

from __future__ import annotations

from qmltrain.data.scaling import TargetScaler
from qmltrain.errors import InputError
from qmltrain.training.losses import Loss

_SIGN = ("outputs(x)", "(outputs(x)[:, 0] > 0).astype(np.int64)", "outputs; class 1 where they are greater than 0")
_VALUE = ("outputs(x)", "outputs(x)[:, 0]", "outputs")
_PROBABILITIES = "probabilities of the classes"

# loss -> scores, predictions, what the scores are; where classes are predicted, and where values are
OF_CLASSES: dict[str, tuple[str, str, str]] = {
    "cross_entropy": ("softmax(outputs(x))", "outputs(x).argmax(axis=1)", _PROBABILITIES),
    "binary_cross_entropy": (
        "0.5 + 0.5 * np.tanh(0.5 * outputs(x))",  # the logistic function, which never overflows so
        "(outputs(x)[:, 0] > 0).astype(np.int64)",
        "probability of class 1",
    ),
    "mean_squared_error": _SIGN,
    "hinge": _SIGN,
    "unhinged": _SIGN,
    "weighted_fidelity": (
        "outputs(x).mean(axis=1, keepdims=True)",
        "(outputs(x).mean(axis=1) > 0).astype(np.int64)",
        "mean of the outputs; class 1 where it is greater than 0",
    ),
}
OF_VALUES: dict[str, tuple[str, str, str]] = {
    "mean_squared_error": _VALUE,
    "huber": _VALUE,
    "expectation": _VALUE,
    "fidelity": _VALUE,
}

_SOFTMAX = """
def softmax(z):
    z = np.exp(z - z.max(axis=1, keepdims=True))
    return z / z.sum(axis=1, keepdims=True)

"""


def predictions_source(loss: Loss, class_names: tuple[str, ...], scaler: TargetScaler | None) -> list[str]:
    """Lines that define `scores` and `predict`, of `outputs`."""
    known = OF_VALUES if loss.n_classes is None else OF_CLASSES
    if loss.name not in known:
        raise InputError(f"loss.name: {loss.name} cannot be written for other programs; --to qasm3 writes the circuit")
    scores, predicted, meaning = known[loss.name]
    if loss.n_classes is not None:
        what = "class numbers of raw samples, of which CLASS_NAMES has the names"
    elif scaler is None or class_names:
        what = "predictions for raw samples"
    else:
        what = "predictions for raw samples, in the units of the data"
        meaning += ", before they are brought to the units of the data"
        predicted = f"{predicted} * TARGET_DEVIATION + TARGET_MEAN"
    return [
        *(_SOFTMAX.splitlines() if "softmax" in scores else []),
        "",
        "def scores(x):",
        f'    """(B, {_columns(loss)}) for raw samples: {meaning}."""',
        f"    return {scores}",
        "",
        "",
        "def predict(x):",
        f'    """(B,) {what}."""',
        f"    return {predicted}",
        "",
    ]


def _columns(loss: Loss) -> int:
    return loss.n_outputs if loss.name == "cross_entropy" else 1
