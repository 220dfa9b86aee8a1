"""Data from a user's own function; what cannot be data is refused."""

from __future__ import annotations

import numpy as np
import pytest

from qmltrain.data.registry import build_source
from tests.data.refusals import refused


def python_module(tmp_path, monkeypatch, name, text):
    (tmp_path / f"{name}.py").write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    return text


def test_python_function_makes_the_data(tmp_path, monkeypatch):
    text = "import numpy as np\n\ndef make():\n    return [[0, 1], [2, 3], [4, 5]], [0.5, 1, 2]\n"
    python_module(tmp_path, monkeypatch, "made_data", text)
    source = build_source("python", {"function": "made_data:make"})
    assert source.info.task == "regression"
    assert source.read(np.array([1])).tolist() == [[2.0, 3.0]]


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("bad_data", "'bad_data' is not"),
        ("no_such_module_at_all:make", "no_such_module_at_all"),
        ("bad_data:absent", "absent"),
        ("bad_data:raises", "ZeroDivisionError"),
        ("bad_data:one_array", r"returned a list; it must return \(x, y\)"),
        ("bad_data:three", r"returned a tuple of 3; it must return \(x, y\)"),
        ("bad_data:ragged", "x: a list that is not an array of numbers"),
        ("bad_data:texts", "y: holds object; labels must be"),
        ("bad_data:nan", "x: row 1 holds NaN"),
    ],
)
def test_bad_python_functions(reference, message, tmp_path, monkeypatch):
    python_module(
        tmp_path,
        monkeypatch,
        "bad_data",
        "def raises():\n    return 1 / 0\n\n"
        "def one_array():\n    return [1]\n\n"
        "def three():\n    return 1, 2, 3\n\n"
        "def ragged():\n    return [[1], [2, 3]], [0, 1]\n\n"
        "def texts():\n    return [[1], [2]], ['a', None]\n\n"
        "def nan():\n    return [[1], [float('nan')]], [0, 1]\n",
    )
    assert refused("python", message, function=reference).startswith("dataset.function: ")
