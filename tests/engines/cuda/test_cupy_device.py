"""`CupyDevice` with a stand-in for CuPy whose kernels run in the emulator."""

from __future__ import annotations

import numpy as np
import pytest

from qmltrain.circuit.observables import PauliString
from qmltrain.engines.cuda import CudaEngine, cupy_device, geometry, unavailable_reason
from qmltrain.engines.cuda.device import Kernel
from qmltrain.engines.reference import ReferenceEngine
from qmltrain.errors import MemoryLimitError, QmltrainError
from tests.circuit.strategies import random_inputs
from tests.engines.cases import hea
from tests.engines.comparison import assert_close, run
from tests.engines.cuda import fake_cupy
from tests.engines.cuda.emulator_device import compiler

pytestmark = pytest.mark.skipif(compiler() is None, reason="no C++ compiler: the CUDA emulator needs g++")


@pytest.fixture
def cupy(monkeypatch):
    return fake_cupy.instead_of_cupy(monkeypatch, fake_cupy.make())


@pytest.mark.parametrize("n_qubits", [3, 10])
def test_a_whole_step(cupy, n_qubits):
    assert unavailable_reason() is None
    circuit = hea(n_qubits, 2)
    theta, x = random_inputs(circuit, 5)
    strings = (PauliString(0, 1), PauliString(1, 0))
    engine = CudaEngine()
    assert engine.describe() == "cuda: Fake GPU, compute capability 86"
    expected = run(ReferenceEngine(), circuit, strings, theta, x)
    assert_close(run(engine, circuit, strings, theta, x, precision="complex64"), expected, "complex64")


def test_more_than_48_kib_of_shared_memory_is_asked_for(cupy):
    """The stand-in refuses a launch beyond what was set, as the driver does."""
    circuit = hea(12, 1)
    theta, x = random_inputs(circuit, 1)
    run(CudaEngine(), circuit, (PauliString(0, 1),), theta, x, precision="complex64")


def test_memory_that_is_not_there(cupy):
    device = cupy_device.CupyDevice()
    with pytest.raises(
        MemoryLimitError, match=r"GPU memory: 1 GiB more are needed, 256 MiB of 1 GiB are free"
    ) as caught:
        device.allocate(1 << 30)
    assert "\n" not in str(caught.value)


def test_a_kernel_that_does_not_compile(cupy, monkeypatch):
    monkeypatch.setattr(cupy_device, "kernel_source", lambda name: "int x")
    with pytest.raises(QmltrainError, match=r"does not compile for sm_86: .*error: expected a ';'; check") as caught:
        cupy_device.CupyDevice().compile(Kernel("vectors", "sum_rows", "complex64"))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("error", [RuntimeError("Failed to find CUDA headers.\nmore"), OSError(28, "No space left")])
def test_what_stops_compiling_later_is_one_line(cupy, monkeypatch, error):
    device = cupy_device.CupyDevice()

    def fails(**_: object) -> None:
        raise error

    monkeypatch.setattr(cupy, "RawModule", fails)
    line = (
        r"^kernels/cuda/vectors\.cu cannot be compiled \(.*(headers|space).*\); qmltrain info says what is missing, .*$"
    )
    with pytest.raises(QmltrainError, match=line):
        device.launch(Kernel("vectors", "sum_rows", "complex64"), 1, 32, 0, ())


LOST = "cudaErrorECCUncorrectable: uncorrectable ECC error"


def calls_of(device):  # noqa: ANN001, ANN201
    """Every way to the driver while a run goes on: what must fail, and a call that leads there."""
    buffer, pinned, event = device.upload(np.arange(3.0)), device.pinned(64), device.record()
    cuda, runtime = device.cupy.cuda, device.runtime
    return {
        "synchronize": (device.stream, lambda: device.read(buffer, np.float64, (3,))),
        "record": (fake_cupy.Event, device.record),
        "Event": (cuda, device.record),
        "wait_event": (fake_cupy.Stream, lambda: device.send(buffer, pinned, 8, event)),
        "memcpyAsync": (runtime, lambda: device.fetch(pinned, buffer, 8)),
        "memsetAsync": (runtime, lambda: device.clear(buffer)),
        "PinnedMemory": (cuda, lambda: device.pinned(8)),
        "alloc": (cuda, lambda: device.allocate(8)),
        "done": (fake_cupy.Event, lambda: event.done),
        "Event.synchronize": (fake_cupy.Event, event.synchronize),
    }


@pytest.mark.parametrize(
    "call",
    ["synchronize", "record", "Event", "wait_event", "memcpyAsync", "memsetAsync", "PinnedMemory", "alloc", "done"]
    + ["Event.synchronize"],
)
def test_a_lost_gpu_is_one_line_wherever_it_is_noticed(cupy, monkeypatch, call):
    device = cupy_device.CupyDevice()

    def lost(*_: object, **__: object) -> None:
        raise fake_cupy.CUDARuntimeError(f"{LOST}\ntrace")

    owner, asked = calls_of(device)[call]
    name = call.rpartition(".")[2]
    monkeypatch.setattr(owner, name, property(lost) if name == "done" else lost)
    with pytest.raises(QmltrainError, match=rf"^GPU Fake GPU: {LOST}; resume from the last snapshot$"):
        asked()


def test_pinned_memory_of_a_plan_is_one_piece_and_others_are_given_back(cupy):
    """An array a page-locked allocation of its own, rounded up and kept for good, would be hundreds of them."""
    engine = CudaEngine()
    before = len(cupy.machine.pinned)
    engine.compile(hea(4, 30), (PauliString(0, 1),))
    assert len(cupy.machine.pinned) == before
    held = cupy.machine.pinned_bytes
    pinned = engine.device.pinned(100_000)
    assert cupy.machine.pinned_bytes == held + 100_000
    del pinned
    assert cupy.machine.pinned_bytes == held


@pytest.mark.parametrize("lazy", [(False,), (True,)])
def test_arrays_go_through_pinned_memory_in_pieces(cupy, monkeypatch, lazy):
    """The same bytes, whatever the pieces: many small arrays, one that is larger than all of it."""
    cupy.machine.lazy = lazy
    monkeypatch.setattr(cupy_device, "_HALF", 1 << 12)
    device = cupy_device.CupyDevice()
    generator = np.random.default_rng(1)
    arrays = [generator.normal(size=int(size)) for size in generator.integers(0, 900, 40)]
    arrays.append(generator.normal(size=5000))
    buffers = [device.upload(array) for array in arrays]
    for array, buffer in zip(arrays, buffers, strict=True):
        np.testing.assert_array_equal(device.read(buffer, np.float64, array.shape), array)


def test_shared_memory_is_asked_for_all_blocks_that_registers_hold(cupy):
    """Left to itself the driver may choose a part in which one block fits, where two would hide each other's waits."""
    cupy.machine.idle = True  # nothing is compiled
    device = cupy_device.CupyDevice()
    for tile_bits in (9, 11, 12):
        threads = geometry.tile_threads(tile_bits)
        for name, backward in (("tile_pass_forward", False), ("tile_pass_backward", True)):
            kernel = Kernel("tile_pass", name, "complex64", tile_bits)
            device.compile(kernel)
            function = device.kernels[kernel]
            shared = geometry.tile_shared_bytes(tile_bits, "complex64", backward)
            device._share_memory(function, kernel, threads, shared)
            given = function.preferred_shared_memory_carveout / 100 * (164 << 10)
            assert given >= 512 // threads * (shared + 1024) or function.preferred_shared_memory_carveout == 100
            assert function.preferred_shared_memory_carveout <= 100
    h200 = geometry.shared_carveout(256, 128, 66_304, 228 << 10)
    assert 2 * (66_304 + 1024) <= h200 / 100 * (228 << 10) < 164 << 10  # and no more is taken from the L1 cache
    assert geometry.shared_carveout(256, 112, 32 << 10, 64 << 10) == 52  # sm_75: a second block does not fit


def test_buffers_go_there_and_back(cupy):
    device = cupy_device.CupyDevice()
    array = np.random.default_rng(0).normal(size=(3, 5))
    buffer = device.upload(array)
    other = device.allocate(array.nbytes)
    device.copy(other, buffer)
    np.testing.assert_array_equal(device.read(other, np.float64, (3, 5)), array)
    device.clear(other)
    assert not device.read(other, np.float64, (15,)).any()
    assert device.read(device.upload(np.zeros((4, 0))), np.float64, (4, 0)).shape == (4, 0)
