"""What the CPU engine chooses at compile time, for the kernels too."""

from __future__ import annotations

import pytest

from qmltrain.circuit.observables import PauliString
from qmltrain.engines.cpu import CpuEngine, setting, unavailable_reason
from qmltrain.engines.cpu.extension import load
from qmltrain.engines.protocol import BLOCK, EngineOptions, GradientOptions
from qmltrain.fusion.compile import compile_plan
from tests.engines.cases import hea

STRINGS = (PauliString(0, 1),)
needs_extension = pytest.mark.skipif(unavailable_reason() is not None, reason="the C++ extension is not built")


@needs_extension
def test_the_extension_has_the_lanes_and_blocks_that_python_counts_with():
    extension = load()
    assert extension.block == BLOCK
    for name in extension.instruction_sets():
        single, double = extension.lanes(name, "complex64"), extension.lanes(name, "complex128")
        assert single == 2 * double and single in (4, 8, 16)
    with pytest.raises(ValueError, match="precision"):
        extension.lanes("baseline", "complex256")


@pytest.mark.parametrize(
    ("entangler", "n_qubits", "samples", "lanes", "override", "bits"),
    [
        ("cz", 8, 16, 16, None, 0),  # as many samples as lanes
        ("cz", 8, 3, 16, None, 2),  # no lane without a sample, as far as that goes
        ("cz", 2, 1, 16, None, 2),  # no more than there are qubits
        ("cz", 12, 16, 16, None, 2),  # 2^10 rows
        ("cx", 12, 16, 16, None, 0),  # masks of many bits: 2^12 rows
        ("cx", 14, 16, 16, None, 2),
        ("cz", 20, 16, 4, None, 2),  # all lanes
        ("cz", 8, 16, 16, 3, 3),
        ("cz", 8, 16, 4, 3, 2),
    ],
)
def test_qubits_in_the_lanes(entangler, n_qubits, samples, lanes, override, bits):
    plan = compile_plan(hea(n_qubits, 2, entangler), STRINGS)
    assert setting.choose_lane_bits(samples, plan, lanes, override) == bits


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


@needs_extension
def test_the_engine_describes_the_threads_it_was_given(monkeypatch):
    monkeypatch.setenv("SLURM_CPUS_PER_TASK", "1")
    engine = CpuEngine()
    assert engine.describe().endswith(", 1 thread")
    for threads, words in ((3, ", 3 threads"), (1, ", 1 thread"), (0, ", 1 thread")):
        engine.compile(hea(4, 3), STRINGS, options=EngineOptions(threads=threads))
        assert engine.describe().endswith(words)
