"""Every registered data set, by being registered: the protocol, its options, its place in the config."""

from __future__ import annotations

import dataclasses
import importlib.util
import inspect

import numpy as np
import pytest

from qmltrain.config.groups.dataset import DatasetConfig
from qmltrain.data.registry import SOURCES, build_source
from qmltrain.errors import InputError
from tests.data.writers import write_cifar10, write_csv, write_hdf5, write_idx_pair

MODULE = """
import numpy as np

def make():
    return np.arange(40.0).reshape(10, 4), np.arange(10) % 2
"""


MISSING = pytest.mark.skipif(importlib.util.find_spec("pyarrow") is None, reason="no pyarrow")
every_source = pytest.mark.parametrize(
    "name", [pytest.param(name, marks=MISSING if name == "parquet" else ()) for name in SOURCES]
)


@pytest.fixture
def options(tmp_path, monkeypatch):
    """Working options of every entry that needs some."""
    images, _, _, _ = write_idx_pair(tmp_path)
    x, y = np.arange(36.0).reshape(12, 3), np.arange(12) % 3
    np.savez(tmp_path / "data.npz", x=x, y=y)
    write_hdf5(tmp_path / "data.h5", x, y)
    write_cifar10(tmp_path / "batch.bin", 20)
    write_csv(tmp_path / "table.csv")
    if importlib.util.find_spec("pyarrow"):
        import pyarrow.parquet

        pyarrow.parquet.write_table(pyarrow.table({"a": x[:, 0], "y": y}), tmp_path / "table.parquet")
    (tmp_path / "my_data_for_sources.py").write_text(MODULE)
    monkeypatch.syspath_prepend(str(tmp_path))
    return {
        "cifar10": {"path": str(tmp_path / "batch.bin")},
        "csv": {"path": str(tmp_path / "table.csv"), "target": "kind", "features": ["a", "b"]},
        "parquet": {"path": str(tmp_path / "table.parquet"), "target": "y"},
        "idx": {"path": str(images)},
        "npz": {"path": str(tmp_path / "data.npz")},
        "hdf5": {"path": str(tmp_path / "data.h5")},
        "python": {"function": "my_data_for_sources:make"},
    }


@every_source
def test_registered_source_keeps_the_protocol(name, options):
    source = build_source(name, options.get(name, {}))
    n = source.info.n_samples
    assert source.info.name == name
    labels = source.labels()
    assert labels.shape == (n,)
    if source.info.task == "classification":
        assert labels.dtype == np.int64
        assert set(np.unique(labels)) == set(range(len(source.info.class_names)))
    else:
        assert source.info.task == "regression" and labels.dtype == np.float64 and source.info.class_names == ()
    everything = source.read(np.arange(n))
    assert everything.shape == (n, *source.info.sample_shape) and everything.dtype == np.float64
    rows = np.array([n - 1, 0, 3, 3, 1]) % n  # the entry `none` has one row
    assert np.array_equal(source.read(rows), everything[rows])
    assert source.read(rows[:0]).shape == (0, *source.info.sample_shape)
    for bad in (np.array([n]), np.array([-1]), np.array([0.0]), np.array([[0]])):
        with pytest.raises(IndexError):
            source.read(bad)
    assert len(source.checksum) == 64 and set(source.checksum) <= set("0123456789abcdef")
    assert source.checksum == build_source(name, options.get(name, {})).checksum
    assert (
        source.info.description.startswith(f"{name}: no data" if name == "none" else f"{name}: {n} samples")
        and "\n" not in source.info.description
    )
    with pytest.raises(ValueError, match="read-only"):
        labels[0] = 1
    everything += 1  # what is read is the reader's own
    assert np.array_equal(source.read(np.arange(n)) + 1, everything)


@every_source
def test_options_are_keyword_only_and_none_means_the_default(name, options):
    parameters = inspect.signature(SOURCES[name]).parameters
    assert all(parameter.kind is inspect.Parameter.KEYWORD_ONLY for parameter in parameters.values())
    given = options.get(name, {})
    with_nones = {option: given.get(option) for option in parameters}
    assert build_source(name, with_nones).checksum == build_source(name, given).checksum


@every_source
def test_unused_and_missing_options_are_refused(name, options):
    with pytest.raises(InputError, match=rf"^dataset\.colour: not used by {name}; it takes "):
        build_source(name, options.get(name, {}) | {"colour": 1})
    required = [p for p in inspect.signature(SOURCES[name]).parameters.values() if p.default is inspect.Parameter.empty]
    for needed in required:
        given = {option: value for option, value in options[name].items() if option != needed.name}
        with pytest.raises(InputError, match=rf"^dataset\.{needed.name}: needed by {name}; it takes "):
            build_source(name, given)


def test_config_offers_every_option():
    """The config group names each option that entries take, and nothing that no entry takes."""
    fields = {item.name for item in dataclasses.fields(DatasetConfig)}
    taken = {option for builder in SOURCES.values() for option in inspect.signature(builder).parameters}
    of_every_entry = {"test_path", "test_labels_path", "classes", "samples", "validation", "test", "folds", "fold"}
    assert fields - of_every_entry - {"name"} == taken


def test_unknown_name_lists_the_known():
    with pytest.raises(InputError, match="'mnist' is not known; choose one of digits, iris, wine"):
        build_source("mnist", {})
