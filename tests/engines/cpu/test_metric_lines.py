"""Lines of metrics.jsonl from C++, judged by Python's json and repr, byte for byte."""

from __future__ import annotations

import json
import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from qmltrain.engines.cpu import extension, metric_lines
from qmltrain.errors import EngineUnavailableError
from qmltrain.runs import metrics_log
from qmltrain.runs.store import RunStore
from tests.runs.small_store import create

needs_cpp = pytest.mark.skipif(metric_lines.unavailable_reason() is not None, reason="no metric_lines in C++")
BITS = st.integers(0, 2**64 - 1)


def numbers_of(bits: np.ndarray) -> np.ndarray:
    return bits.astype(np.uint64).view(np.float64)


def assert_written_as_repr(numbers: np.ndarray) -> None:
    written = metric_lines.format_lines(["x"], [numbers]).decode().splitlines()
    expected = [repr(value) if math.isfinite(value) else "null" for value in numbers.tolist()]
    wrong = [(a, b) for a, b in zip(written, expected, strict=True) if a != f'{{"x": {b}}}']
    assert not wrong, wrong[:5]


@needs_cpp
@given(st.lists(BITS, min_size=1, max_size=50))
def test_any_bits_are_written_as_python_writes_them(bits: list[int]) -> None:
    assert_written_as_repr(numbers_of(np.array(bits, dtype=np.uint64)))


@needs_cpp
@given(st.lists(st.integers(-(10**17), 10**17) | st.floats(-1e18, 1e18), min_size=1, max_size=50))
def test_whole_numbers_and_those_around_them(numbers: list[float]) -> None:
    assert_written_as_repr(np.array(numbers, float))


@needs_cpp
@given(mantissa=st.integers(1, 10**17), exponent=st.integers(-330, 300))
@example(mantissa=1, exponent=-5)
@example(mantissa=1, exponent=16)
@example(mantissa=99999999999999999, exponent=-21)
def test_short_decimals(mantissa: int, exponent: int) -> None:
    assert_written_as_repr(np.array([float(f"{mantissa}e{exponent}"), -float(f"{mantissa % 1000}e{exponent}")]))


@needs_cpp
def test_the_numbers_where_the_rules_change() -> None:
    """Powers of two and of ten, their neighbours, the smallest and the largest numbers, with either sign."""
    powers = [2.0**k for k in range(-1074, 1024)] + [float(f"{d}e{k}") for k in range(-323, 309) for d in (1, 5, 9)]
    numbers = np.array([*powers, 0.0, 0.1 + 0.2, 1.7976931348623157e308, math.inf, math.nan])
    with np.errstate(over="ignore"):
        around = np.concatenate([numbers, np.nextafter(numbers, 0), np.nextafter(numbers, math.inf)])
    assert_written_as_repr(np.concatenate([around, -around]))
    text = metric_lines.format_lines(["x"], [np.array([1e-5, 1e-4, 1e15, 1e16, -0.0, 1.0, 123.456, 1.5e-7, -math.nan])])
    expected = ["1e-05", "0.0001", "1000000000000000.0", "1e+16", "-0.0", "1.0", "123.456", "1.5e-07", "null"]
    assert text.decode() == "".join(f'{{"x": {number}}}\n' for number in expected)


@needs_cpp
@pytest.mark.slow
def test_a_million_random_numbers() -> None:
    rng = np.random.default_rng(0)
    assert_written_as_repr(numbers_of(rng.integers(0, 2**64, 1_000_000, dtype=np.uint64)))
    assert_written_as_repr(rng.standard_normal(1_000_000) * 10.0 ** rng.integers(-8, 18, 1_000_000))


@needs_cpp
@given(data=st.data(), n_rows=st.integers(0, 5), names=st.lists(st.text(), min_size=1, max_size=5, unique=True))
def test_the_bytes_are_those_of_the_python_formatter(data: st.DataObject, n_rows: int, names: list[str]) -> None:
    columns = []
    for _ in names:
        kind, values = data.draw(st.sampled_from([(np.int64, st.integers(-(2**63), 2**63 - 1)), (float, st.floats())]))
        columns.append(np.array(data.draw(st.lists(values, min_size=n_rows, max_size=n_rows)), kind))
    written = metric_lines.format_lines(names, columns)
    assert written == metrics_log.format_lines(names, columns)
    assert all(json.loads(line).keys() == set(names) for line in written.splitlines())


@needs_cpp
def test_columns_may_lie_anywhere_and_be_read_only() -> None:
    values = np.arange(20.0).reshape(4, 5)
    values.flags.writeable = False
    columns = [np.arange(8)[::2], values[:, 3]]
    written = metric_lines.format_lines(["step", "a"], columns)
    assert written == metrics_log.format_lines(["step", "a"], columns) != b""


@needs_cpp
@pytest.mark.parametrize(
    ("names", "columns", "message"),
    [
        (["a"], [], "one text before each of the columns"),
        ([], [], "one text before each of the columns"),
        (["a"], [np.zeros(1), np.zeros(1)], "one text before each of the columns"),
        (["a", "b"], [np.zeros(2), np.zeros(3)], "columns of one length"),
        (["a"], [np.zeros(2, np.float32)], "columns of int64 or float64"),
        (["a"], [np.zeros(2, np.int32)], "columns of int64 or float64"),
        (["a"], [np.zeros((2, 1))], "incompatible function arguments"),
        (["a"], ["text"], "incompatible function arguments"),
    ],
)
def test_other_columns_are_refused(names: list[str], columns: list[Any], message: str) -> None:
    with pytest.raises((ValueError, TypeError), match=message):
        metric_lines.format_lines(names, columns)


@needs_cpp
def test_a_run_has_the_same_log_with_either_formatter(tmp_path: Path) -> None:
    logs = []
    for name, formatter in (("python", metrics_log.format_lines), ("cpp", metric_lines.format_lines)):
        store = create(tmp_path / name, metrics=["train/loss", 'a "quoted" näme'], line_formatter=formatter)
        store.append_steps(1, {"train/loss": [0.1, math.nan], 'a "quoted" näme': [1e-7, math.inf]})
        store.append_epoch(1, 2, {"val/loss": 1 / 3}, 0.25)
        store.append_step(3, {"train/loss": 5e-324, 'a "quoted" näme': -0.0})
        live = store._log.path.read_bytes()
        store.close("interrupted")
        RunStore.reopen(tmp_path / name, steps=3, epochs=1, line_formatter=formatter).abandon()
        assert store._log.path.read_bytes() == live
        logs.append(live)
    assert logs[0] == logs[1]
    assert json.loads(logs[0].splitlines()[2]) == {"epoch": 1, "step": 2, "wall_seconds": 0.25, "val/loss": 1 / 3}


def test_where_it_was_not_built_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """An extension of a standard library that cannot write floats: the engine works, these lines are Python's."""
    without = SimpleNamespace(interface=extension.INTERFACE)
    monkeypatch.setattr(extension, "load", lambda: without)
    reason = metric_lines.unavailable_reason()
    assert reason is not None and "built without metric_lines" in reason and "\n" not in reason
    with pytest.raises(EngineUnavailableError, match="built without metric_lines"):
        metric_lines.format_lines(["a"], [np.zeros(1)])


def test_without_an_extension_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def load() -> None:
        raise EngineUnavailableError("the C++ extension was not built")

    monkeypatch.setattr(extension, "load", load)
    assert metric_lines.unavailable_reason() == "the C++ extension was not built"
    with pytest.raises(EngineUnavailableError, match="was not built"):
        metric_lines.format_lines(["a"], [np.zeros(1)])
