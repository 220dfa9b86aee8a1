"""Whether a GPU can be used: one line on what is missing, and `engine.name=auto` goes on without it."""

from __future__ import annotations

import os
import types

import pytest

from qmltrain.engines.cuda import CudaEngine, availability, unavailable_reason
from qmltrain.engines.selection import select_engine
from qmltrain.errors import EngineUnavailableError
from tests.engines.cuda import fake_cupy as stand_in


def test_without_cupy_the_reason_says_how_to_get_it(monkeypatch):
    monkeypatch.setattr(availability.importlib.util, "find_spec", lambda name: None)
    reason = unavailable_reason()
    assert reason is not None
    assert "pip install 'qmltrain[cuda13]'" in reason
    with pytest.raises(EngineUnavailableError, match="CuPy is not installed"):
        CudaEngine()


class _RuntimeError(Exception):
    pass


def fake_cupy(count=1, capability="90", failure: str | None = None):  # noqa: ANN001, ANN201
    """As much of CuPy as availability asks for."""

    def devices() -> int:
        if failure:
            raise _RuntimeError(failure + "\nsecond line")
        return count

    runtime = types.SimpleNamespace(getDeviceCount=devices, CUDARuntimeError=_RuntimeError)
    device = types.SimpleNamespace(compute_capability=capability)
    nvrtc = types.SimpleNamespace(getVersion=lambda: (13, 0))
    cuda = types.SimpleNamespace(runtime=runtime, Device=lambda: device, nvrtc=nvrtc)
    module = types.SimpleNamespace(get_function=lambda name: None)
    return types.SimpleNamespace(cuda=cuda, RawModule=lambda code: module)


@pytest.mark.parametrize(
    ("cupy", "expected"),
    [
        (fake_cupy(failure="cudaErrorInsufficientDriver: CUDA driver version is insufficient"), "driver 580"),
        (fake_cupy(failure="cudaErrorNoDevice: no CUDA-capable device"), "CUDA_VISIBLE_DEVICES"),
        (fake_cupy(failure="cudaErrorUnknown: unknown error"), "does not answer"),
        (fake_cupy(count=0), "no GPU is visible"),
        (fake_cupy(capability="70"), "75 (Turing, 2018) or newer"),
    ],
)
def test_what_is_missing_is_said_in_one_line(cupy, expected):
    reason = availability.device_problem(cupy)
    assert reason is not None
    assert expected in reason
    assert "\n" not in reason


def test_a_good_device_has_no_problem():
    assert availability.device_problem(fake_cupy()) is None
    assert availability.device_problem(fake_cupy(capability="120")) is None


@pytest.fixture
def cupy(monkeypatch):
    return stand_in.instead_of_cupy(monkeypatch, stand_in.make())


def raising(error: Exception):  # noqa: ANN201
    def call(*_: object, **__: object) -> None:
        raise error

    return call


NO_NVRTC = RuntimeError("CuPy failed to load libnvrtc.so.13: OSError: cannot open shared object file\nsecond line")
NO_HEADERS = RuntimeError("Failed to find CUDA headers. Please install the CUDA Toolkit or set CUDA_PATH")
NO_CACHE = PermissionError(13, "Permission denied", "/home/me/.cupy")


@pytest.mark.parametrize(
    ("nvrtc", "module", "said"),
    [
        (NO_NVRTC, None, "NVRTC, which compiles the kernels, does not load (CuPy failed to load libnvrtc.so.13"),
        (None, NO_HEADERS, "CuPy compiles no kernel (Failed to find CUDA headers"),
        (None, NO_CACHE, "CuPy compiles no kernel ([Errno 13] Permission denied: '/home/me/.cupy')"),
    ],
)
def test_what_compiling_lacks_is_said_and_auto_goes_on_without_a_gpu(cupy, monkeypatch, nvrtc, module, said):
    """CuPy looks for them at the first kernel: without a probe a run would end there."""
    if nvrtc is not None:
        monkeypatch.setattr(cupy.cuda.nvrtc, "getVersion", raising(nvrtc))
    if module is not None:
        monkeypatch.setattr(cupy, "RawModule", raising(module))
    reason = unavailable_reason()
    assert reason is not None
    assert reason.startswith(said) and "pip install nvidia-cuda-nvrtc" in reason
    assert "\n" not in reason
    found = select_engine("auto")
    assert found.engine.name != "cuda"
    assert f"no cuda (engine cuda: {said}" in found.reason
    with pytest.raises(EngineUnavailableError, match="^engine cuda: "):
        CudaEngine()


def test_cub_is_left_out_before_cupy_is_imported(cupy, monkeypatch):
    """Its block reductions take seconds to compile. Who wants them says so."""
    monkeypatch.delenv("CUPY_ACCELERATORS", raising=False)
    unavailable_reason()
    assert os.environ["CUPY_ACCELERATORS"] == ""
    monkeypatch.setenv("CUPY_ACCELERATORS", "cub")
    unavailable_reason()
    assert os.environ["CUPY_ACCELERATORS"] == "cub"


def test_a_gpu_that_fails_at_once_is_not_there(cupy, monkeypatch):
    """As one in exclusive mode that another process holds: the first call that needs a context fails."""
    busy = stand_in.CUDARuntimeError("cudaErrorDevicesUnavailable: CUDA-capable device(s) is/are busy\nmore")
    monkeypatch.setattr(cupy.cuda.runtime, "memGetInfo", raising(busy))
    with pytest.raises(
        EngineUnavailableError, match=r"^engine cuda: the GPU cannot be used \(cudaErrorDevicesUnav"
    ) as e:
        CudaEngine()
    assert "\n" not in str(e.value)
    assert select_engine("auto").engine.name != "cuda"


def test_gpus_are_told_apart(monkeypatch):
    """By the bus where UUIDs are the same as far as they are given, by the UUID where instances have one bus."""
    found = set()
    for gpus, number in (((b"", b""), 0), ((b"", b""), 1), ((b"a",), 0), ((b"b",), 0)):
        stand_in.instead_of_cupy(monkeypatch, stand_in.make(gpus=gpus))
        assert availability.take_gpu(number)
        found.add(availability.gpu_in_use())
    assert len(found) == 4


def test_gpus_are_counted_round_and_none_is_taken_where_there_is_none(monkeypatch):
    module = stand_in.instead_of_cupy(monkeypatch, stand_in.make(gpus=(b"a", b"b", b"c")))
    for number, taken in ((0, 0), (2, 2), (3, 0), (7, 1)):
        assert availability.take_gpu(number)
        assert module.machine.gpu == taken
    monkeypatch.setattr(module.cuda.runtime, "getDeviceCount", lambda: 0)
    assert not availability.take_gpu(1)
    monkeypatch.setattr(module.cuda.runtime, "getDeviceCount", raising(stand_in.CUDARuntimeError("cudaErrorNoDevice")))
    assert not availability.take_gpu(1)
    monkeypatch.setattr(availability.importlib.util, "find_spec", lambda name: None)
    assert not availability.take_gpu(0)
