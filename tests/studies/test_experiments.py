"""Every experiment runs: composed as from the command line, on its own data or small files like it, for two steps."""

from __future__ import annotations

import numpy as np
import pytest

from qmltrain.cli.composing import compose_config
from qmltrain.paths import configs_directory
from qmltrain.runs.views import open_run
from qmltrain.studies import train
from qmltrain.studies.report import summary_of
from tests.data.writers import write_cifar10, write_idx
from tests.studies.small import CONTEXT

EXPERIMENTS = sorted(path.stem for path in (configs_directory() / "experiment").glob("*.yaml"))
SMALLER = {
    "cifar10": ["dataset.samples=50", "preprocess.pca=8", "train.batch_size=8", "encoding.repeats=1"],
    "mnist": ["dataset.samples=60", "preprocess.pca=20", "train.batch_size=16", "encoding.repeats=2"],
    "mnist_amplitude": ["dataset.samples=60", "train.batch_size=16", "ansatz.layers=5"],
    "digits": ["dataset.samples=100"],
    "digits_amplitude": ["dataset.samples=100"],
    "circles": ["dataset.n_samples=100"],
}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A folder with files named as those of MNIST and CIFAR-10."""
    folder = tmp_path_factory.mktemp("data")
    generator = np.random.default_rng(0)
    labels = (np.arange(80) % 10).astype(np.uint8)
    write_idx(folder / "t10k-images-idx3-ubyte.gz", generator.integers(0, 256, (80, 28, 28), dtype=np.uint8))
    write_idx(folder / "t10k-labels-idx1-ubyte.gz", labels)
    write_cifar10(folder / "data_batch_1.bin", 60, seed=1)
    write_cifar10(folder / "test_batch.bin", 20, seed=2)
    return folder


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_it_runs(name, data, tmp_path, monkeypatch):
    monkeypatch.setenv("QMLTRAIN_DATA", str(data))
    brief = ["train.max_steps=2", "engine.name=interpreter", "engine.precision=complex128", "run.progress=none"]
    words = [f"experiment={name}", f"run.root={tmp_path}", *brief, *SMALLER.get(name, [])]
    config = compose_config(words)
    assert train.run(config, CONTEXT) == 0
    view = open_run(train.run_directory(config))
    assert view.status == "completed" and len(view.metrics) == 2
    summary = summary_of(view.attributes)
    assert all(np.isfinite(value) for value in summary.values())
    if config.dataset.name == "none":
        assert summary["train/loss"] <= view.metrics["train/loss"].iloc[0]
    else:
        assert "baseline/r2" in summary or "baseline/accuracy" in summary


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_vqe_reaches_the_exact_energy_of_free_fermions(tmp_path, seed):
    config = compose_config(["experiment=vqe_ising", f"run.root={tmp_path}", f"run.seed={seed}", "run.progress=none"])
    assert train.run(config, CONTEXT) == 0
    exact = -np.sum(np.linalg.svd(np.eye(8) + np.eye(8, k=1), compute_uv=False))
    found = summary_of(open_run(train.run_directory(config)).attributes)["train/loss"]
    assert exact <= found < exact + 1e-3
