"""The run file: what a run measured, one row a step, in HDF5 that survives its writer.

Three files in the run directory belong to it:

- ``run.h5``: laid out once at its full size (`layout.py`), its space reserved; after that every row is a plain write at
  a known offset, and last of all the counter ``valid_rows``. A kill at any moment leaves a file that opens, with every
  row that was counted. No HDF5 library is at work while a run trains: a full disk is an ordinary error, not a crash
  of the interpreter, and readers may open the file whenever they like.
- ``metrics.jsonl``: the same metrics as one line of JSON a step and an epoch, for ``tail -f``.
- ``status.json``: what changes while the run lives (status, sessions, automatic choices), replaced whole.

When the run is complete, ``run.h5`` is sealed: a fresh file with exactly the valid rows and all attributes takes its name.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qmltrain.errors import InputError, StorageError
from qmltrain.runs.atomic import new_file, read_at, remove_stale_temporaries, storage_errors, write_at
from qmltrain.runs.attributes import collect_session, utc_now
from qmltrain.runs.layout import (
    FILE_NAME,
    SCHEMA_VERSION,
    TABLES,
    UNFINISHED,
    VALID_ROWS,
    Table,
    lay_out,
    make_tables,
)
from qmltrain.runs.reading import STATUS_NAME, read_layout, read_status_file

METRICS_NAME = "metrics.jsonl"
COMPLETED = "completed"
GRADIENTS = ("none", "norms", "full")

_SETTINGS = ("n_steps", "n_epochs", "n_layers", "n_parameters", "gradients", "gradients_every", "parameters_every")
_OWNED = frozenset({"schema_version", "status", "metrics", "epoch_metrics", *_SETTINGS})
_SESSION_STATE = ("status", "updated_utc", "steps", "epochs", "ended_utc")
_COPY_BYTES = 1 << 24  # sealing copies this much at a time


class RunStore:
    """Writes one run. The caller holds the directory's `RunLock`; make one by `create` or `reopen`.

    Steps and epochs count from 1 in the order they end: step ``s`` is the s-th parameter update, and each is appended
    exactly once. What is stored beyond the metrics follows from the settings given to `create`: ask `wants_layer_norms`,
    `wants_gradient` and `wants_parameters`, or pass the arrays always and let the store choose.

    A row has been *acknowledged* when ``append_step`` or ``append_epoch`` has returned. Acknowledged rows survive the
    death of the process; `sync` makes them survive the death of the machine, and must come before a snapshot is saved.
    """

    def __init__(
        self,
        directory: Path,
        descriptor: int,
        log: int,
        attributes: dict[str, Any],
        live: dict[str, Any],
        tables: dict[str, Table],
        offsets: dict[str, int],
        parameter_names: Sequence[str],
        rows: Sequence[int],
    ) -> None:
        self.directory = directory
        self.path = directory / FILE_NAME
        self.attributes = attributes
        self.gradients: str = attributes["gradients"]
        self.gradients_every: int = attributes["gradients_every"]
        self.parameters_every: int | None = attributes.get("parameters_every")
        self._live = live
        self._tables = tables
        self._capacity = capacities(attributes)
        self._offsets = offsets
        self._parameter_names = list(parameter_names)
        self._rows = dict(zip(TABLES, map(int, rows), strict=True))
        self._last_parameters_step: int | None = None
        self._evaluation: dict[str, NDArray[Any]] = {}
        self._descriptor = descriptor
        self._log = log
        self._open = True
        self._failed = False

    # -- opening ------------------------------------------------------------------------------------------------------

    @classmethod
    def create(
        cls,
        directory: str | os.PathLike[str],
        attributes: Mapping[str, Any],
        *,
        metrics: Sequence[str],
        epoch_metrics: Sequence[str],
        n_steps: int,
        n_epochs: int,
        n_layers: int,
        parameter_names: Sequence[str],
        gradients: str = "norms",
        gradients_every: int = 1,
        parameters_every: int | None = None,
    ) -> RunStore:
        """Lays out the run file of a new run in ``directory`` (made where missing) and reserves its space on the disk.

        attributes: what is known before the first step (`collect_attributes`, config_yaml, seeds, device, ...).
        metrics, epoch_metrics: names of the quantities of every step and of every epoch, such as ``loss``, ``val/loss``.
        n_steps, n_epochs: the most there can be; fewer is fine (early stopping).
        gradients: ``none``; ``norms``: one L2 norm a layer and step; ``full``: the gradient of every
        ``gradients_every``-th step as well (steps 1, 1 + k, 1 + 2k, ...).
        parameters_every: steps between parameter rows; None: the caller writes one an epoch by `write_parameters_row`.

        Raises InputError where the directory holds a run already, StorageError where the space is not there.
        """
        directory = Path(directory)
        if gradients not in GRADIENTS:
            raise InputError(f"run.gradients: found {gradients!r}; allowed are {', '.join(GRADIENTS)}")
        settings = {
            "n_steps": n_steps,
            "n_epochs": n_epochs,
            "n_layers": n_layers,
            "n_parameters": len(parameter_names),
            "gradients": gradients,
            "gradients_every": gradients_every,
            "parameters_every": parameters_every,
        }
        for name, least in (("n_steps", 1), ("n_epochs", 0), ("gradients_every", 1), ("parameters_every", 1)):
            value = settings[name]
            if isinstance(value, int) and value < least:
                raise InputError(f"{name}: found {value}, must be at least {least}")
        attributes = {
            **attributes,
            **settings,
            "schema_version": SCHEMA_VERSION,
            "status": UNFINISHED,
            "metrics": list(metrics),
            "epoch_metrics": list(epoch_metrics),
        }
        attributes.setdefault("started_utc", utc_now())
        tables = make_tables(metrics, epoch_metrics, n_layers, len(parameter_names), gradients)
        path = directory / FILE_NAME
        with storage_errors("create", directory):
            directory.mkdir(parents=True, exist_ok=True)
            if path.exists():
                raise InputError(
                    f"{directory}: holds a run already; continue it with run.resume=auto, or choose another run.dir"
                )
            remove_stale_temporaries(directory)
        rows = [0] * len(TABLES)
        arrays = {"parameters/names": list(parameter_names)} if parameter_names else {}
        with _reserving(path, attributes), new_file(path) as descriptor:
            offsets = lay_out(descriptor, tables, capacities(attributes), rows, attributes, arrays)
        live = {"sessions": [{**collect_session(), "from_step": 0}]}
        return cls._start(directory, attributes, live, tables, offsets, parameter_names, rows)

    @classmethod
    def reopen(cls, directory: str | os.PathLike[str], *, steps: int, epochs: int) -> RunStore:
        """Opens an unfinished run to go on from the snapshot taken after ``steps`` steps and ``epochs`` finished epochs.

        Rows after the snapshot are cut from ``run.h5``, and ``metrics.jsonl`` is written anew from the rows that stay.
        A run that was killed before its first snapshot is started over by ``steps=0, epochs=0``.

        Raises InputError where there is no run or where it is complete, StorageError where the file is damaged, of
        another schema version, or holds fewer rows than the snapshot (the two do not belong together).
        """
        directory = Path(directory)
        path = directory / FILE_NAME
        contents = read_layout(path)
        if contents.attributes["status"] != UNFINISHED:
            raise InputError(f"{path}: the run is {contents.attributes['status']}; there is nothing to resume")
        with storage_errors("clean up", directory):
            remove_stale_temporaries(directory)
        kept = []
        for name in TABLES:
            limit = epochs if name == "epochs" else steps
            index = contents.index.get(name)
            kept.append(0 if index is None else int(np.searchsorted(index, limit, side="right")))
        if kept[0] != steps or kept[1] != epochs:
            raise StorageError(
                f"{path}: holds {kept[0]} steps and {kept[1]} epochs of the {steps} steps and {epochs} epochs in the "
                "snapshot; they do not belong together: restore both from one copy, or choose another run.dir"
            )
        live = read_status_file(directory)
        for name in _SESSION_STATE:
            live.pop(name, None)
        live.setdefault("sessions", []).append({**collect_session(), "from_step": steps})
        return cls._start(
            directory, contents.attributes, live, contents.tables, contents.offsets, contents.parameter_names, kept
        )

    @classmethod
    def _start(
        cls,
        directory: Path,
        attributes: dict[str, Any],
        live: dict[str, Any],
        tables: dict[str, Table],
        offsets: dict[str, int],
        parameter_names: Sequence[str],
        rows: Sequence[int],
    ) -> RunStore:
        path, log_path = directory / FILE_NAME, directory / METRICS_NAME
        with storage_errors("open", path):
            descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        store = cls(directory, descriptor, -1, attributes, live, tables, offsets, parameter_names, rows)
        try:
            with store._writing(path):
                store._write_counter()
            with store._writing(log_path):
                with new_file(log_path) as log:
                    store._rewrite_log(log)
                store._log = os.open(log_path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
            count = store._rows["parameters"]
            if count:
                steps = store._read_rows(tables["parameters"].columns[0], count - 1, count)
                store._last_parameters_step = int(steps[0])
            store._write_status("running")
        except BaseException:
            store.abandon()
            raise
        return store

    # -- what is stored -----------------------------------------------------------------------------------------------

    @property
    def wants_layer_norms(self) -> bool:
        """Whether every step stores the norm of each layer's gradient."""
        return "layer_norms" in self._tables

    def wants_gradient(self, step: int) -> bool:
        """Whether this step stores its whole gradient."""
        return "gradients" in self._tables and (step - 1) % self.gradients_every == 0

    def wants_parameters(self, step: int) -> bool:
        """Whether ``append_step`` stores the parameters after this step."""
        return self.parameters_every is not None and step % self.parameters_every == 0

    @property
    def steps(self) -> int:
        """Steps stored so far, which is also the number of the last."""
        return self._rows["metrics"]

    @property
    def epochs(self) -> int:
        """Epochs stored so far, which is also the number of the last."""
        return self._rows["epochs"]

    def append_step(
        self,
        step: int,
        metrics: Mapping[str, float],
        layer_norms: ArrayLike | None = None,
        gradient: ArrayLike | None = None,
        parameters: ArrayLike | None = None,
    ) -> None:
        """Stores one step: every quantity named at creation (NaN where it has no value), and of the arrays
        layer_norms (n_layers,), gradient (P,) and parameters (P,) after the step those that the settings ask for.

        Raises ValueError where the step is not the next, a quantity is missing or unknown, or an array that the settings
        ask for is missing; StorageError where the disk does not take it.
        """
        self._check_next("step", step, self.steps, self._capacity["metrics"])
        rows = {"metrics": (step, *self._values("metrics", metrics))}
        if self.wants_layer_norms:
            rows["layer_norms"] = (step, self._array("layer_norms", layer_norms))
        if self.wants_gradient(step):
            rows["gradients"] = (step, self._array("gradients", gradient))
        if self.wants_parameters(step):
            rows["parameters"] = (step, self._array("parameters", parameters))
        self._append(rows)
        self._append_log({"step": step, **metrics})

    def append_epoch(self, epoch: int, step: int, metrics: Mapping[str, float]) -> None:
        """Stores one finished epoch and the step it ended with; raises as `append_step`."""
        self._check_next("epoch", epoch, self.epochs, self._capacity["epochs"])
        if step != self.steps:
            raise ValueError(f"epoch {epoch} ends with step {step}, but the last step stored is {self.steps}")
        self._append({"epochs": (epoch, step, *self._values("epochs", metrics))})
        self._append_log({"epoch": epoch, "step": step, **metrics})

    def write_parameters_row(self, step: int, theta: ArrayLike) -> None:
        """Stores parameters (P,) after ``step`` (0: the initial ones). The row of a step that has one is written again."""
        last = self._last_parameters_step
        if last is not None and step < last:
            raise ValueError(f"parameters of step {step} after those of step {last}")
        row = (step, self._array("parameters", theta))
        if step == last:
            with self._writing(self.path):
                self._write_row("parameters", self._rows["parameters"] - 1, row)
        else:
            self._append({"parameters": row})

    def write_evaluation(
        self, split: str, rows: ArrayLike, labels: ArrayLike, predictions: ArrayLike, scores: ArrayLike
    ) -> None:
        """Keeps the evaluation of one split (``train``, ``validation``, ``test``), one entry a sample: rows (M,) in the
        data set, labels (M,), predictions (M,), scores (M,) or (M, outputs).

        It is written when ``close`` seals the file: datasets are never added to a file in use. A run that is stopped
        before that evaluates again when it is resumed, from its snapshot.
        """
        if not split or "/" in split:
            raise ValueError(f"evaluation split: a name without slashes, found {split!r}")
        arrays = {"rows": rows, "labels": labels, "predictions": predictions, "scores": scores}
        stored = {name: np.array(array) for name, array in arrays.items()}
        lengths = {name: len(array) for name, array in stored.items()}
        if len(set(lengths.values())) != 1:
            raise ValueError(f"evaluation of {split}: lengths differ: {lengths}")
        self._evaluation.update({f"evaluation/{split}/{name}": array for name, array in stored.items()})

    def set_attributes(self, **attributes: Any) -> None:
        """Adds or replaces attributes of the run: in status.json now, and in the run file when it is sealed."""
        owned = _OWNED & attributes.keys()
        if owned:
            raise ValueError(f"attributes {sorted(owned)} belong to the run store")
        self._live.update(attributes)
        self._write_status("running")

    # -- ending -------------------------------------------------------------------------------------------------------

    def sync(self) -> None:
        """Puts the rows so far on the disk itself; call it before a snapshot is saved, which relies on them."""
        with self._writing(self.path):
            os.fsync(self._descriptor)
        with self._writing(self.directory / METRICS_NAME):
            os.fsync(self._log)

    def close(self, status: str = COMPLETED) -> None:
        """Ends the session. ``completed`` seals the file: trimmed to its rows, with all attributes and evaluations, put in
        the place of the live file by rename. Any other status (``interrupted``, ``failed``) leaves it to be resumed.

        Raises StorageError where the disk does not take it; the live file then stays as it is, and can be resumed.
        """
        self.sync()
        self._live["ended_utc"] = utc_now()
        if status == COMPLETED:
            with self._writing(self.path):
                self._seal()
        self._write_status(status)
        self.abandon()

    def abandon(self) -> None:
        """Lets go of the files without writing anything; may be called at any time and more than once.

        This is all there is to do after a StorageError: no HDF5 object is open while a run trains, so the interpreter
        may exit in the ordinary way, with any exit code.
        """
        if self._open:
            self._open = False
            for descriptor in (self._descriptor, self._log):
                if descriptor >= 0:
                    os.close(descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.abandon()

    # -- within -------------------------------------------------------------------------------------------------------

    def _writing(self, path: Path) -> _Writing:
        if not self._open:
            raise ValueError(f"{self.path}: the run store is closed")
        if self._failed:
            raise StorageError(f"{self.path}: an earlier write failed; nothing more is written in this session")
        return _Writing(self, path)

    def _check_next(self, noun: str, number: int, last: int, capacity: int) -> None:
        if number != last + 1:
            raise ValueError(f"{noun} {number} after {noun} {last}: each is stored once, in order, from 1")
        if number > capacity:
            raise ValueError(f"{noun} {number}: the run was laid out for {capacity}")

    def _values(self, table: str, metrics: Mapping[str, float]) -> list[float]:
        names = [column.quantity for column in self._tables[table].columns if column.metric]
        if metrics.keys() != set(names):
            raise ValueError(f"{table}: found {sorted(metrics)}, the run was laid out for {sorted(names)}")
        return [float(metrics[name]) for name in names]

    def _array(self, table: str, array: ArrayLike | None) -> NDArray[np.float64]:
        width = self._tables[table].columns[1].width
        if array is None:
            raise ValueError(f"{table}: asked for by the run's settings, but not given")
        values = np.ascontiguousarray(array, "<f8")
        if values.shape != (width,):
            raise ValueError(f"{table}: found shape {values.shape}, the run was laid out for ({width},)")
        return values

    def _append(self, rows: Mapping[str, Sequence[Any]]) -> None:
        """Writes the rows, then the counter: a row counts only when all of it is in the file."""
        for table in rows:
            if self._rows[table] >= self._capacity[table]:
                raise ValueError(f"{table}: the run was laid out for {self._capacity[table]} rows")
        with self._writing(self.path):
            for table, row in rows.items():
                self._write_row(table, self._rows[table], row)
            for table in rows:
                self._rows[table] += 1
            self._write_counter()
        if "parameters" in rows:
            self._last_parameters_step = int(rows["parameters"][0])

    def _write_row(self, table: str, index: int, row: Sequence[Any]) -> None:
        for column, value in zip(self._tables[table].columns, row, strict=True):
            if column.row_bytes:
                data = np.asarray(value, column.dtype).tobytes()
                write_at(self._descriptor, data, self._offsets[column.path] + index * column.row_bytes)

    def _write_counter(self) -> None:
        counts = np.array([self._rows[name] for name in TABLES], "<i8")
        write_at(self._descriptor, counts.tobytes(), self._offsets[VALID_ROWS])

    def _read_rows(self, column: Any, begin: int, end: int) -> NDArray[Any]:
        data = read_at(
            self._descriptor, (end - begin) * column.row_bytes, self._offsets[column.path] + begin * column.row_bytes
        )
        values = np.frombuffer(data, column.dtype)
        return values if column.width is None else values.reshape(end - begin, column.width)

    def _append_log(self, entry: Mapping[str, Any]) -> None:
        with self._writing(self.directory / METRICS_NAME):
            line = _log_line(entry)
            while line:  # one write, save where the disk takes only a part
                line = line[os.write(self._log, line) :]

    def _rewrite_log(self, log: int) -> None:
        """Writes the lines of all valid rows, in the order in which they were first appended."""
        columns: dict[str, list[NDArray[Any]]] = {}
        for name in ("metrics", "epochs"):
            count = self._rows[name]
            columns[name] = [self._read_rows(c, 0, count) for c in self._tables[name].columns] if count else []

        def entries(name: str) -> Iterator[dict[str, Any]]:
            names = [column.quantity for column in self._tables[name].columns]
            for row in zip(*(column.tolist() for column in columns[name]), strict=True):
                yield dict(zip(names, row, strict=True))

        epochs = list(entries("epochs"))
        lines, next_epoch = [], 0
        for entry in entries("metrics"):
            lines.append(_log_line(entry))
            while next_epoch < len(epochs) and epochs[next_epoch]["step"] == entry["step"]:
                lines.append(_log_line(epochs[next_epoch]))
                next_epoch += 1
        write_at(log, b"".join(lines), 0)

    def _write_status(self, status: str) -> None:
        """Replaces status.json."""
        contents = {"status": status, "updated_utc": utc_now(), "steps": self.steps, "epochs": self.epochs, **self._live}
        text = json.dumps(contents, indent=1, default=_plain)
        path = self.directory / STATUS_NAME
        with self._writing(path), new_file(path) as descriptor:
            write_at(descriptor, text.encode() + b"\n", 0)

    def _seal(self) -> None:
        """Writes a file with exactly the valid rows beside the live one and renames it into its place."""
        rows = [self._rows[name] for name in TABLES]
        attributes = {**self.attributes, **self._live, "status": COMPLETED}
        arrays: dict[str, Any] = dict(self._evaluation)
        if self._parameter_names:
            arrays["parameters/names"] = self._parameter_names
        with new_file(self.path) as descriptor:
            offsets = lay_out(descriptor, self._tables, self._rows, rows, attributes, arrays)
            for table in self._tables.values():
                for column in table.columns:
                    length = self._rows[table.name] * column.row_bytes
                    for begin in range(0, length, _COPY_BYTES):
                        size = min(_COPY_BYTES, length - begin)
                        data = read_at(self._descriptor, size, self._offsets[column.path] + begin)
                        write_at(descriptor, data, offsets[column.path] + begin)


class _Writing:
    """Marks the store as failed when a write within the block fails, and makes one line of the error."""

    def __init__(self, store: RunStore, path: Path) -> None:
        self._store = store
        self._errors = storage_errors("write", path)

    def __enter__(self) -> None:
        self._errors.__enter__()

    def __exit__(self, kind: Any, error: Any, traceback: Any) -> None:
        self._store._failed = self._store._failed or error is not None
        self._errors.__exit__(kind, error, traceback)


def capacities(attributes: Mapping[str, Any]) -> dict[str, int]:
    """The rows that each table of a run is laid out for."""
    steps, epochs, every = attributes["n_steps"], attributes["n_epochs"], attributes.get("parameters_every")
    return {
        "metrics": steps,
        "epochs": epochs,
        "layer_norms": steps,
        "gradients": math.ceil(steps / attributes["gradients_every"]),
        "parameters": (epochs if every is None else steps // every) + 2,  # and the initial and the final ones
    }


@contextmanager
def _reserving(path: Path, attributes: Mapping[str, Any]) -> Iterator[None]:
    """Says how much space a run needs, and what makes it less, where it is not there."""
    try:
        yield
    except OSError as error:
        rows, width = capacities(attributes), attributes["n_parameters"]
        size = 8 * width * (rows["parameters"] + (rows["gradients"] if attributes["gradients"] == "full" else 0))
        raise StorageError(
            f"cannot reserve {path} (rows of gradients and parameters: {size / 1e6:.1f} MB): {error.strerror or error}; "
            "free space, choose another run.root, or store less with run.gradients=norms, run.gradients_every or "
            "run.parameters_every"
        ) from error


def _log_line(entry: Mapping[str, Any]) -> bytes:
    """One line of metrics.jsonl; values that JSON cannot hold (NaN, infinity) are null."""
    plain = {
        name: value if isinstance(value, int) else float(value) if math.isfinite(value) else None
        for name, value in entry.items()
    }
    return json.dumps(plain).encode() + b"\n"


def _plain(value: Any) -> Any:
    """NumPy values in status.json."""
    if isinstance(value, (np.generic, np.ndarray)):
        return value.tolist()
    raise TypeError(f"attribute of type {type(value).__name__}")
