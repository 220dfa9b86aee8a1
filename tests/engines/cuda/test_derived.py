"""Derived times: by hand for launches that fill a GPU and for those that do not, on old and on new architectures."""

from __future__ import annotations

import importlib
from pathlib import Path

import numpy as np
import pytest

from qmltrain.circuit.observables import PauliString
from qmltrain.engines.cuda import CudaEngine
from qmltrain.engines.cuda.derived import (
    FLOAT_SLOTS,
    GPUS,
    LONE_WARP,
    SLOTS,
    TWO_SAMPLES,
    Counts,
    derive,
    derive_unfused,
    known_gpu,
)
from qmltrain.engines.cuda.geometry import ARCHITECTURES
from qmltrain.engines.protocol import EngineOptions
from qmltrain.errors import EngineUnavailableError, InputError
from tests.circuit.strategies import random_inputs
from tests.engines.cases import hea
from tests.engines.comparison import forward
from tests.engines.cuda import nvrtc

H200 = known_gpu("H200")
STRINGS = (PauliString(0, 1),)


def planned(n_qubits: int, layers: int, gpu: str = "H200"):  # noqa: ANN201
    """The records of a circuit on a GPU that is not here, and the program."""
    program = CudaEngine.planning_for(gpu).compile(hea(n_qubits, layers), STRINGS)
    return program.schedule.program, program


def thread_slots(records, of=SLOTS) -> float:  # noqa: ANN001
    """Of a thread over all passes, both ways."""
    return sum(sum(of[part]) * number for part, number in Counts.of(records).parts.items())


def test_a_full_gpu_issues_all_slots():
    records, _ = planned(14, 4)
    batch = 132 * 50  # 4 tiles each, the same on every multiprocessor
    found = derive(records, Counts.of(records), H200, batch, batch)
    amplitudes = batch * 2.0**14
    assert found.floor == pytest.approx(amplitudes * thread_slots(records) / 16 / 128 / 132 / 1.98e9)
    assert found.issue == pytest.approx(found.floor / 0.7)
    passes = len(records.passes)
    assert found.memory == pytest.approx(amplitudes * 48 * passes / (0.9 * 4.8e12))
    assert found.shared == pytest.approx(amplitudes * records.exchanges * 48 / 128 / 132 / 1.98e9)
    in_two = derive(records, Counts.of(records), H200, 2 * batch, batch)
    assert in_two.floor == pytest.approx(2 * found.floor)


def test_one_warp_has_one_scheduler():
    """4,096 samples of 4 qubits are 128 blocks of one warp: a quarter of the schedulers of 128 multiprocessors."""
    records, _ = planned(4, 10)
    found = derive(records, Counts.of(records), H200, 4096, 4096)
    alone = thread_slots(records) / 1.98e9
    assert found.floor == pytest.approx(alone)
    assert found.issue == pytest.approx(alone / LONE_WARP)  # it waits for its own results
    assert derive(records, Counts.of(records), H200, 32, 32).floor == found.floor  # one block takes as long as 128
    assert derive(records, Counts.of(records), H200, 4 * 132 * 32, 4 * 132 * 32).floor == pytest.approx(
        alone
    )  # all schedulers
    assert derive(records, Counts.of(records), H200, 5 * 132 * 32, 5 * 132 * 32).floor == pytest.approx(2 * alone)


def test_the_multiprocessor_with_the_most_blocks_ends_last():
    """1,000 blocks on 132 multiprocessors are 8 on the busiest; small batches gain nothing from the rest."""
    records, _ = planned(12, 3)
    of_eight = derive(records, Counts.of(records), H200, 8 * 132, 8 * 132)
    assert derive(records, Counts.of(records), H200, 1000, 1000).floor == of_eight.floor
    assert derive(records, Counts.of(records), H200, 1, 1).floor == of_eight.floor / 8
    assert derive(records, Counts.of(records), H200, 1, 1).shared == pytest.approx(of_eight.shared / 8)


@pytest.mark.parametrize(("gpu", "lanes"), [("T4", 64), ("A100", 64), ("RTX 3090", 128), ("H100", 128)])
def test_floats_take_two_clocks_where_there_are_64_lanes(gpu, lanes):
    records, _ = planned(14, 4, gpu)
    found = known_gpu(gpu)
    batch = found.multiprocessors * 64
    tiles = batch << records.tile_count_bits
    warps = tiles * records.threads // 32 / 4 / found.multiprocessors
    floats = thread_slots(records, FLOAT_SLOTS) * 128 / lanes
    expected = warps * max(thread_slots(records), floats) / found.clock
    assert derive(records, Counts.of(records), found, batch, batch).floor == pytest.approx(expected, rel=0.03)
    if lanes == 64:
        assert floats > thread_slots(records)


def test_parts_have_no_more_floats_than_instructions():
    assert set(SLOTS) == set(FLOAT_SLOTS)
    for part, slots in SLOTS.items():
        assert all(floats <= all_of for floats, all_of in zip(FLOAT_SLOTS[part], slots, strict=True))


def test_fusion_off_reads_and_writes_everything_for_every_gate():
    program = CudaEngine.planning_for("H200").compile(hea(5, 2), STRINGS, options=EngineOptions(fusion=False))
    launches = len(program.schedule.passes)
    found = program.derived(10, 10)
    assert found == derive_unfused(launches, H200, 10, 5, "complex64")
    assert found.expected == pytest.approx(launches * 10 * 32 * 48 / (0.9 * 4.8e12))
    assert program.traffic().passes == launches


def test_every_known_gpu_has_an_architecture_of_ours_and_is_found_by_its_full_name():
    for name, gpu in GPUS.items():
        assert gpu.compute_capability in ARCHITECTURES
        assert known_gpu(f"NVIDIA {name.upper()}") is gpu
    for name in ("NVIDIA-GeForce-RTX-4090", "rtx4090", "RTX 4090"):
        assert known_gpu(name).compute_capability == "89"
    with pytest.raises(InputError, match=r"^--device: 'V100' is not known; choose one of T4, .*, RTX 5090$"):
        known_gpu("V100")


def test_nothing_runs_on_a_gpu_that_is_not_here():
    _, program = planned(4, 2)
    circuit = hea(4, 2)
    theta, x = random_inputs(circuit, 3)
    with pytest.raises(EngineUnavailableError, match=r"^engine cuda: H200 is not here; plans are all that is made"):
        forward(program, circuit, theta, x)


def test_complex128_has_no_derived_time():
    program = CudaEngine.planning_for("H200").compile(hea(4, 2), STRINGS, "complex128")
    assert program.derived(16, 16) is None
    assert np.isfinite(program.forecast.block_bytes)


@pytest.mark.slow
def test_slots_are_those_of_the_compiled_kernel(monkeypatch):
    """Of the lean kernel, and of two samples in a thread; `general` and `sample` are estimates of parts of records."""
    monkeypatch.syspath_prepend(str(Path(__file__).resolve().parents[3] / "scripts" / "bench"))
    counting = importlib.import_module("gpu_slots")
    if nvrtc.library() is None or counting.nvdisasm() is None:
        pytest.skip("needs nvidia-cuda-nvrtc and nvidia-cuda-nvdisasm")
    lean = counting.slots("tile_pass_lean", "complex64", 12, "90")
    (two,) = counting.slots("tile_pass_two", "complex64", 12, "90").values()
    both = [lean["tile_pass_forward"], lean["tile_pass_backward"]]
    for part in SLOTS.keys() - {"general", "sample"}:
        assert SLOTS[part] == pytest.approx([_of_part(one.parts, part) for one in both], abs=1), part
        assert FLOAT_SLOTS[part] == pytest.approx([_of_part(one.floats, part) for one in both], abs=1), part
        assert TWO_SAMPLES[part][0] == pytest.approx(_of_part(two.parts, part) / 2, abs=1), part


def _of_part(counted: dict[str, int], part: str) -> float:
    """From the regions of the machine code: two fours of tile bits, one warp of eight for the last sums."""
    fours = 2 * counted.get(f"{part} fours", 0)
    of_four = {"rotation": 4, "x": 4}.get(part, 1)
    beside = {"v": counted.get("last warp", 0) / 8, "record": counted.get("coefficients", 0)}.get(part, 0)
    return counted.get(part, 0) / of_four + fours + beside
