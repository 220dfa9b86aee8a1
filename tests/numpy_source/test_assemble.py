"""What an exported source predicts from raw rows is what the model predicts: every encoding, preprocessing step, input
layer, head and loss, on PennyLane and Qiskit where they are installed and on a stand-in in NumPy everywhere."""

from __future__ import annotations

import re

import numpy as np
import pytest

from qmltrain.circuit.library.encodings import ENCODINGS
from qmltrain.errors import InputError
from qmltrain.numpy_source.layers import ACTIVATIONS
from qmltrain.numpy_source.layers import HEADS as WRITTEN_HEADS
from qmltrain.numpy_source.predictions import OF_CLASSES, OF_VALUES
from qmltrain.training import activations, heads, losses
from qmltrain.training.input_layers import INPUTS
from qmltrain.verbs.export import source
from tests.circuit.interchange.pennylane_stand_in import execute_in_numpy
from tests.circuit.interchange.python_sources import execute
from tests.numpy_source.untrained_models import TRAINING_ROWS, check_predictions, untrained

generator = np.random.default_rng(3)
ROWS = generator.normal(size=(TRAINING_ROWS + 9, 3)) * [1.0, 20.0, 0.1] + [0.0, 5.0, 0.0]
IMAGES = generator.integers(0, 256, (TRAINING_ROWS + 5, 7, 5)).astype(np.uint8)
COLOURED = generator.integers(0, 256, (TRAINING_ROWS + 5, 4, 3, 3)).astype(np.uint8)
UNIT = {"scale": "min_max", "range": [-0.9, 0.9]}
OTHER_OPTIONS = {  # beside repeats=null
    "amplitude": {"encoding__pad_with": 0.25},
    "reuploading": {"encoding__repeats": 2, "encoding__trainable": "weights_and_biases"},
}
DRESSED = {"input__name": "mlp", "input__hidden": [4], "encoding__name": "angle", "encoding__repeats": None}
LINEAR = {"head__name": "linear", "loss__name": "cross_entropy"}


def encoded(name: str) -> dict:
    return {"encoding__name": name, "encoding__repeats": None, **OTHER_OPTIONS.get(name, {})}


@pytest.mark.parametrize("name", sorted(set(ENCODINGS) - {"python", "none"}))
def test_every_encoding(name):
    rows = (ROWS > 0).astype(float) if name == "basis" else ROWS
    trained = untrained(rows, preprocess={} if name == "basis" else UNIT, **encoded(name), **LINEAR)
    check_predictions(trained, execute_in_numpy(source(trained, "pennylane")), rows[TRAINING_ROWS:])


@pytest.mark.field
@pytest.mark.parametrize("to", ["pennylane", "qiskit"])
@pytest.mark.parametrize("name", sorted(set(ENCODINGS) - {"python", "none"}))
def test_every_encoding_there(name, to):
    pytest.importorskip(to)
    rows = (ROWS > 0).astype(float) if name == "basis" else ROWS
    trained = untrained(rows, preprocess={} if name == "basis" else UNIT, **encoded(name), **LINEAR)
    check_predictions(trained, execute(source(trained, to)), rows[TRAINING_ROWS:])


PREPROCESSING = {
    "nothing": (ROWS, {}),
    "standard": (ROWS, {"scale": "standard"}),
    "clipped": (ROWS, {"scale": "min_max", "range": [0.25, 3.0]}),
    "unclipped": (ROWS, {"scale": "min_max", "range": [0.25, 3.0], "clip": False}),
    "components": (ROWS, {"standardize": True, "pca": 2}),
    "norm": (ROWS * [1e200, 1e-180, 1.0], {"normalize": True}),
    "constant": (ROWS * [1.0, 0.0, 1.0], {"scale": "min_max"}),
    "image": (IMAGES, {"resize": [3, 4], "standardize": True, "pca": 3, "scale": "min_max", "normalize": True}),
    "same size": (IMAGES, {"resize": [7, 5], "pca": 3, "scale": "standard"}),
    "colours": (COLOURED, {"resize": [3, 2], "pca": 3, "scale": "min_max"}),
}


@pytest.mark.parametrize("kind", PREPROCESSING)
def test_every_step_of_preprocessing(kind):
    x, options = PREPROCESSING[kind]
    trained = untrained(x, preprocess=options, **encoded("angle"))
    found = execute_in_numpy(source(trained, "pennylane"))
    features = trained.features(x)
    np.testing.assert_allclose(found["preprocess"](x), features, rtol=1e-12, atol=1e-12 * np.abs(features).max())
    check_predictions(trained, found, x[TRAINING_ROWS:])


@pytest.mark.parametrize("activation", activations.ACTIVATIONS)
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("name", sorted(set(INPUTS) - {"none"}))
def test_every_input_layer(name, bias, activation):
    options = {"input__name": name, "input__bias": bias, "input__activation": activation, "input__scale": -1.25}
    options |= {"input__hidden": [6, 5]} if name == "mlp" else {}
    trained = untrained(ROWS, preprocess={"scale": "standard"}, **encoded("angle"), **options)
    check_predictions(trained, execute_in_numpy(source(trained, "pennylane")), ROWS[TRAINING_ROWS:])


@pytest.mark.parametrize("copies", [1, 3])
def test_input_layers_before_amplitudes(copies):
    changes = {**encoded("amplitude"), "encoding__copies": copies, "input__name": "linear", **LINEAR}
    trained = untrained(ROWS, preprocess=UNIT, **changes)
    check_predictions(trained, execute_in_numpy(source(trained, "pennylane")), ROWS[TRAINING_ROWS:])


AMPLITUDES = {**encoded("amplitude"), "encoding__pad_with": 0.0, "encoding__normalize": False}


def unit_rows() -> np.ndarray:
    """Rows that are amplitudes already, but for rounding to float32."""
    return (ROWS / np.linalg.norm(ROWS, axis=1, keepdims=True)).astype(np.float32)


def test_rows_that_are_amplitudes_already():
    trained = untrained(unit_rows(), **AMPLITUDES, **LINEAR)
    exported = execute_in_numpy(source(trained, "pennylane"))
    with pytest.raises(ValueError, match="norm of 1"):
        exported["predict"](ROWS)


@pytest.mark.field
@pytest.mark.parametrize("to", ["pennylane", "qiskit"])
def test_rows_that_are_amplitudes_already_there(to):
    pytest.importorskip(to)
    trained = untrained(unit_rows(), **AMPLITUDES, **LINEAR)
    check_predictions(trained, execute(source(trained, to)), unit_rows()[TRAINING_ROWS:])


@pytest.mark.field
@pytest.mark.parametrize("to", ["pennylane", "qiskit"])
@pytest.mark.parametrize("encoding", ["angle", "amplitude"])
def test_dressed_there(to, encoding):
    pytest.importorskip(to)
    trained = untrained(ROWS, 3, UNIT, **{**DRESSED, "encoding__name": encoding}, **LINEAR)
    check_predictions(trained, execute(source(trained, to)), ROWS[TRAINING_ROWS:])


HEAD_OPTIONS = {"raw": {}, "scaled": {}, "linear": {}, "bias": {}, "mlp": {"head__hidden": [5, 4]}}


@pytest.mark.parametrize("name", heads.HEADS)
def test_every_head(name):
    trained = untrained(ROWS, 3, UNIT, **DRESSED, head__name=name, loss__name="cross_entropy", **HEAD_OPTIONS[name])
    check_predictions(trained, execute_in_numpy(source(trained, "pennylane")), ROWS[TRAINING_ROWS:])


TASKS = [*((name, 2) for name in OF_CLASSES), ("cross_entropy", 4), *((name, None) for name in OF_VALUES)]


@pytest.mark.parametrize(("name", "n_classes"), TASKS)
def test_every_loss(name, n_classes):
    raw = getattr(losses.LOSSES[name], "why_raw", "")
    options = {"head__name": "raw", "observable__qubits": [1]} if raw else {"head__name": "linear"}
    if name == "weighted_fidelity":  # of any number of outputs
        options["observable__qubits"] = [0, 2]
    trained = untrained(
        ROWS, n_classes, UNIT, **DRESSED, loss__name=name, observable__name=_observable(name), **options
    )
    exported = execute_in_numpy(source(trained, "pennylane"))
    check_predictions(trained, exported, ROWS)
    of_loss_P = trained.model.split(trained.theta_P).loss
    assert np.array_equal(exported.get("LOSS_WEIGHTS", []), of_loss_P)


def _observable(loss: str) -> str:
    return "local_projector" if loss == "fidelity" else "z"


def test_long_arrays():
    trained = untrained(ROWS, preprocess=UNIT, **{**DRESSED, "input__hidden": [900, 5]})
    text = source(trained, "pennylane")
    assert "import base64\n" in text and "INPUT_1_WEIGHT = np.frombuffer(base64" in text
    check_predictions(trained, execute_in_numpy(text), ROWS[TRAINING_ROWS:])


@pytest.mark.parametrize("to", ["pennylane", "qiskit"])
def test_both_formats_say_the_same_around_the_circuit(to):
    trained = untrained(IMAGES, preprocess={"resize": 3, "pca": 3}, **{**DRESSED, **LINEAR})
    text = source(trained, to)
    compile(text, "exported", "exec")
    _, found, around = text.partition("# From raw samples to predictions, in NumPy.")
    assert found and around == source(trained, "pennylane").partition(found)[2]
    assert "features of one sample that preprocess and input_layers make of it" in text


@pytest.mark.filterwarnings("ignore:overflow")
@pytest.mark.parametrize(
    ("kind", "x", "message"),
    [
        ("angle", ROWS[:, :2], "samples are (B, 3)"),
        ("angle", ROWS[0], "samples are (B, 3)"),
        ("angle", np.where(ROWS > 1, np.nan, ROWS), "NaN or infinite"),
        ("normalize", ROWS * (ROWS[:, :1] > 0), "all 0"),
        ("amplitude", ROWS * (ROWS[:, :1] > 0), "all 0"),
        ("angle", np.where([False, False, True], 1.7e308, ROWS), "too large"),
        ("basis", ROWS, "neither 0 nor 1"),
        ("chebyshev", ROWS * 3, "outside [-1, 1]"),
    ],
)
def test_samples_that_the_model_refuses_are_refused(kind, x, message):
    rows = (ROWS > 0).astype(float) if kind == "basis" else ROWS
    options = {"basis": {}, "amplitude": {}, "normalize": {"normalize": True}}.get(kind, {**UNIT, "clip": False})
    changes = encoded("angle" if kind == "normalize" else kind)
    trained = untrained(rows, preprocess=options, **{**changes, "encoding__pad_with": None})
    exported = execute_in_numpy(source(trained, "pennylane"))
    with pytest.raises(InputError):
        trained.scores(x)
    with pytest.raises(ValueError, match=re.escape(message)):
        exported["predict"](x)


def test_no_samples_give_no_predictions():
    exported = execute_in_numpy(source(untrained(ROWS, 3, UNIT, **DRESSED, **LINEAR), "pennylane"))
    assert exported["scores"](ROWS[:0]).shape == (0, 3) and exported["predict"](ROWS[:0]).shape == (0,)


def test_a_head_or_loss_of_ones_own_is_refused(monkeypatch):
    trained = untrained(ROWS, preprocess=UNIT, **DRESSED)
    monkeypatch.setattr(trained.model.head, "name", "other", raising=False)
    with pytest.raises(InputError, match="head.name: other cannot be written"):
        source(trained, "qiskit")
    assert "OPENQASM" in source(trained, "qasm3")
    trained = untrained(ROWS, preprocess=UNIT, **DRESSED)
    monkeypatch.setattr(trained.model.loss, "name", "other")
    with pytest.raises(InputError, match="loss.name: other cannot be written"):
        source(trained, "pennylane")


def test_nothing_that_is_registered_is_forgotten():
    assert set(heads.HEADS) <= set(WRITTEN_HEADS) == set(HEAD_OPTIONS)
    assert set(losses.LOSSES) <= set(OF_CLASSES) | set(OF_VALUES)
    assert set(activations.ACTIVATIONS) == set(ACTIVATIONS)
