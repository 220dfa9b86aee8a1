"""A data set with a test set of its own (`dataset.test_path`, or other arrays of its file): two sources as one."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qmltrain.data.checks import check_rows
from qmltrain.data.protocol import FloatArray, LabelArray, Source
from qmltrain.data.splits import TEST, TRAIN
from qmltrain.errors import InputError
from qmltrain.wording import listed, plural


class WithTestFile:
    """The rows of `first`, then those of `test`, which alone are the test split; a `Source`.

    Classes are joined by their names. Raises InputError where the two do not go together, naming the options that they
    come from.
    """

    def __init__(
        self, first: Source, test: Source, option: str = "dataset.test_path", of_first: str = "dataset.path"
    ) -> None:
        known, new = first.info, test.info
        where = f"{option}: {new.description}"
        if new.task != known.task:
            raise InputError(f"{where} is a {new.task}, {of_first} a {known.task}; set dataset.task")
        if new.sample_shape != known.sample_shape:
            raise InputError(f"{where}, but samples of {of_first} have shape {known.sample_shape}")
        if new.feature_names != known.feature_names:
            raise InputError(
                f"{where} has the columns {listed(new.feature_names)} where {of_first} has "
                f"{listed(known.feature_names)}; name them with dataset.features"
            )
        if known.parts is not None and np.any(known.parts == TEST):
            raise InputError(f"{option}: the data at {of_first} has test rows of its own; leave it null")
        self.first, self.test = first, test
        own = np.full(known.n_samples, TRAIN, dtype=np.int8) if known.parts is None else known.parts
        self.info = replace(
            known,
            n_samples=known.n_samples + new.n_samples,
            description=f"{known.description}; test: {plural(new.n_samples, 'sample')}",
            parts=np.concatenate([own, np.full(new.n_samples, TEST, dtype=np.int8)]),
            in_memory=known.in_memory and new.in_memory,
        )
        labels = np.concatenate([first.labels(), self._renumbered(where, of_first)])
        labels.flags.writeable = False
        self._labels: LabelArray = labels

    def _renumbered(self, where: str, of_first: str) -> LabelArray:
        """Labels of the test rows in the classes of `first`."""
        labels = self.test.labels()
        if self.info.task == "regression":
            return labels
        names = self.test.info.class_names
        number = {name: index for index, name in enumerate(self.info.class_names)}
        present = np.unique(labels)
        for label in present:
            if names[label] not in number:
                raise InputError(f"{where}: class {listed([names[label]])} is not among those of {of_first}")
        lookup = np.zeros(int(present.max()) + 1, dtype=np.int64)
        lookup[present] = [number[names[label]] for label in present]
        renumbered: LabelArray = lookup[labels]
        return renumbered

    @cached_property
    def checksum(self) -> str:
        return hashlib.sha256((self.first.checksum + self.test.checksum).encode()).hexdigest()

    def labels(self) -> LabelArray:
        return self._labels

    def read(self, rows: NDArray[Any]) -> FloatArray:
        rows = check_rows(rows, self.info.n_samples)
        samples = np.empty((len(rows), *self.info.sample_shape))
        ahead = rows < self.first.info.n_samples
        samples[ahead] = self.first.read(rows[ahead])
        samples[~ahead] = self.test.read(rows[~ahead] - self.first.info.n_samples)
        return samples
