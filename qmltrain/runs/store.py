"""The run file: what a run measured, one row per step, in HDF5 that survives its writer.

Three files in the run directory belong to it:

- ``run.h5``: laid out once at its full size (`file_layout.py`), its space reserved; after that every row is a plain
  write at a known offset, and last of all the counter ``valid_rows`` (`rows.py`). A kill at any moment leaves a file
  that opens, with every row that was counted. No HDF5 library is at work while a run trains: a full disk is an ordinary
  error, not a crash of the interpreter, and readers may open the file whenever they like.
- ``metrics.jsonl``: the same metrics as text (`metrics_log.py`).
- ``status.json``: what changes while the run lives: status, sessions, automatic choices (`status_file.py`).

When the run is complete, ``run.h5`` is sealed: a fresh file with exactly the valid rows and all attributes takes its
place.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qmltrain.errors import InputError
from qmltrain.runs.atomic import WriteGuard, new_file, remove_stale_temporaries, storage_errors
from qmltrain.runs.attributes import collect_session, utc_now
from qmltrain.runs.file_layout import (
    FILE_NAME,
    SCHEMA_VERSION,
    UNFINISHED,
    check_attributes,
    lay_out,
    make_tables,
)
from qmltrain.runs.held_rows import MOST_BYTES, HeldRows
from qmltrain.runs.metrics_log import METRICS_NAME, LineFormatter, MetricsLog, format_lines
from qmltrain.runs.reading import RunHeader, read_header
from qmltrain.runs.row_columns import Columns, RowColumns
from qmltrain.runs.rows import RowFile, capacities, rows_of_snapshot, space_errors
from qmltrain.runs.snapshots import SUFFIX
from qmltrain.runs.status_file import encode_status, read_status_file, write_status_file

COMPLETED = "completed"
GRADIENTS = ("none", "norms", "full")

_SETTINGS = ("n_steps", "n_epochs", "n_layers", "n_parameters", "gradients", "gradients_every", "parameters_every")
_OWNED = frozenset({"schema_version", "run_id", "status", "metrics", "epoch_metrics", "sessions", *_SETTINGS})
_SESSION_STATE = ("status", "updated_utc", "steps", "epochs", "ended_utc")


class RunStore:
    """Writes one run. Made by `create` or `reopen`; the caller holds the directory's `RunLock`.

    Steps and epochs count from 1 in the order in which they end: step ``s`` is the s-th parameter update. Each is
    appended exactly once. What is stored beyond the metrics follows from the settings given to `create`: ask
    `wants_layer_norms`, `wants_gradient` and `wants_parameters`, or pass the arrays always and let the store choose.

    A row is *acknowledged* when the call that appends it has returned; after `hold`, when `flush` has. Acknowledged
    rows survive the death of the process; `sync` makes them survive the death of the machine, and comes before a
    snapshot is saved, which relies on them. After a StorageError nothing more is written: leave the ``with`` block (or
    call `abandon`) and exit. No HDF5 object is open while a run trains, so the interpreter exits in the ordinary way
    with the exit code it is given.
    """

    def __init__(
        self,
        directory: Path,
        header: RunHeader,
        rows: Mapping[str, int],
        live: dict[str, Any],
        expected: Mapping[str, Sequence[int]] | None = None,
        line_formatter: LineFormatter = format_lines,
    ) -> None:
        self.directory = directory
        self.path = directory / FILE_NAME
        self.attributes = header.attributes
        self._header = header
        self._live = live
        self._evaluation: dict[str, NDArray[Any]] = {}
        self._last_parameters_step: int | None = None
        self._held, self._holds = HeldRows(), False
        self._writing = WriteGuard(self.path)
        self._columns = RowColumns(header)
        self._quantities = {
            name: [column.quantity for column in header.tables[name].columns] for name in ("metrics", "epochs")
        }
        self._file = RowFile(self.path, header, rows)
        self._log = MetricsLog(directory / METRICS_NAME, line_formatter)
        try:
            with self._writing(self.path):
                self._file.open()
                self._file.check(expected or {})
                self._file.cut()
                if self._file.counts["parameters"].rows:
                    self._last_parameters_step = int(self._file.read("parameters")["step"][-1])
            with self._writing(self._log.path):
                self._log.open(self._file.read("metrics"), self._file.read("epochs"))
            self._write_status("running")
        except BaseException:
            self.abandon()
            raise

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
        arrays: Mapping[str, Any] | None = None,
        line_formatter: LineFormatter = format_lines,
    ) -> RunStore:
        """Lays out the run file of a new run in ``directory`` (made where missing) and reserves its space on the disk.

        attributes: what is known before the first step (`collect_attributes`, config_yaml, seeds, device, ...).
        metrics, epoch_metrics: names of the quantities of every step and of every epoch (``loss``, ``val/loss``).
        n_steps, n_epochs: the most there can be; fewer is fine (early stopping).
        gradients: ``none``; ``norms``: one L2 norm a layer and step; ``full``: also the gradient of every
        ``gradients_every``-th step (steps 1, 1 + k, 1 + 2k, ...).
        parameters_every: steps between parameter rows; None: the caller writes one an epoch by `write_parameters_row`.
        arrays: small datasets that stay as they are, by path (``data/features``): an array, or a list of texts.
        line_formatter: writes the lines of metrics.jsonl; a faster one gives the same bytes.

        Raises InputError where the directory holds a run or snapshots of one, StorageError where space is missing.
        """
        directory = Path(directory)
        if gradients not in GRADIENTS:
            raise InputError(f"run.gradients: found {gradients!r}; allowed are {', '.join(GRADIENTS)}")
        for name, value, least in (
            ("n_steps", n_steps, 1),
            ("n_epochs", n_epochs, 0),
            ("run.gradients_every", gradients_every, 1),
            ("run.parameters_every", parameters_every, 1),
        ):
            if value is not None and value < least:
                raise InputError(f"{name}: found {value}, must be at least {least}")
        attributes = {
            "started_utc": utc_now(),
            **attributes,
            "schema_version": SCHEMA_VERSION,
            "status": UNFINISHED,
            "metrics": list(metrics),
            "epoch_metrics": list(epoch_metrics),
            "n_steps": n_steps,
            "n_epochs": n_epochs,
            "n_layers": n_layers,
            "n_parameters": len(parameter_names),
            "gradients": gradients,
            "gradients_every": gradients_every,
            "parameters_every": parameters_every,
        }
        tables = make_tables(metrics, epoch_metrics, n_layers, len(parameter_names), gradients)
        path = directory / FILE_NAME
        with storage_errors("create", directory):
            directory.mkdir(parents=True, exist_ok=True)
            if path.exists():
                raise InputError(
                    f"{directory}: holds a run already; continue it with run.resume=auto, or choose another run.dir"
                )
            if any(directory.glob("*/*" + SUFFIX)):
                raise InputError(
                    f"{directory}: holds snapshots of a run, but its {FILE_NAME} is missing; restore it, remove the "
                    "snapshots, or choose another run.dir"
                )
            remove_stale_temporaries(directory)
        datasets = dict(arrays or {})
        if parameter_names:
            datasets["parameters/names"] = list(parameter_names)
        with space_errors(path, attributes), new_file(path) as descriptor:
            lay_out(descriptor, tables, capacities(attributes), attributes, datasets)
        live = {"sessions": [{**collect_session(), "from_step": 0}]}
        return cls(directory, read_header(path), {}, live, line_formatter=line_formatter)

    @classmethod
    def reopen(
        cls,
        directory: str | os.PathLike[str],
        *,
        steps: int,
        epochs: int,
        known: Mapping[str, Sequence[int]] | None = None,
        line_formatter: LineFormatter = format_lines,
    ) -> RunStore:
        """Opens an unfinished run to go on from a snapshot, taken after ``steps`` steps and ``epochs`` finished epochs.

        ``known`` is what `stored_rows` said then, None where the snapshot does not know; ``line_formatter`` as in
        `create`.

        Rows after the snapshot are cut from ``run.h5``, and ``metrics.jsonl`` is written anew from the rows that stay.
        A run that was killed before its first snapshot is started over by ``steps=0, epochs=0``.

        Raises InputError where there is no run, where it is complete, or where a later version laid it out with tables
        that this one does not write; StorageError where the file is damaged, or does not hold the rows of the snapshot.
        """
        directory = Path(directory)
        path = directory / FILE_NAME
        header = read_header(path)
        if header.sealed:
            raise InputError(f"{path}: the run is {header.attributes['status']}; there is nothing to resume")
        with storage_errors("clean up", directory):
            remove_stale_temporaries(directory)
        rows = rows_of_snapshot(path, header, steps, epochs, known)
        live = {name: value for name, value in read_status_file(directory).items() if name not in _SESSION_STATE}
        live["sessions"] = [*live.get("sessions", []), {**collect_session(), "from_step": steps}]
        return cls(directory, header, rows, live, known, line_formatter)

    @property
    def steps(self) -> int:
        """Steps stored so far, which is also the number of the last."""
        return self._file.counts["metrics"].rows + self._held.rows("metrics")

    @property
    def epochs(self) -> int:
        """Epochs stored so far, which is also the number of the last."""
        return self._file.counts["epochs"].rows + self._held.rows("epochs")

    def hold(self) -> None:
        """From now on rows wait for `flush`, `sync` or `close`, or until they take some MB: then they are written
        together, a write a column."""
        self._holds = True

    def flush(self) -> None:
        """Writes the rows that wait, then their lines. They count together: a kill before the end leaves none."""
        self._write(*self._held.take())

    def stored_rows(self) -> dict[str, list[int]]:
        """Rows and their checksum of every table, for a snapshot: `reopen` compares them."""
        self.flush()
        return {name: [count.rows, count.checksum or 0] for name, count in self._file.counts.items()}

    @property
    def wants_layer_norms(self) -> bool:
        """Whether every step stores the norm of each layer's gradient."""
        return self._columns.stores_layer_norms

    def wants_gradient(self, step: int) -> bool:
        """Whether this step stores its whole gradient."""
        return self._columns.wants_gradient(step)

    def wants_parameters(self, step: int) -> bool:
        """Whether the parameters after this step are stored with it."""
        return self._columns.wants_parameters(step)

    def gradients_of(self, first: int, last: int) -> NDArray[np.int64]:
        """The steps from ``first`` to ``last``, both included, that `wants_gradient` names, in order."""
        return self._columns.gradients_of(first, last)

    def parameters_of(self, first: int, last: int) -> NDArray[np.int64]:
        """The steps from ``first`` to ``last``, both included, that `wants_parameters` names, in order."""
        return self._columns.parameters_of(first, last)

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

        Raises ValueError where the step is not the next one, a quantity is missing or unknown, or an array that the
        settings ask for is missing or misshapen; StorageError where the disk does not take it.
        """
        self._check_next("step", step, self.steps, self._file.capacity["metrics"])
        self._append(self._columns.of_step(step, metrics, layer_norms, gradient, parameters), "metrics")

    def append_steps(
        self,
        first: int,
        metrics: Mapping[str, ArrayLike],
        layer_norms: ArrayLike | None = None,
        gradients: ArrayLike | None = None,
        parameters: ArrayLike | None = None,
    ) -> None:
        """Stores the T steps ``first``, ``first`` + 1, ...: the same bytes as `append_step` step by step, in one write
        a column. They count together: a kill before the end leaves none of them.

        metrics: every quantity named at creation, (T,). layer_norms: (T, n_layers). gradients: (rows, P) of
        `gradients_of` these steps; parameters: (rows, P) after the steps of `parameters_of` them. What the settings do
        not ask for is passed over. Without a step nothing happens.

        Raises as `append_step`; ValueError also where the columns differ in length or the run has no metrics.
        """
        values = self._columns.of_metrics(metrics)
        self._check_next("step", first, self.steps, self._file.capacity["metrics"], len(values[0]))
        tables = self._columns.of_span(first, values, layer_norms, gradients, parameters)
        if tables:
            self._append(tables, "metrics")

    def append_epoch(self, epoch: int, step: int, metrics: Mapping[str, float], wall_seconds: float) -> None:
        """Stores one finished epoch, the step it ended with and the time it took; raises as `append_step`."""
        self._check_next("epoch", epoch, self.epochs, self._file.capacity["epochs"])
        if step != self.steps:
            raise ValueError(f"epoch {epoch} ends with step {step}, but the last step stored is {self.steps}")
        columns = self._columns.of_epoch(epoch, step, metrics, wall_seconds)
        self._append({"epochs": columns}, "epochs")

    def write_parameters_row(self, step: int, theta: ArrayLike) -> None:
        """Stores parameters (P,) after ``step`` (0: the initial ones); a step that has a row has it written again."""
        last = self._last_parameters_step
        if last is not None and step < last:
            raise ValueError(f"parameters of step {step} after those of step {last}")
        columns = self._columns.of_parameters(step, theta)
        if step == last:
            self.flush()
            with self._writing(self.path):
                self._file.replace_last("parameters", columns)
        else:
            self._append({"parameters": columns})

    def write_evaluation(
        self, split: str, rows: ArrayLike, labels: ArrayLike, predictions: ArrayLike, scores: ArrayLike
    ) -> None:
        """Keeps the evaluation of one split (``train``, ``validation``, ``test``), an entry per sample: rows (M,) in
        the data set, labels (M,), predictions (M,), scores (M,) or (M, outputs). It is written when `close` seals
        the file, since datasets are never added to a file in use. A run that is stopped before that evaluates again
        when it is resumed."""
        if not split or "/" in split:
            raise ValueError(f"evaluation split: a name without slashes, found {split!r}")
        given = {"rows": rows, "labels": labels, "predictions": predictions, "scores": scores}
        arrays = {name: np.array(array) for name, array in given.items()}
        kinds = {name: str(array.dtype) for name, array in arrays.items() if array.dtype.kind not in "biufcU"}
        if kinds:
            raise ValueError(f"evaluation of {split}: numbers or texts, found {kinds}")
        shapes = {name: array.shape for name, array in arrays.items()}
        if any(not shape or shape[0] != arrays["rows"].size for shape in shapes.values()):
            raise ValueError(f"evaluation of {split}: one entry per sample, found shapes {shapes}")
        self._evaluation.update({f"evaluation/{split}/{name}": array for name, array in arrays.items()})

    def set_attributes(self, **attributes: Any) -> None:
        """Adds or replaces attributes of the run: in status.json now, and in the run file when it is sealed."""
        owned = (_OWNED | set(_SESSION_STATE)) & attributes.keys()
        if owned:
            raise ValueError(f"attributes {sorted(owned)} belong to the run store")
        check_attributes(attributes)  # now, not when the run is sealed
        encode_status(attributes)
        self.flush()
        self._live.update(attributes)
        self._write_status("running")

    def sync(self) -> None:
        """Puts the rows so far on the disk itself; comes before a snapshot is saved."""
        self.flush()
        with self._writing(self.path):
            self._file.sync()
        with self._writing(self._log.path):
            self._log.sync()

    def close(self, status: str = COMPLETED) -> None:
        """Ends the session. ``completed`` seals the file: trimmed to its rows, with all attributes and evaluations, it
        is written beside the live one and takes its place. Any other status (``interrupted``, ``failed``) leaves the
        run to be resumed.

        Raises StorageError where the disk does not take it; the live file is then as it was, and can be resumed.
        """
        self.sync()
        self._live["ended_utc"] = utc_now()
        if status == COMPLETED:
            with self._writing(self.path):
                self._seal()
        self._write_status(status)
        self.abandon()

    def abandon(self) -> None:
        """Lets go of the files without writing anything; at any time, and more than once."""
        self._file.close()
        self._log.close()
        self._writing.closed = True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.abandon()

    def _check_next(self, noun: str, number: int, last: int, capacity: int, count: int = 1) -> None:
        if number != last + 1:
            raise ValueError(f"{noun} {number} after {noun} {last}: each is stored once, in order, from 1")
        if last + count > capacity:
            raise ValueError(f"{noun} {last + count}: the run was laid out for {capacity}")

    def _append(self, tables: Mapping[str, Columns], logged: str | None = None) -> None:
        """Rows of each table given; the log has those of `logged`."""
        self._file.check_room(tables, self._held.rows)
        self._writing.check()
        lines = self._log.lines(self._quantities[logged], tables[logged]) if logged else b""
        if "parameters" in tables:
            self._last_parameters_step = int(tables["parameters"][0][-1])
        n_bytes = sum(column.nbytes for columns in tables.values() for column in columns)
        if not self._holds or n_bytes > MOST_BYTES:  # what is large is not copied
            self.flush()
            self._write(tables, lines)
            return
        self._held.add(tables)
        self._held.add_lines(lines)
        if self._held.n_bytes > MOST_BYTES:
            self.flush()

    def _write(self, tables: Mapping[str, Columns], lines: bytes) -> None:
        if tables:
            with self._writing(self.path):
                self._file.append(tables)
        if lines:
            with self._writing(self._log.path):
                self._log.append(lines)

    def _write_status(self, status: str) -> None:
        state = {"status": status, "updated_utc": utc_now(), "steps": self.steps, "epochs": self.epochs}
        with self._writing(self.directory):
            write_status_file(self.directory, {**state, **self._live})

    def _seal(self) -> None:
        """Writes a file with exactly the valid rows beside the live one and renames it into its place."""
        attributes = {**self.attributes, **self._live, "schema_version": SCHEMA_VERSION, "status": COMPLETED}
        arrays = {**self._header.arrays, **self._evaluation}
        with new_file(self.path) as descriptor:
            offsets = lay_out(descriptor, self._header.tables, self._file.rows, attributes, arrays)
            self._file.copy(descriptor, offsets)
