"""Runs as tables: ``open_run("runs/iris-1a2b3c4d").metrics`` is a pandas DataFrame.

Works on finished runs, on interrupted ones, and on those that are being written: only rows that count are read.
"""

from __future__ import annotations

import importlib
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from qmltrain.errors import InputError, QmltrainError, StorageError
from qmltrain.runs.file_layout import FILE_NAME, UNFINISHED
from qmltrain.runs.reading import (
    open_for_reading,
    read_attributes,
    read_data,
    read_parameter_names,
    read_rows,
    run_status,
)
from qmltrain.runs.status_file import read_status_file

if TYPE_CHECKING:
    import pandas
    import xarray

INSTALL = "pip install 'qmltrain[analysis]'"


def open_run(path: str | os.PathLike[str]) -> RunView:
    """A view of the run at ``path``, its directory or its run file.

    Raises InputError where there is none, StorageError where it cannot be read.
    """
    path = Path(path)
    return RunView(path / FILE_NAME if path.is_dir() else path)


class RunView:
    """Reads one run. Every access reads the file as it is then, so the view of a live run moves on with it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with open_for_reading(path):
            pass  # refuses now what cannot be read

    def __repr__(self) -> str:
        try:
            attributes = self.attributes
            rows = [len(next(iter(self.table(name).values()))) for name in ("metrics", "epochs")]
        except QmltrainError as error:
            return f"<RunView of {self.path}: {error}>"
        counts = f"{rows[0]} of {attributes['n_steps']} steps, {rows[1]} epochs"
        return f"<RunView of {self.path}: {attributes['status']}, {counts}>"

    @property
    def attributes(self) -> dict[str, Any]:
        """The attributes of the run, with those of status.json while it is unfinished."""
        with open_for_reading(self.path) as file:
            attributes = read_attributes(file)
            if isinstance(attributes.get("sessions"), str):
                attributes["sessions"] = json.loads(attributes["sessions"])
        if attributes["status"] == UNFINISHED:
            attributes = {**attributes, **read_status_file(self.path.parent), "status": self.status}
        return attributes

    @property
    def status(self) -> str:
        """``completed``, ``running`` (also what a killed run left behind), ``interrupted``, ``failed``."""
        return run_status(self.path) or UNFINISHED

    @property
    def config(self) -> dict[str, Any]:
        """The resolved config, from the attribute config_yaml."""
        text = self.attributes.get("config_yaml")
        if text is None:
            raise InputError(f"{self.path}: no config is stored in it (attribute config_yaml)")
        import yaml

        try:
            return dict(yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)))  # as config/storage
        except (yaml.YAMLError, TypeError, ValueError) as error:
            raise StorageError(f"{self.path}: damaged: its config is not YAML; restore it from a copy") from error

    @property
    def metrics(self) -> pandas.DataFrame:
        """One row per step, indexed by ``step``; one column a quantity."""
        return self._frame("metrics", "step")

    @property
    def epochs(self) -> pandas.DataFrame:
        """One row per epoch, indexed by ``epoch``; its last ``step`` and one column a quantity."""
        return self._frame("epochs", "epoch")

    @property
    def gradients(self) -> xarray.DataArray:
        """Gradient of the loss, (step, parameter)."""
        return self._array("gradients", "parameter", "run.gradients=full")

    @property
    def layer_norms(self) -> xarray.DataArray:
        """L2 norm of the gradient of each layer, (step, layer)."""
        return self._array("layer_norms", "layer", "run.gradients=norms or full")

    @property
    def parameters(self) -> xarray.DataArray:
        """Parameters after some steps (0: the initial ones), (step, parameter)."""
        return self._array("parameters", "parameter", "")

    @property
    def parameter_names(self) -> list[str]:
        """One name a parameter."""
        with open_for_reading(self.path) as file:
            return read_parameter_names(file)

    @property
    def layer_names(self) -> list[str]:
        """One name a layer: the attribute layer_names, or numbers where a run has none."""
        attributes = self.attributes
        n_layers = attributes["n_layers"]
        names = attributes.get("layer_names", [])
        return list(names) if len(names) == n_layers else [str(layer) for layer in range(n_layers)]

    @property
    def data(self) -> dict[str, Any]:
        """What the run was trained on, by name (docs/run-file.md): numbers as arrays, texts as lists; empty where the
        run has none of it."""
        with open_for_reading(self.path) as file:
            return read_data(file)

    @property
    def evaluated_splits(self) -> tuple[str, ...]:
        """The splits that `evaluation` knows; none before the run is completed."""
        with open_for_reading(self.path) as file:
            return tuple(sorted(file.get("evaluation", ())))

    def evaluation(self, split: str) -> dict[str, NDArray[Any]]:
        """``rows``, ``labels``, ``predictions`` and ``scores`` of every sample of a split, as arrays."""
        with open_for_reading(self.path) as file:
            splits = sorted(file.get("evaluation", ()))
            if split not in splits:
                there = f"there are {', '.join(splits)}" if splits else "a run has them once it is completed"
                raise InputError(f"{self.path}: no evaluation of {split!r}; {there}")
            datasets = file[f"evaluation/{split}"]
            return {
                name: dataset.asstr()[()] if dataset.dtype.kind == "O" else dataset[()]
                for name, dataset in datasets.items()
            }

    def table(self, name: str) -> dict[str, NDArray[Any]]:
        """The valid rows of ``metrics``, ``epochs``, ``layer_norms``, ``gradients`` or ``parameters``, by quantity.

        Needs no further package. Empty where the run does not store that table. Raises StorageError where its rows
        are not those that were written (schema 2).
        """
        return read_rows(self.path, name)

    def _frame(self, name: str, index: str) -> pandas.DataFrame:
        pandas = analysis_package("pandas")
        return pandas.DataFrame(self.table(name)).set_index(index)

    def _array(self, name: str, second: str, setting: str) -> xarray.DataArray:
        xarray = analysis_package("xarray")
        table = self.table(name)
        if not table:
            raise InputError(f"{self.path}: {name} were not stored; a run with {setting} stores them")
        steps, values = table.values()
        coordinates: dict[str, Any] = {"step": steps}
        coordinates[second] = self.parameter_names if second == "parameter" else self.layer_names
        return xarray.DataArray(values, coordinates, ("step", second), name)


def analysis_package(name: str) -> Any:
    """pandas or xarray. Raises InputError where it is not installed."""
    try:
        return importlib.import_module(name)
    except ImportError:
        raise InputError(f"{name} is not installed, and this view needs it: {INSTALL}") from None
