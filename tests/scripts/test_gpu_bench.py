"""The GPU benchmarks run: in the emulator, with right numbers, and the derived table."""

from __future__ import annotations

import importlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from qmltrain.circuit.observables import PauliString
from qmltrain.engines.reference import ReferenceEngine
from qmltrain.training.angles import AngleMap
from tests.engines.comparison import forward
from tests.engines.cuda.emulator_device import compiler

BENCH = Path(__file__).resolve().parents[2] / "scripts" / "bench"


@pytest.fixture
def bench(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCH))
    return importlib.import_module


@pytest.mark.skipif(compiler() is None, reason="no C++ compiler: the CUDA emulator needs g++")
@pytest.mark.parametrize("entangler", ["cz", "strongly"])
def test_a_timed_step_has_the_right_loss_and_gradient(bench, monkeypatch, capsys, entangler):
    options = ["--qubits", "3", "--layers", "2", "--batch", "18", "--repeats", "1", "--device", "emulator"]
    monkeypatch.setattr(sys, "argv", ["gpu_step.py", *options, "--entangler", entangler])
    bench("gpu_step").main()
    found = json.loads(capsys.readouterr().out)
    theta, x, weights = bench("gpu_inputs").inputs(3, 2, 18, 7)
    circuit = bench("gpu_derived").ansatz(3, 2, entangler)
    program = ReferenceEngine().compile(circuit, tuple(PauliString(0, 1 << q) for q in range(3)))
    angles = AngleMap(circuit)
    tape = forward(program, circuit, theta.ravel(), x)
    assert abs((tape.expectations_BM @ weights).mean() - found["loss"]) < 1e-6
    back = tape.backward(np.broadcast_to(weights / 18, (18, 3)))
    gradient = angles.shared_gradient(back.block_sums_GR.sum(axis=0))
    assert abs(np.linalg.norm(gradient) - found["grad_norm"]) < 1e-6


def test_the_derived_table_has_a_row_a_case(bench, capsys, monkeypatch):
    derived = bench("gpu_derived")
    monkeypatch.setattr(derived, "ROWS", (("small", 6, 3, 10, 100, "cz", 9), ("tiled", 10, 3, 1, 10, "strongly", 7)))
    monkeypatch.setattr(sys, "argv", ["gpu_derived.py"])
    derived.main()
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 4
    assert lines[2].startswith("| small |")


def test_the_host_alone_is_measured(bench, monkeypatch, capsys):
    options = ["--qubits", "4", "--layers", "3", "--batch", "48", "--repeats", "3", "--device", "null"]
    monkeypatch.setattr(sys, "argv", ["gpu_step.py", *options])
    bench("gpu_step").main()
    assert 0 < json.loads(capsys.readouterr().out)["step_s"] < 1


def test_the_script_for_a_gpu_parses():
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("no bash")
    subprocess.run([bash, "-n", str(BENCH / "gpu_all.sh")], check=True)


@pytest.mark.slow
def test_every_row_of_ours_is_rehearsed():
    """On a device that does nothing, so that nothing but the GPU is left to fail."""
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("no bash")
    command = [bash, str(BENCH / "gpu_all.sh"), "--rehearse", "--python", sys.executable]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert len(rows) >= 19
    assert all(row["result"]["step_s"] > 0 for row in rows)
