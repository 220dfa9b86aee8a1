"""The data set that a config names, its rows and their splits, and the independent random seeds of a run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from qmltrain.config.groups.dataset import DatasetConfig
from qmltrain.config.groups.run import RunConfig
from qmltrain.config.schema import Config
from qmltrain.data.benchmark_sets import SERIES
from qmltrain.data.folds import split_of_fold
from qmltrain.data.no_data import NoData
from qmltrain.data.pooling import pooled_size
from qmltrain.data.principal_components import most_components
from qmltrain.data.protocol import Source
from qmltrain.data.registry import build_source
from qmltrain.data.selection import select
from qmltrain.data.sizes import memory_for_data
from qmltrain.data.splits import Split, check_two_classes, split, split_as_given
from qmltrain.errors import InputError, MemoryLimitError
from qmltrain.job_limits import available_bytes
from qmltrain.models.build import group_options
from qmltrain.units import gib
from qmltrain.wording import plural

_GENERATOR_COPIES = 4  # of the samples that a generator holds at once: drawn, joined, with noise, shuffled
# where they are not said and more than those of other generators
_FEATURES = dict.fromkeys(SERIES, 10) | {"bars_and_stripes": 16}
_SAMPLES = dict.fromkeys(SERIES, 300) | {"bars_and_stripes": 1200}
# options of the group `dataset` that say which samples to use, not where they come from
_SELECTION_OPTIONS = (
    "name",
    "test_path",
    "test_labels_path",
    "classes",
    "samples",
    "validation",
    "test",
    "folds",
    "fold",
)


@dataclass(frozen=True)
class Seeds:
    """Independent streams: of the split (and subsample), the first parameters, the order of the samples."""

    split: int
    initial: int
    order: int


def derive_seeds(run: RunConfig) -> Seeds:
    """Each seed as given, else an independent one from `run.seed`."""
    given = (run.seed_split, run.seed_initial, run.seed_order)
    derived = (
        int(np.random.SeedSequence(run.seed, spawn_key=(k,)).generate_state(1, np.uint64)[0] >> 1) for k in range(3)
    )
    return Seeds(*(d if g is None else g for g, d in zip(given, derived, strict=True)))


def open_source(config: Config, seeds: Seeds, *, labels_needed: bool = True) -> Source:
    """The data set of a config, with its classes and subsample chosen; without labels it is refused where they are
    needed."""
    dataset = config.dataset
    check_generated_size(dataset)
    with memory_for_data(available_bytes()):
        options = group_options(dataset, *_SELECTION_OPTIONS)
        source = build_source(
            dataset.name,
            options,
            dataset.test_path,
            test_labels_path=dataset.test_labels_path,
            labels_needed=labels_needed,
        )
    return select(source, classes=dataset.classes, samples=dataset.samples, seed=seeds.split)


def check_same_source(source: Source, before: str, directory: Path) -> None:
    """Raise InputError where the checksum of the data set is no longer the one `before`."""
    now = source.checksum
    if before != now:
        raise InputError(
            f"dataset: {source.info.name} has changed since the run in {directory} began (sha256 was "
            f"{before[:12]}..., now {now[:12]}...); restore it, or start another run with run.dir"
        )


def check_generated_size(dataset: DatasetConfig) -> None:
    """Raise MemoryLimitError, before anything is allocated, for more generated samples than memory holds."""
    columns = (dataset.manifold_dimension, dataset.n_hyperplanes, dataset.degree)
    pixels = (dataset.height or 1) * (dataset.width or 1)
    if dataset.n_samples is None and dataset.n_features is None and pixels == 1 and not any(columns):
        return
    n_samples = dataset.n_samples or _SAMPLES.get(dataset.name, 1)
    n_features = dataset.n_features or _FEATURES.get(dataset.name, 2)
    n_features = max(n_features, pixels) + sum(filter(None, columns))
    needed = 8 * n_samples * (_GENERATOR_COPIES * n_features + 2)  # two columns: labels and the order of the samples
    available = available_bytes()
    if needed > available:
        what = f"{plural(n_samples, 'sample')} of {n_features} features"
        raise MemoryLimitError(
            f"dataset.n_samples: {what} take about {gib(needed)} to generate, of {gib(available)}; choose fewer"
        )


def split_rows(config: Config, source: Source, seeds: Seeds) -> Split:
    """Which rows train, validate and test; without data its one row trains."""
    if isinstance(source, NoData):
        nothing = np.empty(0, dtype=np.int64)
        return Split(np.arange(1), nothing, nothing)
    check_two_classes(source.labels(), source.info)
    generator = np.random.default_rng(seeds.split)
    fractions = (config.dataset.validation, config.dataset.test)
    if config.dataset.folds is not None and config.dataset.fold is not None:
        folds = (config.dataset.folds, config.dataset.fold)
        return split_of_fold(source.labels(), source.info, *folds, *fractions, generator)
    if source.info.parts is not None:
        return split_as_given(source.labels(), source.info.task, source.info.parts, *fractions, generator)
    return split(source.labels(), source.info.task, *fractions, generator)


def build_source_shape(config: Config) -> tuple[int, int | None]:
    """(features, classes or None) that a config's data gives the circuit; fits no preprocessing, so that principal
    components are counted that linearly dependent columns do not have."""
    seeds = derive_seeds(config.run)
    source = open_source(config, seeds)
    n_classes = len(source.info.class_names) if source.info.task == "classification" else None
    if isinstance(source, NoData):
        return 0, None
    resize = config.preprocess.resize
    shape = source.info.sample_shape
    if resize is not None:
        shape = (*pooled_size(resize, shape), *shape[2:])
    n_features = int(np.prod(shape))
    if config.preprocess.pca is not None:
        n_rows = len(split_rows(config, source, seeds).train)
        n_features = most_components(config.preprocess.pca, n_rows, n_features)
    return n_features, n_classes
