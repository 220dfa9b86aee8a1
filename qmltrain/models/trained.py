"""A trained model: the best parameters of a run, its circuit, head and preprocessing, ready for data it never saw.

The run's own files are all that is read: its data set is not opened, and need not be there.
"""

from __future__ import annotations

import dataclasses
import os
import warnings
from collections import Counter
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qmltrain.circuit.circuit import Circuit
from qmltrain.config.schema import Config
from qmltrain.config.validation import validate
from qmltrain.data.checks import check_finite, check_sample_layout
from qmltrain.data.preprocessing import Preprocessor
from qmltrain.data.scaling import TargetScaler
from qmltrain.engines.protocol import FloatArray
from qmltrain.errors import EngineUnavailableError, InputError
from qmltrain.models.build import Compiled, build_model, compile_model
from qmltrain.models.data_facts import FEATURES
from qmltrain.models.stored import PREPROCESS_PREFIX, best_snapshot, stored_config
from qmltrain.models.stored_files import check_user_code, with_stored_files
from qmltrain.runs.snapshots import Snapshot
from qmltrain.runs.views import open_run
from qmltrain.training.model import Model
from qmltrain.training.shots import ShotSampler
from qmltrain.units import bytes_of_gib
from qmltrain.wording import listed


def load(
    path: str | os.PathLike[str], *, engine: str | None = None, precision: str | None = None, threads: int | None = None
) -> TrainedModel:
    """The best parameters so far of the run at `path` (its directory or its run.h5), ready to predict.

    The run's own engine and precision are used (the same bits as in the run) unless `engine` or `precision` name
    others. Raises InputError: no run, no snapshot yet, another version's config; EngineUnavailableError where the
    run's engine is not to be had here: give another one.
    """
    config, directory = stored_config(Path(path))
    given: dict[str, Any] = {"name": engine, "precision": precision, "threads": threads}
    given = {name: value for name, value in given.items() if value is not None}
    config.engine = dataclasses.replace(config.engine, **given)
    validate(config)
    snapshot = best_snapshot(directory)
    choices = None if engine or precision else snapshot.state["choices"]
    with with_stored_files(config, directory, snapshot.arrays) as own:
        return build_trained(own, directory, snapshot, choices)


def build_trained(
    config: Config, directory: Path, snapshot: Snapshot, choices: Mapping[str, Any] | None
) -> TrainedModel:
    """Circuit, head, loss and preprocessing as stored; `choices` (or None) as of `compile_model`.

    `config` is as `with_stored_files` gives it.
    """
    view = open_run(directory)
    attributes = view.attributes
    check_user_code(config, attributes.get("user_code"), directory, functions_alone=True)
    class_names = tuple(str(name) for name in attributes["class_names"])
    feature_names = tuple(view.data.get(FEATURES) or config.dataset.features or ())
    stored = {
        name.removeprefix(PREPROCESS_PREFIX): value
        for name, value in snapshot.arrays.items()
        if name.startswith(PREPROCESS_PREFIX)
    }
    preprocessor = Preprocessor.from_state(stored)
    scaler = TargetScaler.from_state(stored) if "target_mean" in stored else None
    model = build_model(config, preprocessor.n_features, len(class_names) or None, stored.get("class_weights"))
    theta_P = snapshot.arrays.get("best_theta", snapshot.arrays["theta"])
    if theta_P.shape != (model.n_parameters,):
        raise InputError(
            f"{directory}: holds {theta_P.size} parameters, its circuit now has {model.n_parameters}; what its config "
            "names (a function, a file) has changed since"
        )
    try:
        compiled = compile_model(config, model, choices, samples=1)
    except EngineUnavailableError as error:
        advice = "or use another one: engine.name=auto (in Python: engine='auto')"
        raise EngineUnavailableError(f"{error}; {advice}") from None
    epoch = int(snapshot.state["training"]["best_epoch"] or snapshot.epoch)
    return TrainedModel(
        config, directory, model, compiled, preprocessor, scaler, theta_P, class_names, epoch, feature_names
    )


class TrainedModel:
    """What `qmltrain.load` gives. Samples `x` are raw, (B, ...) in the shape that the run's data had: the run's own
    preprocessing is applied to them. The columns of a table (pandas) are taken by `feature_names`, where the run has
    them; of arrays they are taken in order. A model that was trained without data takes none.

    `B` samples, `K` observables, `C` outputs of the head, `P` parameters.

    The same samples in the same order give the same bits as in `qmltrain evaluate`, on the same engine and instruction
    set. In another order, or alone, a sample's numbers may differ by rounding: engines take 16 samples together.

    It can be pickled (joblib, multiprocessing): the copy gives the same bits on the same machine, and needs no file.

    `shots` measures each sample so many times instead of computing expectation values exactly; `seed` and the row of
    a sample in `x` decide the outcomes (see `qmltrain.training.shots`).
    """

    def __init__(
        self,
        config: Config,
        directory: Path,
        model: Model,
        compiled: Compiled,
        preprocessor: Preprocessor,
        target_scaler: TargetScaler | None,
        theta_P: FloatArray,
        class_names: tuple[str, ...],
        epoch: int,
        feature_names: tuple[str, ...] = (),
    ) -> None:
        self.config, self.directory, self.epoch = config, directory, epoch
        self.model, self.compiled = model, compiled
        self.preprocessor, self.target_scaler = preprocessor, target_scaler
        self.theta_P = np.array(theta_P, dtype=np.float64)
        self.theta_P.flags.writeable = False
        self.class_names, self.feature_names = class_names, feature_names

    def __getstate__(self) -> dict[str, Any]:
        """What a pickle holds: everything but the compiled program, which is compiled again where it is read."""
        state = {name: value for name, value in self.__dict__.items() if name not in ("compiled", "_sampler")}
        return {**state, "choices": self.compiled.choices()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        choices = state.pop("choices")
        self.__dict__.update(state)
        self.theta_P.flags.writeable = False
        self.compiled = compile_model(self.config, self.model, choices)

    def __repr__(self) -> str:
        task = f"{len(self.class_names)} classes" if self.class_names else "regression"
        shape = " x ".join(map(str, self.sample_shape))
        return f"<TrainedModel of {self.directory}, epoch {self.epoch}: samples of {shape}, {task}>"

    @property
    def sample_shape(self) -> tuple[int, ...]:
        """Shape of one raw sample."""
        return self.preprocessor.sample_shape

    @property
    def circuit(self) -> Circuit:
        """The circuit, with its parameters and features free."""
        return self.model.circuit

    @property
    def parameters(self) -> dict[str, float]:
        """Every trained parameter by its name, in order: those of the circuit, then those of the head."""
        return dict(zip(self.model.parameter_names, self.theta_P.tolist(), strict=True))

    @property
    def observable_names(self) -> tuple[str, ...]:
        """One name a column of `expectations`."""
        return self.model.observables.names

    def features(self, x: ArrayLike | None = None) -> FloatArray:
        """(B, F) what the circuit encodes: `x` through the run's own preprocessing.

        Raises InputError for a table without the run's columns, for another shape, for what are no real numbers, and
        for NaN and infinity (with the row).
        """
        if 0 in self.sample_shape:
            if x is not None:
                raise InputError("x: this model was trained without data; leave x out")
            return np.empty((1, 0))
        if x is None:
            raise InputError(f"x: samples are needed, each of shape {self.sample_shape}")
        x = np.asarray(self._by_name(x))
        expected = f"(samples, {', '.join(map(str, self.sample_shape))})"
        if x.shape[1:] != self.sample_shape or not x.ndim:
            raise InputError(f"x: found shape {x.shape}; this model takes {expected}")
        check_sample_layout(x.shape, x.dtype, "x")
        rows = np.arange(len(x))
        check_finite(x, rows, "x")
        return self.preprocessor.transform(x.astype(np.float64, copy=False), rows)

    def _by_name(self, x: Any) -> Any:
        """The columns of a table in the order of the run's features; anything else, and without names, as it is."""
        if hasattr(x, "column_names") and hasattr(x, "to_pandas"):  # a table of Arrow
            x = x.to_pandas()
        columns = getattr(x, "columns", None)
        if columns is None:
            return x
        if not self.feature_names:
            warnings.warn(
                "x: the columns of the table are taken in order, since the run was trained on data without names",
                stacklevel=4,
            )
            return x
        called = {str(column): column for column in columns}
        there = Counter(str(column) for column in columns)
        wrong = [name for name in self.feature_names if there[name] != 1]
        if wrong:
            raise InputError(
                f"x: the table has {there[wrong[0]] or 'no'} columns {wrong[0]!r}; this model takes "
                f"{listed(self.feature_names)}: name the columns so, or give an array, which is taken in order"
            )
        return x[[called[name] for name in self.feature_names]]

    def expectations(self, x: ArrayLike | None = None, *, shots: int | None = None, seed: int = 0) -> FloatArray:
        """(B, K) expectation values of the observables."""
        features_BF = self.features(x)
        if shots is None:
            return self.compiled.evaluator.expectations(self.theta_P, features_BF)
        return self._sampler.expectations(self.theta_P, features_BF, np.arange(len(features_BF)), shots, seed)

    def scores(self, x: ArrayLike | None = None, *, shots: int | None = None, seed: int = 0) -> FloatArray:
        """(B, C) probabilities where the loss has them, else the outputs of the head (see the loss's `predict`)."""
        return self.judge(self.outputs(self.features(x), shots=shots, seed=seed))[1]

    def predict(self, x: ArrayLike | None = None, *, shots: int | None = None, seed: int = 0) -> NDArray[Any]:
        """(B,) class numbers, of which `class_names` has the names; in regression values in the units of the data."""
        return self.judge(self.outputs(self.features(x), shots=shots, seed=seed))[0]

    def outputs(
        self,
        features_BF: FloatArray,
        rows: NDArray[np.int64] | None = None,
        *,
        shots: int | None = None,
        seed: int = 0,
    ) -> FloatArray:
        """(B, C) outputs of the head for features that are preprocessed already; `rows` (null: 0, 1, ...) are the
        numbers of the samples, which choose their random streams where there are `shots`."""
        if shots is None:
            return self.compiled.evaluator.outputs(self.theta_P, features_BF)
        rows = np.arange(len(features_BF)) if rows is None else rows
        expectations_BK = self._sampler.expectations(self.theta_P, features_BF, rows, shots, seed)
        return self.model.head.forward(self.model.split(self.theta_P).head, expectations_BK)

    def judge(self, outputs_BC: FloatArray) -> tuple[NDArray[Any], FloatArray]:
        """Predictions and scores from the outputs of the head."""
        predictions_B, scores_BC = self.model.loss.predict(outputs_BC)
        if not self.class_names:
            predictions_B = self.unscale(predictions_B)
        return predictions_B, scores_BC

    def unscale(self, targets_B: FloatArray) -> FloatArray:
        """Regression targets in the units of the data."""
        return targets_B if self.target_scaler is None else self.target_scaler.inverse(targets_B)

    @cached_property
    def _sampler(self) -> ShotSampler:
        engine = self.config.engine
        memory = bytes_of_gib(engine.memory_gib)
        return ShotSampler(self.model, engine.precision, memory)  # type: ignore[arg-type]
