"""`qmltrain evaluate RUN`: a run's best parameters and own preprocessing, on its own splits or on other data."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from qmltrain.config.groups.dataset import DatasetConfig
from qmltrain.config.schema import CommandContext
from qmltrain.data.batches import PreparedData
from qmltrain.data.protocol import Source
from qmltrain.errors import InputError
from qmltrain.models.problem import EVALUATION_ROWS, build_problem
from qmltrain.models.source import derive_seeds, open_source
from qmltrain.models.stored import best_snapshot, stored_config
from qmltrain.models.stored_files import with_stored_files
from qmltrain.models.trained import TrainedModel, build_trained
from qmltrain.runs.output_file import check_new_file
from qmltrain.runs.tables import Column, write_table
from qmltrain.sessions.results import result_lines
from qmltrain.sessions.training_run import check_same_data
from qmltrain.training.shots import check_shots
from qmltrain.training.trainer import split_metrics

ALL = "all"  # the split of another data set


@dataclass(frozen=True)
class Part:
    """Some rows of a data set: `labels_B` as the loss takes them (scaled in regression), features read as needed."""

    split: str
    rows_B: np.ndarray
    labels_B: np.ndarray
    data: PreparedData

    def outputs(self, trained: TrainedModel, shots: int | None, seed: int) -> np.ndarray:
        """(B, C) outputs of the head, in pieces that fit into memory whatever the data set's size."""
        pieces = np.split(self.rows_B, range(EVALUATION_ROWS, len(self.rows_B), EVALUATION_ROWS))
        return np.concatenate(
            [
                trained.outputs(batch.features_BF, batch.rows, shots=shots, seed=seed)
                for batch in self.data.stream(pieces)
            ]
        )


def run(
    path: Path,
    context: CommandContext,
    *,
    dataset: Mapping[str, Any] | None = None,
    engine: Mapping[str, Any] | None = None,
    predictions: Path | None = None,
    shots: int | None = None,
    seed: int | None = None,
) -> int:
    """Print the metrics; with `predictions` also write every sample's, to a new .csv or .npz.

    `dataset` and `engine` are checked options of these config groups: those to change, or with `dataset["name"]` a
    whole other data set.
    """
    engine = engine or {}
    if shots is not None:
        check_shots(shots, seed or 0)
    elif seed is not None:
        raise InputError("seed: chooses the outcomes of shots=..., which are not asked for")
    seed = seed or 0
    if predictions is not None:
        check_new_table(predictions)
    config, directory = stored_config(path)
    config.engine = dataclasses.replace(config.engine, **engine)
    snapshot = best_snapshot(directory)
    same_engine = not {"name", "precision"} & engine.keys()
    with with_stored_files(config, directory, snapshot.arrays) as own:
        trained = build_trained(own, directory, snapshot, snapshot.state["choices"] if same_engine else None)
        problem = None if dataset else build_problem(own, snapshot.arrays)
    if problem is None:
        parts = [other_data(trained, dataset or {})]
    else:
        check_same_data(problem, snapshot, directory)
        parts = [
            Part(name, rows, np.asarray(problem.data.labels(rows)), problem.data) for name, rows in problem.held_out()
        ]
    summary: dict[str, float] = {}
    outputs = []
    for part in parts:
        outputs_BC = part.outputs(trained, shots, seed)
        outputs.append(outputs_BC)
        summary |= split_metrics(trained.model.loss, part.split, outputs_BC, part.labels_B, trained.unscale)
    if predictions is not None:
        write_predictions(predictions, trained, parts, outputs)
    print(f"run        {directory}, epoch {trained.epoch}")
    if shots is not None:
        print(f"shots      {shots} a sample, seed {seed}")
    for name, value in summary.items():
        print(f"{name:<24}{value:.4f}")
    if "train/loss" in summary:  # without data: the lowest value, with more digits
        print(*result_lines(summary), sep="\n")
    if predictions is not None:
        print(f"samples    {predictions}")
    return 0


def other_data(trained: TrainedModel, changes: Mapping[str, Any]) -> Part:
    """All rows of another data set: the run's own `dataset` options with `changes`, or another group altogether."""
    config = trained.config
    if 0 in trained.sample_shape:
        raise InputError("dataset: the run was trained without data, and there is nothing to evaluate on others")
    if "name" in changes:
        dataset = DatasetConfig(**changes)
    else:
        dataset = dataclasses.replace(config.dataset, **{"samples": None, "sha256": None, "test_path": None, **changes})
    source = open_source(dataclasses.replace(config, dataset=dataset), derive_seeds(config.run))
    task = "classification" if trained.class_names else "regression"
    info = source.info
    if info.task != task:
        raise InputError(f"dataset: {info.description} is a {info.task}, the run a {task}; choose another data set")
    if info.sample_shape != trained.sample_shape:
        raise InputError(
            f"dataset: {info.name} has samples of shape {info.sample_shape}, the run was trained on "
            f"{trained.sample_shape}; choose data of that shape"
        )
    data = PreparedData(source, trained.preprocessor, trained.target_scaler, cache_bytes=0)  # each row is read once
    rows = np.arange(info.n_samples)
    labels_B = np.asarray(data.labels(rows))
    if trained.class_names:
        labels_B = class_numbers(source, trained.class_names)[labels_B]
    return Part(ALL, rows, labels_B, data)


def class_numbers(source: Source, class_names: tuple[str, ...]) -> np.ndarray:
    """The run's number of every class of `source`, by name; data with numbers only are taken by number.

    Raises InputError where the run does not know a class.
    """
    names = [str(name) for name in source.info.class_names]
    present = np.unique(source.labels()).tolist()
    numbered = names == [str(c) for c in range(len(names))]
    if numbered and not any(name in class_names for name in names):
        names = [class_names[c] if c < len(class_names) else name for c, name in enumerate(names)]
    numbers = np.full(len(names), -1)
    for c in present:
        if names[c] not in class_names:
            known = ", ".join(class_names[:20])
            raise InputError(
                f"dataset: {source.info.name} has the class {names[c]!r}, which the run does not know (it knows "
                f"{known}); keep others with dataset.classes"
            )
        numbers[c] = class_names.index(names[c])
    return numbers


def check_new_table(path: Path) -> None:
    """Raise InputError unless a table can be written to `path`: a new file, .csv or .npz."""
    if path.suffix not in (".csv", ".npz"):
        raise InputError(f"--predictions: {path} must end in .csv or .npz")
    check_new_file(path, "--predictions")


def write_predictions(path: Path, trained: TrainedModel, parts: list[Part], outputs: list[np.ndarray]) -> None:
    """One line per sample: split, row of the data set, label, prediction, all scores.

    In .csv classes are written by their names; .npz has their numbers, and `class_names`. Regression is in the units of
    the data (scores: the outputs of the head). Numbers are written so that they come back exactly.
    """
    predictions_B, scores_BC = trained.judge(np.concatenate(outputs))
    labels_B = np.concatenate([part.labels_B for part in parts])
    if not trained.model.loss.supervised:
        labels_B = np.full(len(labels_B), np.nan)  # the loss compares with none
    elif not trained.class_names:
        labels_B = trained.unscale(labels_B)
    columns: dict[str, Column] = {
        "split": np.repeat([part.split for part in parts], [len(part.rows_B) for part in parts]),
        "row": np.concatenate([part.rows_B for part in parts]),
        "label": labels_B,
        "prediction": predictions_B,
    }
    if path.suffix == ".npz":
        write_table(path, columns | {"scores": scores_BC, "class_names": np.array(trained.class_names, dtype=str)})
        return
    if trained.class_names:
        names = np.array(trained.class_names)
        columns |= {key: names[columns[key]] for key in ("label", "prediction")}
    columns |= dict(score_columns(trained, scores_BC))
    write_table(path, columns)


def score_columns(trained: TrainedModel, scores_BC: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """`score_<class>` where there is one per class; with one score for two classes it is that of the second."""
    if scores_BC.shape[1] == 1:
        yield (f"score_{trained.class_names[1]}" if trained.class_names else "score"), scores_BC[:, 0]
        return
    for column in range(scores_BC.shape[1]):
        yield f"score_{trained.class_names[column]}", scores_BC[:, column]
