"""What a run is trained on: arrays that are stored with it, and lines that are printed before its first step."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from qmltrain.models.features_read import features_read
from qmltrain.models.problem import Problem
from qmltrain.wording import listed, plural, shown

FEATURES = "features"  # of the group `data` in a run file: names of the columns of a raw sample
FEW_SAMPLES = 5  # a class with fewer is warned of
WARNING = "WARNING: "  # begins a note of a data set that is a warning
_MISSING = frozenset(
    ["na", "n/a", "<na>", "#n/a", "?", "nan", "null", "none", "-"]
)  # what others write for a missing label


def encoded_names(problem: Problem) -> list[str]:
    """One name a feature that the circuit is given: its column's where there is one, with its number."""
    preprocessor, names = problem.data.preprocessor, problem.source.info.feature_names
    numbers = range(preprocessor.n_features)
    if preprocessor.pca is not None:
        return [f"principal component {k}" for k in numbers]
    if preprocessor.resize is None and len(names) == len(numbers):
        return [f"{k} ({names[k]})" for k in numbers]
    return [str(k) for k in numbers]


def class_counts(problem: Problem) -> NDArray[np.int64]:
    """(C, 3): samples of each class in training, validation and test."""
    labels, parts = problem.source.labels(), problem.split
    n_classes = problem.n_classes or 0
    columns = [np.bincount(labels[rows], minlength=n_classes) for rows in (parts.train, parts.validation, parts.test)]
    return np.stack(columns, axis=1).astype(np.int64)


def data_arrays(problem: Problem) -> dict[str, Any]:
    """The arrays of the group `data` of the run file, by path (docs/run-file.md); none without data."""
    if not problem.has_data:
        return {}
    info, parts = problem.source.info, problem.split
    arrays: dict[str, Any] = {
        "split_sizes": np.array([len(rows) for rows in (parts.train, parts.validation, parts.test)], dtype=np.int64),
        "circuit_reads": features_read(problem.model),
    }
    if info.feature_names:
        arrays[FEATURES] = list(info.feature_names)
    if info.left_out:
        arrays["left_out"] = [name for name, _ in info.left_out]
        arrays["left_out_because"] = [reason for _, reason in info.left_out]
    if problem.n_classes is not None:
        arrays["classes"] = list(info.class_names)
        arrays["class_counts"] = class_counts(problem)
    return {f"data/{name}": array for name, array in arrays.items()}


def data_lines(problem: Problem) -> list[str]:
    """What is printed before the first step: features, classes, splits, what the circuit reads; none without data."""
    if not problem.has_data:
        return []
    info, parts, preprocessor = problem.source.info, problem.split, problem.data.preprocessor
    rows = [("data", info.description)]
    numbered = [f"{number} {_in_a_list(name)}" for number, name in enumerate(info.feature_names)]
    by_position = f"{' x '.join(map(str, info.sample_shape))}, by position"
    rows.append(("features", f"{len(numbered)}: {listed(numbered)}" if numbered else by_position))
    if info.left_out:
        rows.append(("left out", listed([f"{_in_a_list(name)} ({reason})" for name, reason in info.left_out])))
    rows += [("note", note) for note in info.notes if not note.startswith(WARNING)]
    steps = preprocessor.describe().partition(", ")[2] or "as it is"  # behind the shape, which stands above
    rows.append(("prepared", steps + _fewer_components(problem)))
    if problem.n_classes is not None:
        totals = class_counts(problem).sum(axis=1)
        rows.append(("classes", listed([f"{n}: {c}" for n, c in zip(info.class_names, totals, strict=True)])))
    sizes = f"{len(parts.train)} training, {len(parts.validation)} validation, {len(parts.test)} test"
    drawn = "; batches are drawn with replacement" * problem.config.train.replacement
    whole = problem.config.train.batch_size > len(parts.train)
    folds, fold = problem.config.dataset.folds, problem.config.dataset.fold
    if folds is not None:
        apart = info.n_samples - sum(map(len, (parts.train, parts.validation, parts.test)))
        drawn = f"; test is fold {fold} of 0 to {folds - 1}, {apart} samples are kept apart{drawn}"
    rows.append(("split", f"{sizes} samples" + "; a step takes all that train" * whole + drawn))
    model = problem.model
    n_read, n_features = len(features_read(model)), preprocessor.n_features
    reads = f"all {n_features}" if n_read == n_features else f"{n_read} of {n_features}"
    reads = "the one feature" if n_read == n_features == 1 else f"{reads} features"
    through = (
        "" if model.input is None else f" through an input layer of {plural(model.input.n_parameters, 'parameter')}"
    )
    rows.append(("circuit", f"{model.circuit.n_qubits} qubits, reads {reads}{through}"))
    return [f"{name:<11}{text}" for name, text in rows]


def doubts(problem: Problem) -> list[str]:
    """Lines of warning: what the data set's reader warns of, classes of doubtful names, and those of fewer than
    FEW_SAMPLES samples."""
    notes = [note.removeprefix(WARNING) for note in problem.source.info.notes if note.startswith(WARNING)]
    return [f"dataset: {line}" for line in (*notes, *doubtful_names(problem), *rare_classes(problem))]


def doubtful_names(problem: Problem) -> list[str]:
    """A line for classes whose name says that there is no label, and one for names that may be one in two spellings."""
    if problem.n_classes is None:
        return []
    totals = dict(zip(problem.source.info.class_names, class_counts(problem).sum(axis=1).tolist(), strict=True))
    missing = [f"{shown(name)} of {plural(total, 'row')}" for name, total in totals.items() if _plain(name) in _MISSING]
    spellings: dict[str, list[str]] = {}
    for name in totals:
        spellings.setdefault(_plain(name), []).append(shown(name))
    alike = [" and ".join(names) for names in spellings.values() if len(names) > 1]
    lines = []
    if missing:
        lines.append(
            f"the label {listed(missing)} is a class of its own; where it means a missing one, remove these rows"
        )
    if alike:
        lines.append(f"classes {listed(alike)} differ in case or blanks alone; if each is one class, write one name")
    return lines


def rare_classes(problem: Problem) -> list[str]:
    """One line for each class of fewer than FEW_SAMPLES samples, at most four."""
    if problem.n_classes is None:
        return []
    names, totals = problem.source.info.class_names, class_counts(problem).sum(axis=1)
    found = [(name, int(total)) for name, total in zip(names, totals, strict=True) if total < FEW_SAMPLES]
    lines = []
    for name, total in found[:3]:
        lines.append(f"class {name!r} has {plural(total, 'sample')} in all")
    if len(found) > 3:
        lines.append(f"{len(found) - 3} more classes have fewer than {FEW_SAMPLES} samples")
    return lines


def _fewer_components(problem: Problem) -> str:
    wanted, pca = problem.config.preprocess.pca, problem.data.preprocessor.pca
    if wanted is None or pca is None or len(pca.components_KF) == wanted:
        return ""
    return f" (at most {wanted} asked for)"


def _in_a_list(name: str) -> str:
    """A name as one of a list: in quotes where it holds a comma."""
    return repr(name) if "," in name else name


def _plain(name: str) -> str:
    return "".join(name.casefold().split())
