"""The parameters a run starts from: drawn, or grown from those of another run (`train.initial=from_run`)."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np

from qmltrain.config.groups.train import TrainConfig
from qmltrain.config.identity import differing_keys
from qmltrain.config.schema import Config
from qmltrain.config.storage import to_dict
from qmltrain.data.preprocessing import Preprocessor
from qmltrain.engines.protocol import FloatArray
from qmltrain.errors import InputError, UnusedOptionError
from qmltrain.models.build import build_model
from qmltrain.models.data_facts import FEATURES
from qmltrain.models.problem import Problem
from qmltrain.models.stored import PREPROCESS_PREFIX, best_snapshot, stored_config
from qmltrain.models.stored_files import with_stored_files
from qmltrain.runs.views import open_run
from qmltrain.training.identity_blocks import identity_blocks
from qmltrain.training.initialization import initial_parameters
from qmltrain.training.model import Model
from qmltrain.wording import listed

FROM_RUN = "from_run"
# options that change what parameters make, and neither gates nor the names of parameters
_OF_THE_FUNCTION = (
    *("input.activation", "input.scale", "head.activation"),
    *("encoding.pad_with", "encoding.normalize", "encoding.copies", "encoding.big_endian"),
)


def initial_theta(problem: Problem) -> FloatArray:
    """All parameters, (P,). Raises InputError for options that do not go together, and as `grown_parameters`."""
    config, model = problem.config, problem.model
    train = config.train
    generator = np.random.default_rng(problem.seeds.initial)
    if train.initial == FROM_RUN:
        theta_P = grown_parameters(config, model, generator)
        warn_of_other_features(Path(train.initial_run or ""), problem.source.info.feature_names)
        return theta_P
    for option in ("initial_run", "initial_rest"):
        if getattr(train, option) is not None:
            raise UnusedOptionError(f"train.{option}", f"not used by {train.initial}; only {FROM_RUN} takes it")
    circuit_P = initial_parameters(model.circuit, train.initial, generator, *start_options(train))
    return np.concatenate([circuit_P, model.initial_around(generator)])


def start_options(train: TrainConfig) -> tuple[Any, ...]:
    """What `InitialParameters` takes beside a name."""
    return train.initial_scale, train.initial_shape, train.initial_range, train.initial_features


def warn_of_other_features(run: Path, names: tuple[str, ...]) -> None:
    """Parameters of a run are taken over by position: features of other names, or in another order, are said."""
    before = tuple(open_run(run).data.get(FEATURES, ()))
    if before and names and before != names:
        warnings.warn(
            f"train.initial_run: {run} was trained on {listed(before)}, this run is on {listed(names)}; its "
            "parameters are taken by position",
            stacklevel=2,
        )


def grown_parameters(config: Config, model: Model, generator: np.random.Generator) -> FloatArray:
    """The best parameters of the run `train.initial_run`, and for layers that it did not have `train.initial_rest`.

    Raises InputError, with the shapes of both, where the run's circuit is not the beginning of this one or its head is
    another.
    """
    train = config.train
    if train.initial_run is None:
        raise InputError(f"train.initial_run: needed by {FROM_RUN}; give a run's directory")
    old_config, directory = stored_config(Path(train.initial_run))
    snapshot = best_snapshot(directory)
    stored = {k.removeprefix(PREPROCESS_PREFIX): v for k, v in snapshot.arrays.items()}
    class_names = open_run(directory).attributes["class_names"]
    with with_stored_files(old_config, directory, snapshot.arrays) as own:
        old = build_model(own, Preprocessor.from_state(stored).n_features, len(class_names) or None)
    old_P = snapshot.arrays.get("best_theta", snapshot.arrays["theta"])
    n_old = old.circuit.n_parameters
    same = old.circuit.n_qubits == model.circuit.n_qubits and old.circuit.amplitude_encoded == (
        model.circuit.amplitude_encoded
    )
    if not same or model.circuit.gates[: len(old.circuit.gates)] != old.circuit.gates:
        raise InputError(
            f"train.initial_run: the circuit of {directory} ({_shape(old)}) is not the beginning of this one "
            f"({_shape(model)}); only layers, or re-uploading blocks, may be added at its end"
        )
    if _input_names(old) != _input_names(model):
        raise InputError(
            f"train.initial_run: the input layer of {directory} has other parameters than that of this config; choose "
            "the same options of input"
        )
    differing = differing_keys(to_dict(own), to_dict(config))
    changed = [f"{key} was {was}, is {now}" for key, (was, now) in differing.items() if key in _OF_THE_FUNCTION]
    if changed:
        warnings.warn(
            f"train.initial_run: the parameters of {directory} make another function here: {', '.join(changed)}",
            stacklevel=2,
        )
    if old.loss.parameter_names != model.loss.parameter_names:
        raise InputError(
            f"train.initial_run: the weights of the loss of {directory} ({_loss(old)}) are not those of this config "
            f"({_loss(model)})"
        )
    if old.head.parameter_names != model.head.parameter_names:
        raise InputError(
            f"train.initial_run: the head of {directory} ({_head(old)}) is not that of this config ({_head(model)})"
        )
    rest = train.initial_rest or "zeros"
    if rest == "identity":
        if train.initial_range is not None:
            raise UnusedOptionError("train.initial_range", "not used by identity; leave it null")
        scale = {} if train.initial_scale is None else {"scale": train.initial_scale}
        drawn_P = identity_blocks(model.circuit, generator, first_layer=len(old.circuit.layer_starts), **scale)
    else:
        drawn_P = initial_parameters(model.circuit, rest, generator, *start_options(train))
    return np.concatenate([old_P[:n_old], drawn_P[n_old:], old_P[n_old:]])


def _shape(model: Model) -> str:
    circuit = model.circuit
    return (
        f"{circuit.n_qubits} qubits, {len(circuit.layer_starts)} layers, {circuit.n_parameters} parameters, "
        f"{circuit.n_features} features"
    )


def _head(model: Model) -> str:
    return f"{model.head.name}, {model.head.n_parameters} parameters"


def _loss(model: Model) -> str:
    return f"{model.loss.name}, {model.loss.n_parameters} parameters"


def _input_names(model: Model) -> tuple[str, ...]:
    return () if model.input is None else model.input.parameter_names
