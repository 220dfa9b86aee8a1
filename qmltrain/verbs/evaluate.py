"""`qmltrain evaluate RUN`: a run's best parameters and own preprocessing, on its own splits or on other data."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from qmltrain.config.schema import CommandContext
from qmltrain.data.batches import PreparedData
from qmltrain.data.protocol import Source
from qmltrain.engines.ranks import Ranks, samples_of
from qmltrain.errors import InputError
from qmltrain.models.data_facts import WARNING
from qmltrain.models.other_data import are_numbered, class_numbers, open_other_data
from qmltrain.models.problem import EVALUATION_ROWS, build_problem
from qmltrain.models.stored import best_snapshot, stored_config, with_data_found
from qmltrain.models.stored_files import with_stored_files
from qmltrain.models.trained import TrainedModel, build_trained
from qmltrain.runs.output_file import check_new_file
from qmltrain.runs.tables import Column, write_table
from qmltrain.sessions.results import result_lines
from qmltrain.sessions.together import Together, check_data, check_engines, check_parameters, of_rank
from qmltrain.sessions.training_run import check_same_data
from qmltrain.training.batch_sums import rows_of_ranks
from qmltrain.training.shots import check_shots
from qmltrain.training.trainer import split_metrics
from qmltrain.wording import listed

ALL = "all"  # the split of another data set


@dataclass(frozen=True)
class Part:
    """Some rows of a data set: `labels_B` as the loss takes them (scaled in regression), NaN where they are not
    `labelled`; features are read as needed."""

    split: str
    rows_B: np.ndarray
    labels_B: np.ndarray
    data: PreparedData
    labelled: bool = True

    def outputs(self, trained: TrainedModel, shots: int | None, seed: int, ranks: Ranks | None = None) -> np.ndarray:
        """(B, C) outputs of the head, in pieces that fit into memory whatever the data set's size; of `ranks` each
        reads and computes its share of every piece."""
        pieces = np.split(self.rows_B, range(EVALUATION_ROWS, len(self.rows_B), EVALUATION_ROWS))
        own = [piece if ranks is None else own_part(piece, ranks) for piece in pieces]
        found = (
            trained.outputs(batch.features_BF, batch.rows, shots=shots, seed=seed)
            for batch in self.data.stream([part for part in own if len(part)])
        )
        if ranks is None:
            return np.concatenate(list(found))
        return np.concatenate(
            [
                rows_of_ranks(next(found) if len(part) else None, len(piece), ranks)
                for piece, part in zip(pieces, own, strict=True)
            ]
        )


def own_part(piece: np.ndarray, ranks: Ranks) -> np.ndarray:
    """The rows of `piece` that this rank takes, perhaps none: whole blocks, which have the bits of one process."""
    own = samples_of(len(piece), ranks.rank, ranks.size)
    return piece[own.start : own.stop]


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
    whole other data set. Of the ranks in `context` all read the run, and the first one prints and writes.
    """
    ranks: Together | None = context.ranks
    engine = engine or {}
    if shots is not None:
        check_shots(shots, seed or 0)
    elif seed is not None:
        raise InputError("seed: chooses the outcomes of shots=..., which are not asked for")
    seed = seed or 0
    writes = ranks is None or ranks.is_first
    if predictions is not None and writes:
        check_new_table(predictions)
    config, directory = stored_config(path)
    config.engine = dataclasses.replace(config.engine, **engine)
    config = of_rank(config, ranks)
    snapshot = best_snapshot(directory)
    same_engine = not {"name", "precision", "reductions"} & engine.keys()
    with with_stored_files(config, directory, snapshot.arrays) as own:
        trained = build_trained(own, directory, snapshot, snapshot.state["choices"] if same_engine else None)
        problem = None if dataset else build_problem(with_data_found(own, directory), snapshot.arrays)
    if problem is None:
        parts = [other_data(trained, dataset or {}, predictions)]
    else:
        check_same_data(problem, snapshot, directory)
        parts = [
            Part(name, rows, np.asarray(problem.data.labels(rows)), problem.data) for name, rows in problem.held_out()
        ]
    if ranks is not None:
        check_engines(ranks, trained.compiled)
        check_parameters(ranks, trained.theta_P, "the run is being trained; stop it, or try again")
        for part in parts:
            check_data(ranks, part.data.source.checksum)
    summary: dict[str, float] = {}
    outputs = []
    for part in parts:
        outputs_BC = part.outputs(trained, shots, seed, ranks)
        outputs.append(outputs_BC)
        if part.labelled:
            loss = trained.model.loss_at(trained.theta_P)
            summary |= split_metrics(loss, part.split, outputs_BC, part.labels_B, trained.unscale)
    if predictions is not None and writes:
        write_predictions(predictions, trained, parts, outputs)
    print(f"run        {directory}, epoch {trained.epoch}")
    if dataset:
        print_data(trained, parts[0].data.source)
    if shots is not None:
        print(f"shots      {shots} a sample, seed {seed}")
    for name, value in summary.items():
        print(f"{name:<24}{value:.4f}")
    if "train/loss" in summary:  # without data: the lowest value, with more digits
        print(*result_lines(summary), sep="\n")
    if predictions is not None:
        print(f"samples    {predictions}")
    return 0


def other_data(trained: TrainedModel, changes: Mapping[str, Any], predictions: Path | None) -> Part:
    """All rows of another data set. Rows without labels can be predicted for, unless `changes` say where labels are."""
    typed = any(changes.get(key) is not None for key in ("target", "y_key", "classes"))
    source = open_other_data(trained, changes, labels_needed=typed)
    reason = source.info.no_labels if trained.model.loss.supervised else ""
    if reason and predictions is None:
        raise InputError(f"{reason}; rows without labels have no metrics: --predictions FILE writes what is predicted")
    data = PreparedData(source, trained.preprocessor, trained.target_scaler, cache_bytes=0)  # each row is read once
    rows = np.arange(source.info.n_samples)
    labels_B = np.asarray(data.labels(rows))
    if trained.class_names and not source.info.no_labels:
        labels_B = class_numbers(source, trained.class_names)[labels_B]
    return Part(ALL, rows, labels_B, data, not reason)


def print_data(trained: TrainedModel, source: Source) -> None:
    """What is evaluated, and how its columns and classes were found."""
    info = source.info
    print(f"data       {info.description}")
    names = trained.feature_names
    if names and info.feature_names:
        print(f"features   by name: {listed(names)}")
    elif names or info.feature_names:
        who = "the data" if names else "the run"
        print(f"features   by position: {listed(names or info.feature_names)} ({who} without names of columns)")
    if trained.class_names and not info.no_labels and are_numbered(source, trained.class_names):
        numbered = ", ".join(f"{number} is {name}" for number, name in enumerate(trained.class_names))
        print(f"labels     by number: {numbered} (the data without names of classes)")
    for note in info.notes:
        print(f"note       {note.removeprefix(WARNING)}")
    if info.no_labels and trained.model.loss.supervised:
        print("labels     none, so no metrics")


def check_new_table(path: Path) -> None:
    """Raise InputError unless a table can be written to `path`: a new file, .csv or .npz."""
    if path.suffix not in (".csv", ".npz"):
        raise InputError(f"--predictions: {path} must end in .csv or .npz")
    check_new_file(path, "--predictions")


def write_predictions(path: Path, trained: TrainedModel, parts: list[Part], outputs: list[np.ndarray]) -> None:
    """One line per sample: split, row of the data set, label, prediction, all scores.

    In .csv classes are written by their names; .npz has their numbers, and `class_names`. Regression is in the units of
    the data (scores: the outputs of the head). Numbers are written so that they come back exactly. Samples without
    labels have no column of them.
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
    if not all(part.labelled for part in parts):
        del columns["label"]
    if path.suffix == ".npz":
        write_table(path, columns | {"scores": scores_BC, "class_names": np.array(trained.class_names, dtype=str)})
        return
    if trained.class_names:
        names = np.array(trained.class_names)
        columns |= {key: names[columns[key]] for key in ("label", "prediction") if key in columns}
    columns |= dict(score_columns(trained, scores_BC))
    write_table(path, columns)


def score_columns(trained: TrainedModel, scores_BC: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """`score_<class>` where there is one per class; with one score for two classes it is that of the second."""
    if scores_BC.shape[1] == 1:
        yield (f"score_{trained.class_names[1]}" if trained.class_names else "score"), scores_BC[:, 0]
        return
    for column in range(scores_BC.shape[1]):
        yield f"score_{trained.class_names[column]}", scores_BC[:, column]
