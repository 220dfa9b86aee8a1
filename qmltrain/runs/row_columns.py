"""What is given for rows of a run file, checked, as columns of its tables; and which steps store what."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qmltrain.runs.reading import RunHeader

_INTEGER: np.dtype[np.int64] = np.dtype("<i8")
Columns = list[NDArray[Any]]  # of one table, with one row or more: C-contiguous, of the types that the file has


class RowColumns:
    """For the run file with this header; what does not fit it is a ValueError. Steps count from 1."""

    def __init__(self, header: RunHeader) -> None:
        attributes, tables = header.attributes, header.tables
        self.stores_layer_norms = "layer_norms" in tables
        self._gradients_every = int(attributes["gradients_every"]) if "gradients" in tables else None
        every = attributes.get("parameters_every")
        self._parameters_every = None if every is None else int(every)
        self._has_wall_seconds = header.has_wall_seconds
        self._metrics = {
            name: [column.quantity for column in tables[name].columns if column.metric]
            for name in ("metrics", "epochs")
        }
        self._widths = {name: table.columns[1].width for name, table in tables.items() if name not in self._metrics}

    def wants_gradient(self, step: int) -> bool:
        every = self._gradients_every
        return every is not None and (step - 1) % every == 0

    def wants_parameters(self, step: int) -> bool:
        every = self._parameters_every
        return every is not None and step % every == 0

    def gradients_of(self, first: int, last: int) -> NDArray[np.int64]:
        """The steps from ``first`` to ``last`` whose gradient is stored."""
        every = self._gradients_every
        return _numbers(first + (1 - first) % every, last, every) if every else _numbers(1, 0)

    def parameters_of(self, first: int, last: int) -> NDArray[np.int64]:
        """The steps from ``first`` to ``last`` after which the parameters are stored."""
        every = self._parameters_every
        return _numbers(first + -first % every, last, every) if every else _numbers(1, 0)

    def of_step(
        self,
        step: int,
        metrics: Mapping[str, float],
        layer_norms: ArrayLike | None,
        gradient: ArrayLike | None,
        parameters: ArrayLike | None,
    ) -> dict[str, Columns]:
        """The rows of one step, by table, of what `RunStore.append_step` takes."""
        number = np.array([step], "<i8")
        tables: dict[str, Columns] = {"metrics": [number, *self._values("metrics", metrics)]}
        if self.stores_layer_norms:
            tables["layer_norms"] = [number, self._row("layer_norms", layer_norms)]
        if self.wants_gradient(step):
            tables["gradients"] = [number, self._row("gradients", gradient)]
        if self.wants_parameters(step):
            tables["parameters"] = [number, self._row("parameters", parameters)]
        return tables

    def of_metrics(self, metrics: Mapping[str, ArrayLike]) -> Columns:
        """The quantities of a span of steps, each (steps,), in the order of the table."""
        names = self._names("metrics", metrics)
        if not names:
            raise ValueError("metrics: the run has none, whose lengths would say how many steps there are")
        columns = [np.asarray(metrics[name], "<f8", order="C") for name in names]
        shapes = {name: column.shape for name, column in zip(names, columns, strict=True)}
        if columns[0].ndim != 1 or len(set(shapes.values())) > 1:
            raise ValueError(f"metrics: one number a step and quantity, found shapes {shapes}")
        return columns

    def of_span(
        self,
        first: int,
        metrics: Columns,
        layer_norms: ArrayLike | None,
        gradients: ArrayLike | None,
        parameters: ArrayLike | None,
    ) -> dict[str, Columns]:
        """The rows of a span of steps, by table, of what `RunStore.append_steps` takes, its metrics by `of_metrics`;
        of a table without any nothing."""
        last = first + len(metrics[0]) - 1
        steps = _numbers(first, last)
        tables: dict[str, Columns] = {"metrics": [steps, *metrics]}
        for table, numbers, array, wanted in (
            ("layer_norms", steps, layer_norms, self.stores_layer_norms),
            ("gradients", self.gradients_of(first, last), gradients, self._gradients_every is not None),
            ("parameters", self.parameters_of(first, last), parameters, self._parameters_every is not None),
        ):
            if wanted and (len(numbers) or array is not None):
                tables[table] = [numbers, self._rows(table, array, len(numbers))]
        return {table: columns for table, columns in tables.items() if len(columns[0])}

    def of_epoch(self, epoch: int, step: int, metrics: Mapping[str, float], wall_seconds: float) -> Columns:
        """The row of an epoch."""
        wall = [np.array([wall_seconds], "<f8")] if self._has_wall_seconds else []
        return [*np.array([[epoch], [step]], "<i8"), *wall, *self._values("epochs", metrics)]

    def of_parameters(self, step: int, theta: ArrayLike) -> Columns:
        """The row of parameters (P,) after a step."""
        return [np.array([step], "<i8"), self._row("parameters", theta)]

    def _names(self, table: str, metrics: Mapping[str, Any]) -> list[str]:
        """The quantities in the order of the table's columns: just those of ``metrics``."""
        names = self._metrics[table]
        if len(metrics) != len(names) or any(name not in metrics for name in names):
            raise ValueError(f"{table}: found {sorted(metrics)}, the run was laid out for {sorted(names)}")
        return names

    def _values(self, table: str, metrics: Mapping[str, float]) -> NDArray[np.float64]:
        """(quantities, 1): the columns of one row."""
        return np.array([float(metrics[name]) for name in self._names(table, metrics)], "<f8").reshape(-1, 1)

    def _row(self, table: str, array: ArrayLike | None) -> NDArray[np.float64]:
        """(1, width): an array of one row."""
        values = self._given(table, array)
        if values.shape != (self._widths[table],):
            raise ValueError(f"{table}: found shape {values.shape}, the run was laid out for ({self._widths[table]},)")
        return values.reshape(1, -1)

    def _rows(self, table: str, array: ArrayLike | None, n_rows: int) -> NDArray[np.float64]:
        """(rows, width): the arrays of a span."""
        values, shape = self._given(table, array), (n_rows, self._widths[table])
        if values.shape != shape:
            raise ValueError(f"{table}: found shape {values.shape}, the run stores {shape} of these steps")
        return values

    @staticmethod
    def _given(table: str, array: ArrayLike | None) -> NDArray[np.float64]:
        if array is None:
            raise ValueError(f"{table}: the run's settings ask for them, but they were not given")
        return np.ascontiguousarray(array, "<f8")


def _numbers(first: int, last: int, every: int = 1) -> NDArray[np.int64]:
    """``first``, ``first`` + ``every``, ... up to ``last``."""
    return np.arange(first, last + 1, every, dtype=_INTEGER)
