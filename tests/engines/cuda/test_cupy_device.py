"""`CupyDevice` with a stand-in for CuPy whose kernels run in the emulator."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from qmltrain.circuit.observables import PauliString
from qmltrain.engines.cuda import CudaEngine, availability, cupy_device, unavailable_reason
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
    module = fake_cupy.make()
    monkeypatch.setitem(sys.modules, "cupy", module)
    monkeypatch.setattr(availability.importlib.util, "find_spec", lambda name: object())
    return module


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


def test_a_lost_gpu_is_one_line(cupy, monkeypatch):
    device = cupy_device.CupyDevice()

    def lost() -> None:
        raise fake_cupy.CUDARuntimeError("cudaErrorECCUncorrectable: uncorrectable ECC error\ntrace")

    buffer = device.upload(np.arange(3.0))
    monkeypatch.setattr(device.stream, "synchronize", lost)
    with pytest.raises(QmltrainError, match=r"GPU Fake GPU: cudaErrorECC.*; resume from the last snapshot$"):
        device.read(buffer, np.float64, (3,))


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
