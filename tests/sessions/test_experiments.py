"""Every experiment runs: composed as from the command line, on its own data or small files like it, for two steps."""

from __future__ import annotations

import numpy as np
import pytest

from qmltrain.cli import main
from qmltrain.cli.composing import compose_config
from qmltrain.runs.views import open_run
from qmltrain.sessions.results import summary_of
from qmltrain.sessions.training_run import run_directory
from qmltrain.shipped_files import configs_directory
from qmltrain.verbs import train
from tests.data.writers import write_cifar10, write_idx
from tests.small_configs import CONTEXT

EXPERIMENTS = sorted(path.stem for path in (configs_directory() / "experiment").glob("*.yaml"))
SMALLER = {
    "cifar10": ["dataset.samples=50", "preprocess.pca=8", "train.batch_size=8", "encoding.repeats=1"],
    "cifar10_full": ["dataset.validation=0.2", "preprocess.pca=8", "circuit.n_qubits=6", "ansatz.layers=3"],
    "mnist": ["dataset.samples=60", "preprocess.pca=20", "train.batch_size=16", "encoding.repeats=2"],
    "mnist_amplitude": ["dataset.samples=60", "train.batch_size=16", "ansatz.layers=5"],
    "mnist_full": ["dataset.validation=0.2", "train.batch_size=16", "ansatz.layers=5"],
    "digits": ["dataset.samples=100"],
    "digits_amplitude": ["dataset.samples=100"],
    "digits_dressed": ["dataset.samples=100"],
    "headline": ["dataset.samples=60", "preprocess.pca=6", "circuit.n_qubits=6", "ansatz.layers=3"],
    "circles": ["dataset.n_samples=100"],
    "kernel_digits": ["dataset.samples=100", "preprocess.pca=6", "circuit.n_qubits=6"],
}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A folder with files named as those of MNIST and CIFAR-10."""
    folder = tmp_path_factory.mktemp("data")
    generator = np.random.default_rng(0)
    labels = (np.arange(80) % 10).astype(np.uint8)
    for split in ("train", "t10k"):
        write_idx(folder / f"{split}-images-idx3-ubyte.gz", generator.integers(0, 256, (80, 28, 28), dtype=np.uint8))
        write_idx(folder / f"{split}-labels-idx1-ubyte.gz", labels)
    for number in range(1, 6):
        write_cifar10(folder / f"data_batch_{number}.bin", 20, seed=number)
    write_cifar10(folder / "test_batch.bin", 20, seed=6)
    return folder


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_it_runs(name, data, tmp_path, monkeypatch):
    monkeypatch.setenv("QMLTRAIN_DATA", str(data))
    brief = ["train.max_steps=2", "engine.name=interpreter", "engine.precision=complex128", "run.progress=none"]
    words = [f"experiment={name}", f"run.root={tmp_path}", *brief, *SMALLER.get(name, [])]
    config = compose_config(words)
    assert train.run(config, CONTEXT) == 0
    view = open_run(run_directory(config))
    assert view.status == "completed" and len(view.metrics) == 2
    summary = summary_of(view.attributes)
    assert all(np.isfinite(value) for value in summary.values())
    if config.dataset.name == "none":
        assert summary["train/loss"] <= view.metrics["train/loss"].iloc[0]
    else:
        assert "baseline/r2" in summary or "baseline/accuracy" in summary


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda content: content[:-1], "61459 bytes are not whole records of 3073"),
        (lambda content: content + bytes(7), "61467 bytes are not whole records of 3073"),
        (lambda content: content[:3073] + b"\x0b" + content[3074:], "record 1 has label 11; allowed are 0 to 9"),
    ],
    ids=["truncated", "oversized", "wrong label"],
)
def test_a_bad_batch_of_cifar10_is_one_line(data, tmp_path, monkeypatch, capsys, change, message):
    folder = tmp_path / "data"
    folder.mkdir()
    for path in data.glob("*.bin"):
        (folder / path.name).write_bytes(path.read_bytes())
    bad = folder / "data_batch_3.bin"
    bad.write_bytes(change(bad.read_bytes()))
    monkeypatch.setenv("QMLTRAIN_DATA", str(folder))
    monkeypatch.chdir(tmp_path)
    assert main(["experiment=cifar10", *SMALLER["cifar10"], "engine=interpreter"]) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("qmltrain: error: ") and captured.err.count("\n") == 1
    assert message in captured.err and "data_batch_3.bin" in captured.err
    assert captured.out == "" and not (tmp_path / "runs").exists()


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_vqe_reaches_the_exact_energy_of_free_fermions(tmp_path, seed):
    config = compose_config(["experiment=vqe_ising", f"run.root={tmp_path}", f"run.seed={seed}", "run.progress=none"])
    assert train.run(config, CONTEXT) == 0
    exact = -np.sum(np.linalg.svd(np.eye(8) + np.eye(8, k=1), compute_uv=False))
    found = summary_of(open_run(run_directory(config)).attributes)["train/loss"]
    assert exact <= found < exact + 1e-3
