"""What is refused or warned of before the first step of a new run, since the training itself would not say it."""

from __future__ import annotations

import re
import warnings

import numpy as np

from qmltrain.errors import InputError
from qmltrain.models.data_facts import class_counts, doubts, encoded_names
from qmltrain.models.features_read import encoded_features_read, features_read
from qmltrain.models.problem import EVALUATION_ROWS, Problem
from qmltrain.models.reductions import Reductions
from qmltrain.wording import listed

_LIKE_FEATURE = re.compile(r"ansatz\.\d+\.(_*x_?\d+_*)", re.IGNORECASE)  # Qiskit writes x[0] as _x_0_


def check_before_training(problem: Problem, reductions: Reductions) -> None:
    """Raise InputError where a training would be worthless: nothing to train, features that the circuit does not read,
    a class without training samples, samples that cannot be read.

    Warns of what may not be meant: an id among the features, classes of very few samples, features that nothing that
    is measured depends on (found by the light cones of `reductions`).
    """
    _check_parameters(problem)
    if not problem.has_data:
        return
    _check_features_are_read(problem)
    _check_outputs_are_read(problem)
    _warn_of_unseen_features(problem, reductions.unseen_features())
    _check_classes(problem)
    _check_every_row(problem)
    for line in doubts(problem):
        warnings.warn(line, stacklevel=2)


def _check_every_row(problem: Problem) -> None:
    """Of all splits: else those of the test split would be met at the end alone."""
    model, row = problem.model, 0
    zeros_have_no_state = model.input is not None and model.needs_features and model.input.keeps_zeros
    if problem.data.is_cached and not zeros_have_no_state:
        return
    every = np.arange(problem.source.info.n_samples)
    for _, x_BI, _ in problem.data.stream(np.split(every, range(EVALUATION_ROWS, len(every), EVALUATION_ROWS))):
        zero_B = ~x_BI.any(axis=1)
        if zeros_have_no_state and zero_B.any():
            raise InputError(
                f"input.bias: false makes amplitudes that are all 0 of row {row + int(np.argmax(zero_B))}, whose "
                "features are all 0; set input.bias=true, input.activation=sigmoid, or fewer input.outputs and "
                "encoding.pad_with=1"
            )
        row += len(x_BI)


def _check_parameters(problem: Problem) -> None:
    if not problem.model.n_parameters:
        raise InputError(
            f"ansatz.name: {problem.config.ansatz.name} and head.name={problem.config.head.name} have no parameters: "
            "there is nothing to train; choose others (qmltrain gradient gives the loss of a fixed circuit)"
        )


def _check_features_are_read(problem: Problem) -> None:
    model, config = problem.model, problem.config
    names = encoded_names(problem)
    unread = sorted(set(range(len(names))) - set(features_read(model).tolist()))
    if not unread:
        return
    features = f"feature{'s' * (len(unread) > 1)} {listed([names[k] for k in unread])}"
    alike = [found[1] for found in map(_LIKE_FEATURE.fullmatch, model.circuit.parameter_names) if found]
    remedy = ""
    if alike:
        x = re.sub(r"\D", "", alike[0])
        remedy = (
            f"its inputs {listed(list(dict.fromkeys(alike)))} are trained as parameters: rename them, "
            f"{alike[0]} to x{x}, to make them features"
        )
    elif config.ansatz.name == "qasm" and config.encoding.name == "none":
        remedy = f"name inputs of {config.ansatz.path} x{unread[0]}, ..., or choose an encoding"
    elif model.circuit.amplitude_encoded:
        remedy = "one amplitude is a sign: take more features, or set encoding.pad_with=1"
    elif config.encoding.name == "none":
        remedy = "choose an encoding (encoding=reuploading), or dataset=none to train without data"
    elif config.encoding.name == "angle" and config.encoding.gate in ("rx", "rz"):
        behind = "|+...+>, behind Hadamard gates," if config.encoding.hadamards else "|0...0>"
        remedy = f"{config.encoding.gate.upper()} changes the phase of {behind} alone: choose another encoding.gate"
    else:
        remedy = "let it read them, or leave them out (dataset.features, preprocess.pca)"
    raise InputError(
        f"encoding.name: the circuit of encoding={config.encoding.name}, ansatz={config.ansatz.name} does not read "
        f"{features} of {len(names)}; {remedy}"
    )


def _check_outputs_are_read(problem: Problem) -> None:
    """Of an input layer; and that they are a state, whatever the sample."""
    model, config = problem.model, problem.config
    if model.input is None:
        return
    if model.input.activation == "relu" and model.needs_features:
        raise InputError(
            "input.activation: relu can give amplitudes that are all 0, which are no state; choose none, tanh or "
            "sigmoid, or fewer input.outputs than amplitudes and encoding.pad_with=1"
        )
    n_outputs = model.input.n_outputs
    read = encoded_features_read(model).tolist()
    unread = [str(k) for k in range(n_outputs) if k not in read]
    if not unread:
        return
    if model.circuit.amplitude_encoded:
        remedy = "one amplitude is a sign: set input.outputs=2 or more"
    elif not read:
        remedy = "choose an encoding (encoding=angle), or set input=none"
    elif max(read) < len(read):  # those left out are the last ones
        remedy = f"set input.outputs={len(read)}"
    else:
        remedy = "choose a circuit that reads them all"
    raise InputError(
        f"input.outputs: the circuit of encoding={config.encoding.name}, ansatz={config.ansatz.name} does not read "
        f"output{'s' * (len(unread) > 1)} {listed(unread)} of the input layer's {n_outputs}; {remedy}"
    )


def _warn_of_unseen_features(problem: Problem, unseen: tuple[int, ...]) -> None:
    if not unseen:
        return
    layers, many = problem.model.input, "s" * (len(unseen) > 1)
    if layers is None:
        names = encoded_names(problem)
        what = f"feature{many} {listed([names[k] for k in unseen])} of {len(names)}"
    else:
        what = f"output{many} {listed([str(k) for k in unseen])} of the input layer's {layers.n_outputs}"
    warnings.warn(
        f"observable.name: nothing that observable={problem.config.observable.name} measures depends on {what}; "
        "measure more qubits, entangle them, or leave these out",
        stacklevel=2,
    )


def _check_classes(problem: Problem) -> None:
    if problem.n_classes is None or not problem.model.loss.supervised:
        return
    counts = class_counts(problem)
    missing = [f"{problem.source.info.class_names[c]!r}" for c in np.flatnonzero(counts[:, 0] == 0)]
    if missing:
        there = counts[counts[:, 0] == 0, 1:].sum()
        raise InputError(
            f"dataset: no training sample of class {listed(missing)} ({there} in validation and test); move some to "
            "the training split (dataset.split_column, dataset.split_key), or keep the others with dataset.classes"
        )
