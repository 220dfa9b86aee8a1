"""A data set with a test set of its own (`dataset.test_path`): two sources as one."""

from __future__ import annotations

import hashlib
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qmltrain.data.checks import check_rows
from qmltrain.data.protocol import FloatArray, LabelArray, PartArray, Source
from qmltrain.data.splits import TEST, TRAIN
from qmltrain.errors import InputError


class JoinedSource:
    """The rows of `first`, then those of `test`, which alone are the test split; a `Source`.

    Classes are joined by their names. Raises InputError where the two do not go together.
    """

    code = code_sha256 = ""

    def __init__(self, first: Source, test: Source) -> None:
        where = f"dataset.test_path: {test.description}"
        if test.task != first.task:
            raise InputError(f"{where} is a {test.task}, dataset.path a {first.task}; set dataset.task")
        if test.sample_shape != first.sample_shape:
            raise InputError(f"{where}, but samples of dataset.path have shape {first.sample_shape}")
        columns, expected = (getattr(source, "feature_names", ()) for source in (test, first))
        if columns != expected:
            raise InputError(
                f"{where} has the columns {', '.join(columns)} where dataset.path has {', '.join(expected)}; name them "
                "with dataset.features"
            )
        if first.parts is not None and np.any(first.parts == TEST):
            raise InputError("dataset.test_path: the data at dataset.path has test rows of its own; leave it null")
        self.first, self.test = first, test
        self.in_memory = first.in_memory and test.in_memory
        self.name, self.task = first.name, first.task
        self.n_samples = first.n_samples + test.n_samples
        self.sample_shape, self.class_names = first.sample_shape, first.class_names
        labels = np.concatenate([first.labels(), self._renumbered(where)])
        labels.flags.writeable = False
        self._labels: LabelArray = labels
        own = np.full(first.n_samples, TRAIN, dtype=np.int8) if first.parts is None else first.parts
        self.parts: PartArray | None = np.concatenate([own, np.full(test.n_samples, TEST, dtype=np.int8)])
        self.description = f"{first.description}; test: {test.n_samples} samples"

    def _renumbered(self, where: str) -> LabelArray:
        """Labels of the test rows in the classes of `first`."""
        labels = self.test.labels()
        if self.task == "regression":
            return labels
        number = {name: index for index, name in enumerate(self.class_names)}
        present = np.unique(labels)
        for label in present:
            if self.test.class_names[label] not in number:
                raise InputError(f"{where}: class {self.test.class_names[label]} is not among those of dataset.path")
        lookup = np.zeros(int(present.max()) + 1, dtype=np.int64)
        lookup[present] = [number[self.test.class_names[label]] for label in present]
        renumbered: LabelArray = lookup[labels]
        return renumbered

    @cached_property
    def checksum(self) -> str:
        return hashlib.sha256((self.first.checksum + self.test.checksum).encode()).hexdigest()

    def labels(self) -> LabelArray:
        return self._labels

    def read(self, rows: NDArray[Any]) -> FloatArray:
        rows = check_rows(rows, self.n_samples)
        samples = np.empty((len(rows), *self.sample_shape))
        ahead = rows < self.first.n_samples
        samples[ahead] = self.first.read(rows[ahead])
        samples[~ahead] = self.test.read(rows[~ahead] - self.first.n_samples)
        return samples
