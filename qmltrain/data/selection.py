"""Fewer classes and fewer rows of a Source, as views: nothing is copied."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qmltrain.data.checks import check_rows
from qmltrain.data.protocol import FloatArray, LabelArray, RowArray, Source
from qmltrain.data.splits import apportion
from qmltrain.errors import InputError
from qmltrain.wording import listed, plural, shown


class SelectedSource:
    """Some `rows` of a Source under new labels; a `Source` itself. Its checksum is that of the whole."""

    def __init__(self, base: Source, rows: RowArray, labels: LabelArray, class_names: tuple[str, ...]) -> None:
        self.base = base
        self.rows = rows  # rows of `base`, increasing
        self._labels = labels
        self._labels.flags.writeable = False
        kept = f", {plural(len(class_names), 'class')}" if base.info.task == "classification" else ""
        self.info = replace(
            base.info,
            n_samples=len(rows),
            class_names=class_names,
            description=f"{base.info.description}; selected {plural(len(rows), 'sample')}{kept}",
            parts=None if base.info.parts is None else base.info.parts[rows],
        )

    @property
    def checksum(self) -> str:
        return self.base.checksum

    def labels(self) -> LabelArray:
        return self._labels

    def read(self, rows: NDArray[Any]) -> FloatArray:
        return self.base.read(self.rows[check_rows(rows, len(self.rows))])


def select(
    source: Source,
    classes: Sequence[int | str] | None = None,
    samples: int | None = None,
    seed: int = 0,
    fewest_classes: int = 2,
) -> Source:
    """Keep `classes` (indices or names), relabelled 0, 1, ... in the given order; of these a random `samples` rows.

    The subsample has each class in its share, by largest remainders, and at least once. Rows stay in the order of
    the source. A function of the arguments alone. Fewer `classes` than `fewest_classes` are refused.
    """
    if classes is not None:
        source = _keep_classes(source, classes, fewest_classes)
    if samples is not None:
        # A stream of its own: split() and BatchOrder may well be given the same seed.
        generator = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(0, 0)))
        source = _subsample(source, samples, generator)
    return source


def _keep_classes(source: Source, wanted: Sequence[int | str], fewest: int) -> Source:
    if source.info.task != "classification":
        raise InputError(f"dataset.classes: {source.info.name} is a regression and has no classes; leave it null")
    labels = source.labels()
    present = np.unique(labels).tolist()
    _check_one_reading(source, wanted, present)
    classes = [_class_index(c, source, present) for c in wanted]
    if len(set(classes)) != len(classes):
        raise InputError(f"dataset.classes: [{listed(wanted)}] names a class twice")
    if len(classes) < fewest:
        raise InputError(f"dataset.classes: [{listed(wanted)}] is fewer than two; classification needs at least two")
    new_label = np.full(max(present) + 1, -1, dtype=np.int64)
    new_label[classes] = np.arange(len(classes))
    relabelled = new_label[labels]
    rows = np.flatnonzero(relabelled >= 0)
    return SelectedSource(source, rows, relabelled[rows], tuple(source.info.class_names[c] for c in classes))


def _subsample(source: Source, samples: int, generator: np.random.Generator) -> Source:
    n = source.info.n_samples
    if not 1 <= samples <= n:
        raise InputError(f"dataset.samples: {samples} of the {n} samples of {source.info.name}; choose 1 to {n}")
    labels = source.labels()
    if source.info.task == "regression":
        rows = np.sort(generator.choice(n, size=samples, replace=False))
    else:
        present, inverse, counts = np.unique(labels, return_inverse=True, return_counts=True)
        if samples < len(present):
            raise InputError(f"dataset.samples: {samples} is fewer than the {len(present)} classes; at least one each")
        # One of each class first, so that none is lost; the rest in proportion.
        shares = 1 + apportion(samples - len(present), counts - 1, counts - 1)
        of_class = (np.flatnonzero(inverse == c) for c in range(len(present)))
        chosen = [generator.permutation(found)[:share] for found, share in zip(of_class, shares, strict=True)]
        rows = np.sort(np.concatenate(chosen))
    return SelectedSource(source, rows, labels[rows], source.info.class_names)


def _check_one_reading(source: Source, wanted: Sequence[int | str], present: list[int]) -> None:
    """Refuse the number of one class that is the name of another."""
    names = source.info.class_names
    named = {names[c]: c for c in present}
    for number in wanted:
        if isinstance(number, str) or number < 0 or named.get(str(number), number) == number:
            continue
        as_names = [str(c) for c in wanted]
        as_numbers = [c if isinstance(c, str) else names[c] for c in wanted if isinstance(c, str) or c in present]
        whose = f"the number of class {shown(names[number])}" if number in present else "no number of a class"
        ways = [
            f'{meant} "dataset.classes=[{",".join(map(repr, texts))}]"'
            for meant, texts in (("where names are meant", as_names), ("where numbers are", as_numbers))
            if len(texts) == len(wanted) <= 20 and named.keys() >= set(texts)
        ]
        how = f": {', '.join(ways)}" if ways else ""
        raise InputError(
            f"dataset.classes: {number} is {whose} and the name of another of {source.info.name}; give names, each in "
            f"quotes{how}"
        )


def _class_index(wanted: int | str, source: Source, present: list[int]) -> int:
    names = {source.info.class_names[c]: c for c in present}
    index = names.get(str(wanted), -1) if isinstance(wanted, str) or wanted < 0 else wanted
    if index not in present:
        known = listed(present) + (f" or {listed(list(names))}" if list(names) != [str(c) for c in present] else "")
        raise InputError(f"dataset.classes: {source.info.name} has no class {listed([wanted])}; it has {known}")
    return index
