"""What the CPU engine chooses at compile time, and that Python and C++ have the same constants."""

from __future__ import annotations

import re

import pytest

from qmltrain.circuit.observables import PauliString
from qmltrain.engines.cpu import CpuEngine, setting, unavailable_reason
from qmltrain.engines.protocol import BLOCK, EngineOptions, GradientOptions
from qmltrain.shipped_files import kernels_directory
from tests.engines.cases import hea

STRINGS = (PauliString(0, 1),)
needs_extension = pytest.mark.skipif(unavailable_reason() is not None, reason="the C++ extension is not built")


@pytest.mark.parametrize(
    ("file", "name", "value"),
    [
        ("engine.hpp", "kRowBitsEntangled", setting.ROW_BITS_ENTANGLED),
        ("shape_rows.cpp", "kWholeTableBytes", setting.TABLE_BYTES),
    ],
)
def test_constants_of_both_sides_are_equal(file, name, value):
    text = (kernels_directory() / "cpu" / "host" / file).read_text(encoding="utf-8")
    (found,) = re.findall(rf"\b{name} = ([0-9<\s]+)[,;]", text)
    left, _, shift = found.partition("<<")
    assert int(left) << int(shift or 0) == value


def test_lanes_are_those_of_the_vector_and_the_precision():
    assert setting.lanes_of("avx512", "complex64") == 16
    assert setting.lanes_of("baseline", "complex128") == 2


@pytest.mark.parametrize(
    ("n_qubits", "lanes", "most"), [(4, 16, 16), (12, 16, 16), (14, 16, 4), (30, 16, 1), (13, 4, 2)]
)
def test_long_states_leave_fewer_samples_to_a_unit(n_qubits, lanes, most):
    assert setting.most_in_unit(n_qubits, lanes) == most


@pytest.mark.parametrize(
    ("row_bits", "row_bytes", "override", "bits"),
    [(14, 128, None, 14), (15, 128, None, 8), (16, 128, None, 8), (10, 128, 3, 3), (2, 128, 3, 2)],
)
def test_tiles_are_few_and_of_even_size(row_bits, row_bytes, override, bits):
    assert setting.tile_rows(row_bits, row_bytes, override) == bits


@needs_extension
def test_what_was_asked_is_told_apart_from_what_the_kernels_do():
    program = CpuEngine().compile(hea(4, 3), STRINGS, "complex64", GradientOptions(), EngineOptions(threads=1))
    assert (program.kernels.mode, program.kernels.interval) == ("keep", 0)
    assert (program.forecast.mode, program.forecast.checkpoint_interval) == ("checkpoint", 1)
    long = CpuEngine().compile(hea(9, 9), STRINGS, "complex64", GradientOptions("checkpoint"), EngineOptions(threads=1))
    assert (long.kernels.mode, long.kernels.interval) == ("checkpoint", long.forecast.checkpoint_interval)
    assert long.kernels.interval == 3


@needs_extension
def test_traffic_is_that_of_the_schedule():
    program = CpuEngine(2, 1).compile(hea(8, 4), STRINGS)
    traffic = program.traffic()
    assert traffic.tile_bits == 3 and traffic.passes > 4
    assert CpuEngine().compile(hea(8, 4), STRINGS).traffic().passes == 1
    assert program.begin_step([0.0] * 96).forward([[0.1] * 8] * BLOCK).expectations_BM.shape == (BLOCK, 1)
