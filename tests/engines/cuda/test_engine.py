"""What the CUDA engine promises beside right answers: memory forecast, short launches, errors in one line."""

from __future__ import annotations

import gc
from itertools import product

import numpy as np
import pytest

from qmltrain.circuit.circuit import Circuit, Gate
from qmltrain.circuit.observables import PauliString
from qmltrain.engines.cuda import CudaEngine, fused, geometry
from qmltrain.engines.cuda.device import DeviceLimits
from qmltrain.engines.cuda.engine import every_kernel
from qmltrain.engines.cuda.sources import kernel_source
from qmltrain.engines.interpreter import InterpreterEngine
from qmltrain.engines.protocol import BLOCK, EngineOptions, GradientOptions
from qmltrain.errors import InputError, MemoryLimitError
from qmltrain.training.gradients import Evaluator
from tests.circuit.strategies import random_inputs
from tests.engines.cases import hea
from tests.engines.comparison import forward, random_cotangents
from tests.engines.cuda.emulator_device import EmulatorDevice, HostBuffer, compiler
from tests.training.small_models import LAYERS, inputs, make

needs_compiler = pytest.mark.skipif(compiler() is None, reason="no C++ compiler: the CUDA emulator needs g++")
STRINGS = (PauliString(0, 1), PauliString(1, 0))


SHAPES = [(3, None), (9, None), (8, (6, 2))]
MODES = [
    GradientOptions(),
    GradientOptions("reversible", 2),
    GradientOptions("checkpoint", 2),
    GradientOptions("checkpoint"),
]
WAYS = list(product([BLOCK, 3], [True, False]))


def forecasts() -> list:
    """Every shape with every mode, samples and fusion taking turns: every pair of values. The rest in the long set."""
    return [
        pytest.param(*shape, *way, mode, marks=[] if (i + j) % len(WAYS) == k else pytest.mark.slow)
        for i, shape in enumerate(SHAPES)
        for j, mode in enumerate(MODES)
        for k, way in enumerate(WAYS)
    ]


@needs_compiler
@pytest.mark.parametrize(("n_qubits", "tile", "samples", "fusion", "gradient"), forecasts())
def test_the_forecast_covers_what_a_chunk_allocates(n_qubits, tile, samples, fusion, gradient):
    circuit = hea(n_qubits, 6)
    theta, x = random_inputs(circuit, samples)
    engine = CudaEngine(EmulatorDevice(), *(tile or (None, None)))
    gc.collect()  # graphs of other tests
    before = HostBuffer.live
    program = engine.compile(circuit, STRINGS, "complex64", gradient, EngineOptions(fusion=fusion))
    HostBuffer.peak = HostBuffer.live
    tape = forward(program, circuit, theta, x)
    tape.backward(random_cotangents(samples, len(STRINGS)), per_sample_shared=True)
    used = HostBuffer.peak - before
    forecast = program.forecast.bytes(samples)
    assert used <= 1.02 * forecast + 4096, (used, forecast)
    if samples == BLOCK or program.forecast.few:
        assert used >= forecast / 4, (used, forecast)


@needs_compiler
@pytest.mark.parametrize(
    "name", ["reuploading, linear, cross entropy", "amplitude, padded", "dressed", "amplitudes behind layers"]
)
def test_the_forecast_covers_a_step(name):
    """With its inputs in two places, heads and losses on the device, and as many chunks as the host may be ahead."""
    model = make(name)
    before = HostBuffer.live
    program = CudaEngine(EmulatorDevice()).compile(model.circuit, model.observables.strings, "complex64")
    HostBuffer.peak = HostBuffer.live
    Evaluator(model, program, BLOCK).gradient(*inputs(model, 3 * BLOCK))
    used = HostBuffer.peak - before
    forecast = program.forecast.fixed_bytes + program.forecast.block_bytes
    assert used <= 1.02 * forecast + 8192, (used, forecast)


@needs_compiler
def test_memory_that_cannot_do_is_refused_with_the_numbers():
    with pytest.raises(MemoryLimitError, match=r"states of 1 sample need .* of ") as caught:
        CudaEngine(EmulatorDevice()).compile(hea(12, 2), STRINGS, options=EngineOptions(memory_bytes=1 << 15))
    assert "\n" not in str(caught.value)


@needs_compiler
def test_more_than_30_qubits_are_refused():
    with pytest.raises(InputError, match="31 qubits; at most 30"):
        CudaEngine(EmulatorDevice()).compile(Circuit(31, (Gate("h", (0,)),)), STRINGS)


@needs_compiler
@pytest.mark.parametrize(("n_qubits", "tile"), [(4, None), (8, (6, 2))])
def test_long_work_is_cut_into_short_launches_where_there_is_a_watchdog(monkeypatch, n_qubits, tile):
    """The same bits, in launches of bounded work; in one launch a pass where no driver stops it."""
    circuit = hea(n_qubits, 3)
    theta, x = random_inputs(circuit, 180)
    found, launches = [], []
    for work, watchdog in ((1 << 40, True), (1 << 10, True), (1 << 10, False)):
        monkeypatch.setattr(fused, "_WORK_PER_MULTIPROCESSOR", work)
        device = EmulatorDevice(watchdog=watchdog)
        program = CudaEngine(device, *(tile or (None, None))).compile(circuit, STRINGS)
        tape = forward(program, circuit, theta, x)
        found.append((tape.expectations_BM, tape.backward(random_cotangents(180, 2)).block_sums_GR))
        launches.append(sum(kernel.source.startswith("tile_pass") for kernel, *_ in device.launches))
    assert launches[1] > launches[0]
    assert launches[2] == launches[0] == 2 * program.traffic().passes
    for other in found[1:]:
        for a, b in zip(found[0], other, strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    ("tile_bits", "tiles", "whole"),
    [(12, 1000, 4), (13, 1000, 8), (10, 4096, 4), (12, 795, 4), (9, 5000, 3)],
)
def test_launches_are_whole_waves(tile_bits, tiles, whole):
    """Waves of blocks on 132 multiprocessors are as many in several launches as in one."""
    limits = DeviceLimits("", "90", 227 << 10, 1 << 30, 132, True)
    threads = geometry.tile_threads(tile_bits)
    wave = 132 * 512 // threads  # registers of 512 threads, at 128 for each
    for most in (wave, wave + 1, 795, 5 * wave - 1):
        at_once = geometry.blocks_of_short_launch(limits, threads, most)
        launches = [min(at_once, tiles - first) for first in range(0, tiles, at_once)]
        if most < wave:  # part of a wave at a time
            assert at_once == 132
            continue
        assert at_once <= most
        assert sum(-(-blocks // wave) for blocks in launches) == whole == -(-tiles // wave)
    assert geometry.blocks_of_short_launch(limits, threads, 1) == 132  # as long as one block alone


@needs_compiler
@pytest.mark.parametrize(("layers", "sources"), [(40, ["tile_pass"]), (50, ["tile_pass", "tile_pass_lean"])])
def test_a_resident_circuit_is_one_launch_each_way(layers, sources):
    """A long one has its encoding in a launch before."""
    circuit = hea(6, layers)
    theta, x = random_inputs(circuit, 3)
    device = EmulatorDevice()
    program = CudaEngine(device).compile(circuit, STRINGS)
    forward(program, circuit, theta, x).backward(random_cotangents(3, 2))
    passes = [(kernel.source, kernel.name) for kernel, *_ in device.launches if kernel.source.startswith("tile_pass")]
    way_back = [(source, "tile_pass_backward") for source in reversed(sources)]
    assert passes == [(source, "tile_pass_forward") for source in sources] + way_back
    assert len(device.launches) <= 12 + 4 * (len(sources) - 1)


@needs_compiler
@pytest.mark.parametrize(("samples", "launched"), [(1, [(1, False)]), (2, [(1, True)]), (5, [(2, True), (1, False)])])
def test_two_samples_in_a_thread_are_a_launch_of_pairs_and_one_of_what_is_left(samples, launched):
    circuit = Circuit(9, hea(9, 2).gates[9:], hea(9, 2).parameter_names)
    theta, x = random_inputs(circuit, samples)
    device = EmulatorDevice()
    program = CudaEngine(device, two_samples=True).compile(circuit, STRINGS)
    forward(program, circuit, theta, x)
    passes = [(grid, kernel.source == "tile_pass_two") for kernel, grid, *_ in device.launches if kernel.tile_bits]
    assert passes == launched


@needs_compiler
@pytest.mark.parametrize(("n_qubits", "tile"), [(4, None), (8, (6, 2))])
def test_two_samples_in_a_thread_give_the_bits_of_one(n_qubits, tile):
    circuit = hea(n_qubits, 4) if tile else Circuit(4, hea(4, 4).gates[4:], hea(4, 4).parameter_names)
    theta, x = random_inputs(circuit, 67)
    found, sources = [], []
    for two in (False, True):
        device = EmulatorDevice()
        program = CudaEngine(device, *(tile or (None, None)), two_samples=two).compile(circuit, STRINGS)
        tape = forward(program, circuit, theta, x)
        found.append((tape.expectations_BM, tape.backward(random_cotangents(67, 2)).block_sums_GR))
        sources.append({kernel.source for kernel, *_ in device.launches})
    assert sources[1] - sources[0] == {"tile_pass_two"}
    for a, b in zip(*found, strict=True):
        np.testing.assert_array_equal(a, b)


@needs_compiler
def test_fusion_off_is_one_launch_a_gate():
    circuit = hea(3, 2)
    theta, x = random_inputs(circuit, 2)
    device = EmulatorDevice()
    program = CudaEngine(device).compile(circuit, STRINGS, options=EngineOptions(fusion=False))
    forward(program, circuit, theta, x)
    assert sum(kernel.source == "gates" for kernel, *_ in device.launches) == len(circuit.gates)


@needs_compiler
def test_a_tape_is_played_back_once():
    circuit = hea(2, 1)
    theta, x = random_inputs(circuit, 2)
    tape = forward(CudaEngine(EmulatorDevice()).compile(circuit, STRINGS), circuit, theta, x)
    tape.backward(random_cotangents(2, 2))
    with pytest.raises(RuntimeError, match="once"):
        tape.backward(random_cotangents(2, 2))


@needs_compiler
def test_a_circuit_without_gates_and_without_observables():
    circuit = Circuit(2, ())
    theta, x = random_inputs(circuit, 3)
    for fusion in (True, False):
        program = CudaEngine(EmulatorDevice()).compile(circuit, (), options=EngineOptions(fusion=fusion))
        tape = forward(program, circuit, theta, x)
        assert tape.expectations_BM.shape == (3, 0)
        assert tape.backward(np.zeros((3, 0))).block_sums_GR.shape[0] == 1


def test_every_kernel_is_in_its_source():
    for kernel in every_kernel("complex64", 12):
        assert f"EXPORT_KERNEL({kernel.name})" in kernel_source(kernel.source)


@needs_compiler
@pytest.mark.parametrize("name", LAYERS)
def test_layers_before_the_circuit(name):
    """Features are made on the host, and gradients go back there, from angles and from the bra at the start."""
    model = make(name)
    arguments, found = inputs(model, 35), []
    for engine in (CudaEngine(EmulatorDevice()), InterpreterEngine()):
        program = engine.compile(model.circuit, model.observables.strings, "complex128")
        found.append(Evaluator(model, program, BLOCK).gradient(*arguments))
    np.testing.assert_allclose(found[0].gradient_P, found[1].gradient_P, rtol=0, atol=1e-12)
