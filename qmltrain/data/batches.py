"""Which rows form which batch, and the features of each batch, from memory or read one batch ahead."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from qmltrain.data.checks import chunks
from qmltrain.data.preprocessing import Preprocessor
from qmltrain.data.protocol import FloatArray, LabelArray, RowArray, Source
from qmltrain.data.scaling import TargetScaler
from qmltrain.data.shuffling import permutation
from qmltrain.errors import InputError
from qmltrain.units import GIB

CACHE_BYTES = GIB  # of features that are kept beside samples in memory
STREAMED_CACHE_BYTES = 2**26  # beside samples that are read from a file because memory is short

Share = Callable[[int], range]  # which samples of a batch of so many are wanted


class BatchOrder:
    """A new permutation of `rows` in each epoch, cut into batches of `batch_size` (all rows, where there are fewer);
    the last one may be shorter. With `replacement` every row of every batch is drawn anew: as many batches, all whole.

    The order of epoch e is a function of (seed, e) alone: the e-th child of SeedSequence(seed). A resumed run
    needs no state but the epoch and the number of batches done.
    """

    def __init__(self, rows: NDArray[Any], batch_size: int, seed: int, replacement: bool = False) -> None:
        self.rows = np.asarray(rows, dtype=np.int64)
        if batch_size < 1:
            raise InputError(f"train.batch_size: {batch_size} is not possible; at least 1")
        self.batch_size = min(batch_size, max(1, len(self.rows)))
        self.seed = seed
        self.replacement = replacement

    @property
    def n_batches(self) -> int:
        """Batches an epoch."""
        return -(-len(self.rows) // self.batch_size)

    def shuffled(self, epoch: int) -> RowArray:
        """The rows of all batches of `epoch` (from 0)."""
        if len(self.rows) == 1:  # and a batch is one row
            return self.rows.copy()
        seeds = np.random.SeedSequence(self.seed, spawn_key=(epoch,))
        if self.replacement:
            generator = np.random.Generator(np.random.PCG64(seeds))
            return self.rows[generator.integers(len(self.rows), size=self.n_batches * self.batch_size)]
        return permutation(self.rows, seeds)

    @cached_property
    def offsets(self) -> NDArray[np.int64]:
        """Where the batches begin among `shuffled` rows, and the end, (n_batches + 1,)."""
        begins = np.arange(self.n_batches + 1) * self.batch_size
        return begins if self.replacement else np.minimum(begins, len(self.rows))

    def batches(self, epoch: int) -> list[RowArray]:
        """The row arrays of `epoch` (from 0) in order; together each row once, but with `replacement`."""
        shuffled = self.shuffled(epoch)
        return [shuffled[start : start + self.batch_size] for start in range(0, len(shuffled), self.batch_size)]


class Batch(NamedTuple):
    """`rows` (B,) of the source, `features_BF` float64, `labels` (B,) classes int64 or targets float64."""

    rows: RowArray
    features_BF: FloatArray
    labels: LabelArray


class PreparedData:
    """Features and labels of a Source by row.

    Features of all rows are computed once and kept where they take at most `cache_bytes` (None: 1 GiB, of samples that
    are not in memory themselves 64 MiB); otherwise each batch is read and transformed when it is asked for. Both give
    the same bits. With a `target_scaler`, labels are scaled targets.
    """

    def __init__(
        self,
        source: Source,
        preprocessor: Preprocessor,
        target_scaler: TargetScaler | None = None,
        *,
        cache_bytes: int | None = None,
    ) -> None:
        if cache_bytes is None:
            cache_bytes = CACHE_BYTES if source.info.in_memory else STREAMED_CACHE_BYTES
        self.source = source
        self.preprocessor = preprocessor
        labels = source.labels()
        if target_scaler is not None:
            labels = target_scaler.transform(labels.astype(np.float64))
        self._labels = labels
        self._cached: FloatArray | None = None
        if 8 * source.info.n_samples * preprocessor.n_features <= cache_bytes:
            self._cached = self._compute(np.arange(source.info.n_samples))

    @property
    def n_features(self) -> int:
        return self.preprocessor.n_features

    @property
    def is_cached(self) -> bool:
        return self._cached is not None

    def labels(self, rows: NDArray[Any]) -> LabelArray:
        """(len(rows),)"""
        found: LabelArray = self._labels[rows]
        return found

    def whole(self) -> tuple[FloatArray, LabelArray] | None:
        """Features and labels of all rows where they are kept in memory."""
        return None if self._cached is None else (self._cached, self._labels)

    def features(self, rows: NDArray[Any]) -> FloatArray:
        """(len(rows), F), a new array."""
        return self._compute(np.asarray(rows)) if self._cached is None else self._cached[rows]

    def stream(self, batches: Iterable[RowArray], share: Share | None = None) -> Iterator[Batch]:
        """The batches in order; where nothing is cached, the next one is read in a thread while one is in use, and of
        each its `share` alone: the features of other samples are zeros."""
        if self._cached is not None:
            for rows in batches:
                yield self._batch(rows)
            return
        with ThreadPoolExecutor(max_workers=1, thread_name_prefix="qmltrain-read-ahead") as reader:
            ahead = None
            for rows in batches:
                ready, ahead = ahead, reader.submit(self._batch, rows, share)
                if ready is not None:
                    yield ready.result()
            if ahead is not None:
                yield ahead.result()

    def _batch(self, rows: RowArray, share: Share | None = None) -> Batch:
        wanted = range(len(rows)) if share is None else share(len(rows))
        if len(wanted) == len(rows):
            return Batch(rows, self.features(rows), self.labels(rows))
        features_BF = np.zeros((len(rows), self.n_features))
        features_BF[wanted.start : wanted.stop] = self.features(rows[wanted.start : wanted.stop])
        return Batch(rows, features_BF, self.labels(rows))

    def _compute(self, rows: NDArray[Any]) -> FloatArray:
        """Samples of few rows at a time are in memory, however many `rows` there are."""
        features_BF = np.empty((len(rows), self.n_features))
        done = 0
        for piece in chunks(rows, self.source.info.sample_shape):
            features_BF[done : done + len(piece)] = self.preprocessor.transform(self.source.read(piece), piece)
            done += len(piece)
        return features_BF
