"""Which arrays of an .npz or HDF5 file are samples and labels, to train on and of a test set of their own."""

from __future__ import annotations

from collections.abc import Container
from typing import NamedTuple

from qmltrain.errors import InputError


class ArrayKeys(NamedTuple):
    """Names of samples and labels; of those of the test set (null: there is none in the file)."""

    x: str
    y: str
    x_test: str | None
    y_test: str | None


def array_keys(
    names: Container[str], x_key: str | None, y_key: str | None, x_test_key: str | None, y_test_key: str | None
) -> ArrayKeys:
    """The given names, else x and y, else x_train, y_train and, where they are among `names`, x_test and y_test."""
    if (x_test_key is None) != (y_test_key is None):
        raise InputError("dataset.x_test_key, dataset.y_test_key: one is given and one is not; give both or none")
    if x_key is None and y_key is None and "x" not in names and "x_train" in names and "y_train" in names:
        x_key, y_key = "x_train", "y_train"
        if x_test_key is None and "x_test" in names and "y_test" in names:
            x_test_key, y_test_key = "x_test", "y_test"
    return ArrayKeys(x_key or "x", y_key or "y", x_test_key, y_test_key)
