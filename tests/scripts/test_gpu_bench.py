"""The GPU benchmarks run: in the emulator, with right numbers, and the derived table."""

from __future__ import annotations

import importlib
import json
import os
import shutil
import subprocess
import sys
import types
from pathlib import Path

import numpy as np
import pytest

from qmltrain.circuit.observables import PauliString
from qmltrain.engines.cuda import sources
from qmltrain.engines.cuda.device import Kernel
from qmltrain.engines.reference import ReferenceEngine
from qmltrain.shipped_files import kernels_directory
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


def test_launches_of_a_step_are_counted_by_kernel(bench, monkeypatch, capsys):
    options = ["--qubits", "5", "--layers", "2", "--batch", "16", "--repeats", "2", "--device", "null", "--times"]
    monkeypatch.setattr(sys, "argv", ["gpu_step.py", *options])
    bench("gpu_step").main()
    kernels = json.loads(capsys.readouterr().out)["kernels"]
    assert kernels["tile_pass_forward"] == kernels["tile_pass_backward"] == [0.0, 1]
    assert kernels["prepare_tables"] == [0.0, 1]
    times = bench("gpu_step").KernelTimes(types.SimpleNamespace(launch=lambda *_: None), lambda: None, lambda a, b: 2.5)
    for name in ("x", "y", "x"):
        times(Kernel("vectors", name, "complex64"), 1, 32, 0, ())
    assert times.seconds() == {"x": (0.005, 2), "y": (0.0025, 1)}
    assert times.seconds() == {}


def test_other_kernels_are_those_that_are_measured(bench, tmp_path):
    gpu_step = bench("gpu_step")
    shutil.copytree(kernels_directory() / "cuda", tmp_path / "cuda")
    with (tmp_path / "cuda" / "gates.cu").open("a") as file:
        file.write("// another\n")
    words = ["--qubits", "3", "--layers", "1", "--batch", "1", "--device", "null", "--kernels"]
    try:
        gpu_step.engine_of(gpu_step.parser().parse_args([*words, str(tmp_path)]))
        sources.kernel_source.cache_clear()
        assert sources.kernel_source("gates").endswith("// another\n")
        with pytest.raises(SystemExit, match=r"^--kernels: .*/none/cuda/tile_pass.cu: no such file$"):
            gpu_step.engine_of(gpu_step.parser().parse_args([*words, str(tmp_path / "none")]))
    finally:
        sources.kernels_directory = kernels_directory
        sources.kernel_source.cache_clear()


def test_signs_of_the_circuit_by_hand(bench):
    """CZ and Z of gpu_torch.py against their definition, amplitude by amplitude."""
    by_hand = bench("gpu_torch")
    for index in range(16):
        bits = [index >> q & 1 for q in range(4)]
        ring = sum(bits[q] * bits[(q + 1) % 4] for q in range(4))
        assert by_hand.signs_of_ring(4)[index] == (-1) ** ring
        assert by_hand.signs_of_z(4, 3)[index].tolist() == [(-1) ** bit for bit in bits[:3]]


@pytest.mark.parametrize("options", [[], ["--segment", "2", "--chunk", "5", "--group", "2"]])
def test_the_step_in_pytorch_by_hand_is_the_same_step(bench, monkeypatch, capsys, options):
    pytest.importorskip("torch", reason="no PyTorch: pip install torch")
    words = ["--qubits", "5", "--layers", "3", "--batch", "18", "--repeats", "1"]
    found = []
    for name, device in (("gpu_torch", "cpu"), ("gpu_step", "emulator")):
        monkeypatch.setattr(sys, "argv", [name, *words, "--device", device, *(options if name == "gpu_torch" else [])])
        bench(name).main()
        found.append(json.loads(capsys.readouterr().out))
    for number in ("loss", "grad_norm"):
        assert found[0][number] == pytest.approx(found[1][number], rel=1e-5, abs=1e-6)


ALL = BENCH / "gpu_all.sh"
LIMIT = 420  # seconds of a command on a machine that is borrowed


def run_all(*words: str, cwd: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("no bash")
    everything = {**os.environ, **environment}
    return subprocess.run(
        [bash, str(ALL), *words], capture_output=True, text=True, check=False, env=everything, cwd=cwd
    )


def stages(part: str) -> list[tuple[int, str, str]]:
    """Limit, name and command of every stage that a part may have."""
    done = run_all(part, "--list")
    assert done.returncode == 0, done.stderr
    found = [line.split("\t") for line in done.stdout.splitlines()]
    return [(int(limit), name, command) for limit, name, command in found]


@pytest.mark.parametrize("part", ["A", "B", "C"])
def test_each_part_fits_a_command_of_seven_minutes(part):
    assert sum(limit for limit, _, _ in stages(part)) <= LIMIT


def test_what_is_measured_first_is_whether_it_is_right():
    names = [name for _, name, _ in stages("A")]
    tests, headline = names.index("tests"), names.index("HEA 20 qubits, 1,000 layers, 1,000 samples, 2 GiB")
    assert tests < headline < names.index("HEA 12 qubits, 100 layers, 1,000 samples")
    assert not any("samples" in name for name in names[:tests])


def test_what_a_part_lacks_is_said():
    for words, said in (
        (["D"], "name a part: A, B or C"),
        (["A"], "--out FOLDER: where results go"),
        (["A", "--fast"], "unknown option --fast"),
    ):
        done = run_all(*words)
        assert done.returncode == 2
        assert done.stderr.startswith(said)


def rows_of(folder: Path, part: str, kind: str = "rows") -> list[dict]:
    return [json.loads(line) for line in (folder / f"{kind}-{part}.jsonl").read_text().splitlines()]


def program(file: Path, body: str) -> Path:
    """An executable script of bash in `file`."""
    file.write_text(f"#!/usr/bin/env bash\n{body}\n")
    file.chmod(0o755)
    return file


def test_a_stage_that_fails_or_hangs_costs_its_row_alone(tmp_path):
    """With an interpreter that only pretends: results, one failure with quotes in it, one that never ends."""
    python = program(
        tmp_path / "python",
        """case "$*" in
  *gpu_warm*) echo "told \\"why\\" in C:\\\\"; exit 3 ;;
  *--describe*) echo noise >&2; echo "Error: no \\"GPU\\" is here" >&2; echo >&2; exit 1 ;;
  *pytest*) echo "58 skipped in 3.1s" ;;
  *strongly*) setsid sleep 20; sleep 600 ;;
  *) echo noise; echo "{\\"step_s\\": 1}" ;;
esac""",
    )
    program(
        tmp_path / "timeout",
        '[ "$1 $2" = "-s KILL" ] || exit 1\nexec /usr/bin/env -i PATH=/usr/bin:/bin timeout -s KILL 1 "${@:4}"',
    )
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    done = run_all("A", "--out", str(tmp_path / "out"), "--python", str(python), PATH=path, TMPDIR=str(tmp_path))
    assert done.returncode == 1
    rows = {row["row"]: row for row in rows_of(tmp_path / "out", "A")}
    assert list(rows) == [name for _, name, _ in stages("A")]
    failed = [name for name, row in rows.items() if row["exit"]]
    long = "strongly entangling 20 qubits, 100 layers, 64 samples"
    assert {name: (rows[name]["exit"], rows[name]["result"], rows[name]["reason"]) for name in failed} == {
        "what is here": (1, "", "Error: no GPU is here"),
        "kernels compiled, 8 processes": (3, "told why in C:", "told why in C:"),
        "tests": (1, "58 skipped in 3.1s", "nothing passed: 58 skipped in 3.1s"),
        long: (137, "", "killed, as at its limit of 25 s"),
    }
    assert rows[long]["seconds"] < 10  # nobody waits for what it has left behind in a session of its own
    assert "reason" not in rows["first contact"]
    assert rows["first contact"]["result"] == {"step_s": 1}
    assert "noise" in (tmp_path / "out" / "log-A.txt").read_text()


GOOD = """case "$*" in *pytest*) echo "58 passed in 3.1s" ;; *) echo "{\\"step_s\\": 1}" ;; esac"""


def test_a_warm_up_that_fails_says_why_in_its_last_line(bench, monkeypatch, tmp_path, capsys):
    failing = program(tmp_path / "python", "echo at first >&2; echo no NVRTC >&2; exit 3")
    monkeypatch.setattr(sys, "executable", str(failing))
    monkeypatch.setattr(sys, "argv", ["gpu_warm.py", "--processes", "2"])
    with pytest.raises(SystemExit, match=r"^process 0, exit 3: no NVRTC$"):
        bench("gpu_warm").main()
    assert "at first" in capsys.readouterr().err


def test_earlier_results_are_kept_and_a_rehearsal_touches_none(tmp_path):
    """Paths are relative to where the command is called."""
    program(tmp_path / "good", GOOD)
    program(tmp_path / "nvidia-smi", "exit 1")
    out, environment = (
        tmp_path / "out",
        {"PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}", "TMPDIR": str(tmp_path)},
    )
    out.mkdir()
    (out / "log-A.1.txt").write_text("older still")
    for name in ("rows-A.jsonl", "log-A.txt"):
        (out / name).write_text("measured")
    words = ["A", "--out", "out", "--python", "./good"]
    assert run_all(*words, "--rehearse", cwd=tmp_path, **environment).returncode == 0
    assert {one.name for one in out.iterdir()} == {
        "rows-A.jsonl", "log-A.txt", "log-A.1.txt", "rehearsal-A.jsonl", "rehearsal-A.txt",
    }  # fmt: skip
    for _ in range(2):
        done = run_all(*words, cwd=tmp_path, **environment)
        assert done.returncode == 0, done.stderr
    assert (out / "rows-A.2.jsonl").read_text() == (out / "log-A.2.txt").read_text() == "measured"
    assert (out / "log-A.1.txt").read_text() == "older still"
    assert len(rows_of(out, "A")) == len(rows_of(out, "A.3")) == len(stages("A"))


def test_wrong_options_are_one_line_before_anything_runs(tmp_path):
    good = program(tmp_path / "good", f'touch "{tmp_path}/ran"\n{GOOD}')
    file = tmp_path / "file"
    file.write_text("no archive")
    out = ["--out", str(tmp_path / "out"), "--python", str(good)]
    for words, said in (
        (["--python", str(good), "--out", str(file)], f"--out: {file} is no folder"),
        (["--python", str(good), "--out", str(file / "below")], f"--out: {file}/below is no folder"),
        (["--out"], "--out: a value is missing"),
        (["--out", "--rehearse"], "--out: a value is missing"),
        ([*out, "--mnist"], "--mnist: a value is missing"),
        ([*out, "--mnist", ""], "--mnist: a value is missing"),
        ([*out, "--mnist", "none"], f"--mnist: {tmp_path}/none is no folder"),
        ([*out, "--variants", "none"], f"--variants: {tmp_path}/none is no folder"),
        ([*out, "--variants", "."], f"--variants: {tmp_path}/. holds no NAME/cuda"),
        ([*out, "--cache", "none"], f"--cache: {tmp_path}/none is no file"),
        ([*out, "--cache", "file"], f"--cache: {tmp_path}/file cannot be unpacked"),
        ([*out, "--python", "no-such-python"], "--python: no-such-python is no program"),
        ([*out, "--python", "./file"], f"--python: {tmp_path}/./file is no program"),
        ([*out, "--triton-python", str(tmp_path)], f"--triton-python: {tmp_path} is no program"),
    ):
        done = run_all("A", *words, cwd=tmp_path, TMPDIR=str(tmp_path))
        assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (2, "", 1), (words, done.stderr)
        assert done.stderr.startswith(said), (words, done.stderr)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("words", [["--help"], ["-h"], ["A", "--help"]])
def test_help_is_the_head_of_the_file(words, tmp_path):
    done = run_all(*words, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("Everything that is to be measured on a GPU")
    assert "  --rehearse  " in done.stdout and "pipefail" not in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("part", ["A", "B", "C"])
def test_everything_of_ours_is_rehearsed(tmp_path, part):
    """On a device that does nothing, so that nothing but the GPU is left to fail; others by a stand-in."""
    other = program(tmp_path / "other", GOOD)
    variant = tmp_path / "variants" / "same"
    shutil.copytree(kernels_directory() / "cuda", variant / "cuda")
    out = tmp_path / "out"
    words = [part, "--rehearse", "--out", str(out), "--python", sys.executable, "--triton-python", str(other)]
    done = run_all(*words, "--variants", str(variant.parent), TMPDIR=str(tmp_path))
    rows = rows_of(out, part, "rehearsal")
    assert done.returncode == 0, (done.stderr, [row for row in rows if row["exit"]])
    assert sum(row["limit"] for row in rows) <= LIMIT
    assert sum(row["seconds"] for row in rows) <= LIMIT
    for row in rows:
        assert row["result"], row
        if "gpu_step.py" in row["command"]:
            assert row["result"]["step_s"] > 0
    listed = [name for _, name, _ in stages(part)]
    left_out = 1 if part == "C" else 0  # MNIST
    assert len(rows) == len(listed) - left_out
