"""Data that a run was not trained on, read as its own was: columns and classes by name, the rest by position."""

from __future__ import annotations

import dataclasses
import inspect
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from qmltrain.config.groups.dataset import DatasetConfig
from qmltrain.data.protocol import Source
from qmltrain.data.registry import SOURCES
from qmltrain.data.selection import select
from qmltrain.errors import InputError
from qmltrain.models.source import derive_seeds, open_source
from qmltrain.models.stored import with_data_found
from qmltrain.models.trained import TrainedModel
from qmltrain.wording import listed

# how a file is read, not where it lies or which rows are taken: the run knows it of a file of the same kind
_READING = ("target", "delimiter", "header", "x_key", "y_key")
_FOR_EVERY_KIND = ("target",)


def open_other_data(trained: TrainedModel, changes: Mapping[str, Any], *, labels_needed: bool) -> Source:
    """All rows of another data set: the run's own `dataset` options with `changes`, or another group altogether.

    What the run knows is not asked for again: the features by name, the column of the labels, the task. Raises
    InputError where the data do not fit the run: columns or a class that are missing, another shape or task.
    """
    if 0 in trained.sample_shape:
        raise InputError("dataset: the run was trained without data, and there is nothing to evaluate on others")
    config, own = with_data_found(trained.config, trained.directory), trained.config.dataset
    if "name" in changes:
        dataset = DatasetConfig(**changes)
    else:
        start = dict.fromkeys(("samples", "sha256", "test_path", "test_labels_path", "x_test_key", "y_test_key"))
        if "path" in changes:  # the labels of another file are not those of the run's
            start["labels_path"] = None
        dataset = dataclasses.replace(config.dataset, **{**start, **changes})
    taken = inspect.signature(SOURCES[dataset.name]).parameters if dataset.name in SOURCES else {}
    known: dict[str, Any] = {}
    for key in _READING if dataset.name == own.name else _FOR_EVERY_KIND:
        known[key] = getattr(own, key, None)
    if trained.model.loss.supervised:
        known["task"] = "classification" if trained.class_names else "regression"
    known = {key: value for key, value in known.items() if key in taken and getattr(dataset, key) is None}
    names = list(trained.feature_names)
    if names and "features" in taken:
        if dataset.features is not None and sorted(dataset.features) != sorted(names):
            raise InputError(
                f"dataset.features: found {listed(dataset.features)}; the run was trained on {listed(names)}: "
                "leave it out, or give the columns these names"
            )
        known |= {"features": names, "split_column": None}
    read, seeds = dataclasses.replace(dataset, **known, classes=None, samples=None), derive_seeds(config.run)
    try:
        source = open_source(dataclasses.replace(config, dataset=read), seeds, labels_needed=labels_needed)
    except InputError as error:
        if names and str(error).startswith("dataset.features:"):
            raise InputError(f"{error}; the run was trained on {listed(names)}") from error
        raise
    _check_fits(source, trained)
    classes = None if source.info.no_labels else dataset.classes
    if classes is not None and not {"name", "classes"} & changes.keys():
        classes = _present(source, classes) or classes  # the run's own; a file need not have them all
    return select(source, classes=classes, samples=dataset.samples, seed=seeds.split, fewest_classes=1)


def _present(source: Source, classes: Sequence[int | str]) -> list[int | str]:
    """Of `classes`, numbers or names, those that `source` has samples of."""
    numbers = set(np.unique(source.labels()).tolist())
    names = {source.info.class_names[c] for c in numbers}
    return [wanted for wanted in classes if wanted in (names if isinstance(wanted, str) else numbers)]


def _check_fits(source: Source, trained: TrainedModel) -> None:
    info, task = source.info, "classification" if trained.class_names else "regression"
    if info.task != task and not info.no_labels:
        raise InputError(f"dataset: {info.description} is a {info.task}, the run a {task}; choose another data set")
    if info.sample_shape != trained.sample_shape:
        raise InputError(
            f"dataset: {info.name} has samples of shape {info.sample_shape}, the run was trained on "
            f"{trained.sample_shape}; choose data of that shape"
        )


def are_numbered(source: Source, class_names: tuple[str, ...]) -> bool:
    """Whether the classes of `source` are numbers 0, 1, ... and those of the run words."""
    names = [str(name) for name in source.info.class_names]
    words = not any(re.fullmatch(r"-?[0-9]+", name) for name in class_names)
    return words and names == [str(c) for c in range(len(names))]


def class_numbers(source: Source, class_names: tuple[str, ...]) -> np.ndarray:
    """The run's number of every class of `source`, by name; data with numbers only are taken by number where the
    run's classes are words.

    Raises InputError where the run does not know a class.
    """
    names = [str(name) for name in source.info.class_names]
    present = np.unique(source.labels()).tolist()
    if are_numbered(source, class_names):
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
