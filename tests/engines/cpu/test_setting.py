"""What the CPU engine chooses at compile time, for the kernels too."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from qmltrain.circuit.observables import PauliString
from qmltrain.engines.cpu import CpuEngine, setting, unavailable_reason
from qmltrain.engines.cpu.extension import instruction_sets, load
from qmltrain.engines.protocol import BLOCK, EngineOptions, GradientOptions
from qmltrain.errors import InputError
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
        ("cz", 5, 16, 16, None, 0),
        ("cz", 5, 16, 8, None, 0),
        ("cz", 5, 1, 16, None, 4),
        ("cz", 7, 1, 8, None, 3),  # no more than there are lanes
        ("cz", 4, 1, 16, None, 0),  # one call a layer, for one sample as for sixteen
        ("cz", 5, 4, 16, None, 0),  # a block of few behind full ones
        ("cz", 5, 2, 16, None, 3),
        ("cz", 6, 8, 16, None, 0),
        ("cz", 7, 8, 16, None, 0),
        ("cz", 8, 8, 16, None, 1),
        ("cz", 7, 4, 16, None, 3),  # not five row bits but four
        ("cz", 8, 2, 16, None, 4),
        ("cz", 9, 1, 16, None, 4),
        ("cz", 12, 16, 16, None, 2),  # 2^10 rows
        ("cx", 12, 16, 16, None, 0),  # masks of many bits: 2^12 rows
        ("cx", 13, 16, 16, None, 3),  # and from there on 2^10
        ("cx", 14, 16, 16, None, 4),
        ("cz", 20, 16, 4, None, 2),  # all lanes
        ("cz", 8, 16, 16, 3, 3),
        ("cz", 8, 16, 4, 3, 2),
    ],
)
def test_qubits_in_the_lanes(entangler, n_qubits, samples, lanes, override, bits):
    plan = compile_plan(hea(n_qubits, 2, entangler), STRINGS)
    assert setting.choose_lane_bits(samples, plan, lanes, override) == bits


@pytest.mark.parametrize(("n_qubits", "samples", "bits"), [(3, 2, 0), (5, 8, 1), (7, 4, 2), (12, 16, 2)])
def test_qubits_in_the_lanes_of_real_states(n_qubits, samples, bits):
    plan = replace(compile_plan(hea(n_qubits, 2), STRINGS), real=True)
    assert setting.choose_lane_bits(samples, plan, 16) == bits


@pytest.mark.parametrize(
    ("entangler", "real", "n_qubits", "lanes", "bits"),
    [
        ("cz", False, 8, 16, 0),
        ("cz", False, 9, 16, 2),
        ("cz", False, 12, 16, 4),
        ("cz", False, 12, 8, 3),
        ("cx", False, 12, 16, 0),
        ("cx", False, 13, 16, 4),
        ("cz", True, 9, 16, 0),
        ("cx", True, 10, 16, 2),
    ],
)
def test_qubits_in_the_lanes_for_the_caches_of_intel(entangler, real, n_qubits, lanes, bits):
    plan = replace(compile_plan(hea(n_qubits, 2, entangler), STRINGS), real=real)
    assert setting.choose_lane_bits(16, plan, lanes, sizes=setting.INTEL) == bits
    sampled = replace(plan, sample_angles=True)
    assert setting.choose_lane_bits(16, sampled, lanes, sizes=setting.INTEL) == 0


def test_memory_is_forecast_for_every_kind_of_processor():
    """`most_in_unit` knows none of them: no other may leave more samples to a unit."""
    for sizes in setting.CACHE_SIZES.values():
        rules = (sizes.plain, sizes.entangled, sizes.real or sizes.plain)
        assert all(rule.left <= rule.most <= setting.COMMON.entangled.most for rule in rules)
        assert sizes.sampled.most <= setting.COMMON.sampled.most


@needs_extension
def test_sizes_for_intel_are_an_instruction_set_of_their_own(monkeypatch):
    sets = instruction_sets(load())
    if "avx512" not in sets:
        pytest.skip("this processor has no AVX-512")
    assert sorted(sets[:2]) == ["avx512", "avx512_intel"] and (sets[0] == "avx512_intel") == load().intel
    found = {}
    for name in sets[:2]:
        monkeypatch.setenv("QMLTRAIN_SIMD", name)
        program = CpuEngine().compile(hea(9, 3), STRINGS, options=EngineOptions(threads=1))
        assert name in CpuEngine().describe()
        step = program.begin_step(np.linspace(0, 3, 81)).forward(np.linspace(0, 2, 144).reshape(16, 9))
        found[name] = step.expectations_BM, step.backward(np.ones((16, 1)), per_sample_shared=True).shared_BS
    (plain, gradient), (of_intel, same) = found.values()  # expectations, gradients
    np.testing.assert_allclose(of_intel, plain, atol=1e-5)
    np.testing.assert_allclose(same, gradient, atol=1e-4)
    assert not np.array_equal(same, gradient)  # other sizes, other last bits: so they have another name


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


@pytest.mark.parametrize(("row_bits", "bits"), [(12, 12), (13, 8), (14, 8)])
def test_tiles_for_the_caches_of_intel(row_bits, bits):
    assert setting.tile_rows(row_bits, 128, sizes=setting.INTEL) == bits


@needs_extension
def test_another_word_for_an_instruction_set_is_refused_before_anything_is_compiled(monkeypatch):
    monkeypatch.setenv("QMLTRAIN_SIMD", "AVX512")
    with pytest.raises(InputError, match="^QMLTRAIN_SIMD: 'AVX512' is not available .*; choose one of .*baseline$"):
        CpuEngine()


@needs_extension
def test_phases_that_are_worked_out_tile_by_tile_have_the_bits_of_tables(monkeypatch):
    def found(table_bytes: int) -> list[np.ndarray]:
        sizes = replace(setting.COMMON, table_bytes=table_bytes)
        monkeypatch.setattr("qmltrain.engines.cpu.program.cache_sizes", lambda instruction_set: sizes)
        program = CpuEngine(3, 2).compile(hea(7, 4, "cx"), STRINGS, options=EngineOptions(threads=1))
        step = program.begin_step(np.linspace(0, 3, 84)).forward(np.linspace(0, 2, 35).reshape(5, 7))
        back = step.backward(np.ones((5, 1)))
        return [step.expectations_BM, back.block_sums_GR, back.per_sample_BS]

    for whole, by_tiles in zip(found(32 << 20), found(0), strict=True):
        np.testing.assert_array_equal(whole, by_tiles)


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
