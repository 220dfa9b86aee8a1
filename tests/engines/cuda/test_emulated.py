"""The CUDA engine through the emulator: the real kernels on the CPU."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

from qmltrain.engines.cuda import CudaEngine
from tests.circuit.strategies import random_inputs
from tests.engines.cases import hea
from tests.engines.comparison import run
from tests.engines.cuda import proof
from tests.engines.cuda.emulator_device import EmulatorDevice, compiler
from tests.engines.cuda.matrix import EngineMatrix, some_strings

pytestmark = pytest.mark.skipif(compiler() is None, reason="no C++ compiler: the CUDA emulator needs g++")


def engine(tile: tuple[int, int] | None = None, **options) -> CudaEngine:  # noqa: ANN003
    return CudaEngine(EmulatorDevice(**options), *(tile or (None, None)))


# A sanitizer takes long to compile a kernel: every commit passes one size of tiles, the long set all small cases.
KINDS = pytest.mark.parametrize("kind", ["tiled", pytest.param("", marks=pytest.mark.slow, id="every kind")])


class TestEmulated(EngineMatrix):
    def engine(self, tile: tuple[int, int] | None = None) -> CudaEngine:
        return engine(tile)


@pytest.mark.parametrize("case", [(3, None, "cz", 9), (9, None, "cx", 2), (11, None, "cz", 1), (8, (6, 2), "cx", 2)])
def test_the_same_bits_in_every_order_of_threads(case):
    n_qubits, tile, entangler, batch = case
    circuit = hea(n_qubits, 2, entangler)
    theta, x = random_inputs(circuit, batch)
    strings = some_strings(n_qubits)
    results = [
        run(engine(tile, order=order, seed=seed), circuit, strings, theta, x, precision="complex64")
        for order, seed in (("forward", 0), ("reverse", 0), ("random", 1), ("random", 2))
    ]
    for other in results[1:]:
        for name in ("expectations_BM", "slots_S", "per_sample_BS", "shared_BS", "initial_BN"):
            np.testing.assert_array_equal(getattr(other, name), getattr(results[0], name), err_msg=name)


@KINDS
@pytest.mark.parametrize("order", ["forward", "reverse"])
def test_no_races_between_threads(order, kind):
    """Small cases; `scripts/check_kernels_cuda` runs more and plants faults."""
    for case in proof.named(kind, quick=True):
        assert proof.check(case, "races", [order], None), case.name


@KINDS
def test_no_access_out_of_bounds(kind):
    """In a process of its own: the sanitizer must be loaded first."""
    libraries = [
        subprocess.run([str(compiler()), f"-print-file-name={name}"], capture_output=True, text=True, check=True).stdout
        for name in ("libasan.so", "libubsan.so")
    ]
    if not all(os.path.isabs(path.strip()) for path in libraries):
        pytest.skip("the compiler has no address sanitizer")
    environment = {
        **os.environ,
        "LD_PRELOAD": " ".join(path.strip() for path in libraries),
        "ASAN_OPTIONS": "detect_leaks=0",
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
    }
    command = [sys.executable, "-m", "tests.engines.cuda.proof", "--variant", "address"]
    command += ["--orders", "forward", "--quick", "--named", kind]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
