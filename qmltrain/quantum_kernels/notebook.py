"""`qmltrain.kernel`: Gram matrices of arrays, without a file."""

from __future__ import annotations

import dataclasses
import os
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qmltrain.config.groups.encoding import EncodingConfig
from qmltrain.config.groups.kernel import KernelConfig
from qmltrain.config.schema import Config
from qmltrain.config.validation import validate
from qmltrain.engines.protocol import FloatArray
from qmltrain.errors import InputError, MemoryLimitError
from qmltrain.job_limits import available_bytes, usable_cpus
from qmltrain.models.build import build_model
from qmltrain.models.trained import load
from qmltrain.quantum_kernels.embedding import Embedding, build_embedding
from qmltrain.quantum_kernels.gram import Panels, compute_tiles
from qmltrain.quantum_kernels.kinds import KERNELS
from qmltrain.quantum_kernels.tiles import SplitName, Tile, cut, tile_rows
from qmltrain.registry import call_builder
from qmltrain.training.initialization import initial_parameters
from qmltrain.training.model import Model
from qmltrain.units import gib


def kernel(
    x: ArrayLike,
    against: ArrayLike | None = None,
    *,
    kind: str = "fidelity",
    run: str | os.PathLike[str] | None = None,
    encoding: str = "zz_feature_map",
    n_qubits: int | None = None,
    gamma: float | None = None,
    seed: int = 0,
    engine: str = "auto",
    precision: str = "complex128",
    threads: int = 0,
    **options: Any,
) -> NDArray[Any]:
    """(B, B) kernel of the samples `x` (B, F), or (A, B) of the samples `against` (A, F) with them.

    `encoding`, with its `options` as in the config (``repeats=3``), on `n_qubits` (null: one for each feature; of
    amplitude the fewest). What is trainable in it (reuploading, qaoa_embedding: a layer of hea after each repetition)
    is drawn by `seed`, as a training would begin.

    With `run` the trained circuit of that run, and `x` are raw samples, to which the run's own preprocessing is
    applied. `kind`: fidelity, or projected with `gamma` (null: 1 over 3 n_qubits times the variance of the expectations
    of `x`).

    complex64 gives float32 and half the time. The same arrays give the same bits, on any number of threads; in another
    order, samples may differ by rounding. Raises InputError, MemoryLimitError.
    """
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
        raise InputError(f"seed: found {seed!r}; an integer from 0 is needed")
    made = call_builder(KERNELS, "kernel", kind, {"gamma": gamma})
    settings = Config(kernel=KernelConfig(name=kind, gamma=gamma))
    settings.engine = dataclasses.replace(settings.engine, name=engine, precision=precision, threads=threads)
    if run is not None:
        if options or n_qubits is not None:
            raise InputError(f"{[*options, 'n_qubits'][0]}: the circuit is the run's; leave it out")
        trained = load(run)
        train, test = trained.features(x), None if against is None else trained.features(against)
        model, theta_P = trained.model, trained.theta_P
    else:
        train, test = _rows(x, "x"), None if against is None else _rows(against, "against")
        model = _model(settings, encoding, options, n_qubits, train.shape[1])
        theta_P = initial_parameters(model.circuit, settings.train.initial, np.random.default_rng(seed), None, None)
    if test is not None and test.shape[1] != train.shape[1]:
        raise InputError(f"against: samples of {test.shape[1]} features, x has {train.shape[1]}")
    for name, rows in (("x", train), ("against", test)):
        if rows is not None:
            try:
                model.check_features(rows, np.arange(len(rows)))
            except InputError as error:
                raise InputError(f"{name}: {error}") from error
    validate(settings)
    embedding = build_embedding(settings, model, made, theta_P, trained=run is not None, samples=len(train))
    return gram_matrix(embedding, train, test, threads or usable_cpus())


def gram_matrix(embedding: Embedding, train: FloatArray, test: FloatArray | None, threads: int) -> NDArray[Any]:
    """(B, B) of `train`, or (A, B) of `test` with it, in memory."""
    wanted: SplitName = "train" if test is None else "test"
    features: dict[SplitName, FloatArray] = {"train": train, "test": train[:0] if test is None else test}
    shape, dtype = (len(features[wanted]), len(train)), embedding.value_dtype
    needed, there = int(np.prod(shape)) * dtype.itemsize, available_bytes()
    if needed > there:
        raise MemoryLimitError(f"x: a matrix of {shape[0]} x {shape[1]} needs {gib(needed)} of {gib(there)}; use fewer")
    found = np.empty(shape, dtype=dtype)

    def put(tile: Tile, values: NDArray[Any]) -> None:
        found[tile.rows, tile.columns] = values
        if tile.mirrored:
            found[tile.columns, tile.rows] = values.T

    if not embedding.on_states:
        embedding.kind.choose(embedding.vectors(train))
    size = tile_rows(embedding.vector_bytes)
    tiles = [tile for tile in cut(len(train), len(features["test"]), size) if tile.split == wanted]
    panels = Panels(embedding, features, size, there - needed, lambda: False)
    compute_tiles(panels, tiles, put, lambda tile: None, threads)
    return found


def _rows(x: ArrayLike, name: str) -> FloatArray:
    try:
        rows = np.asarray(x)
    except ValueError:  # rows of several lengths
        raise InputError(
            f"{name}: no array; numbers of shape (samples, features) are needed, all rows as long"
        ) from None
    if rows.ndim != 2 or not rows.size or rows.dtype.kind not in "biuf":
        raise InputError(
            f"{name}: found shape {rows.shape} of {rows.dtype}; numbers of shape (samples, features) are needed"
        )
    return np.ascontiguousarray(rows, dtype=np.float64)


def _model(config: Config, encoding: str, options: dict[str, Any], n_qubits: int | None, n_features: int) -> Model:
    """The encoding around one layer of hea; what follows the last feature is left out later."""
    known = {item.name for item in dataclasses.fields(EncodingConfig)} - {"name"}
    for name in options:
        if name not in known:
            raise InputError(f"{name}: no option of an encoding; there are {', '.join(sorted(known))}")
    config.encoding = EncodingConfig(name=encoding, **options)
    least = max(1, (n_features - 1).bit_length()) if encoding == "amplitude" else n_features
    config.circuit = dataclasses.replace(config.circuit, n_qubits=least if n_qubits is None else n_qubits)
    config.ansatz = dataclasses.replace(config.ansatz, name="hea", layers=1)
    validate(config)
    return build_model(config, n_features, 2)
