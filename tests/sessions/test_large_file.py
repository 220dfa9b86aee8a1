"""An HDF5 file of more than 2 GiB is trained on, validated and tested with less than 500 MiB resident."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from qmltrain.runs.views import open_run
from qmltrain.sessions.results import summary_of

N_ROWS, SIDE = 700_000, 28
LIMIT = 500 * 2**20
PROGRAM = """
import re, sys
from pathlib import Path
from qmltrain.cli import main

code = main(sys.argv[1:])
# Not ru_maxrss, in which a new process counts the memory of the one that started it.
print("peak", 1024 * int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]))
sys.exit(code)
"""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is read from /proc"),
]


@pytest.fixture(scope="module")
def large_file(tmp_path_factory):
    """Contiguous float32 images of two classes, one brighter at the top, the other below; written piece by piece."""
    folder = tmp_path_factory.mktemp("large")
    if shutil.disk_usage(folder).free < 4 * 2**30:
        pytest.skip("needs 4 GiB of disk")
    path = folder / "large.h5"
    generator = np.random.default_rng(0)
    step = 7_000
    noise = generator.random((step, SIDE, SIDE), dtype=np.float32)
    with h5py.File(path, "w") as file:
        x = file.create_dataset("x", (N_ROWS, SIDE, SIDE), np.float32)
        y = np.arange(N_ROWS) % 2
        for start in range(0, N_ROWS, step):
            piece = np.roll(noise, start // step, axis=2)
            labels = y[start : start + step]
            piece[labels == 0, : SIDE // 2] += 1
            piece[labels == 1, SIDE // 2 :] += 1
            x[start : start + step] = piece
        file["y"] = y
    assert path.stat().st_size > 2 * 2**30
    yield path
    path.unlink()


@pytest.mark.parametrize(
    ("kind", "overrides"),
    [
        # 196 features per row: 1 GiB, read again for every batch
        ("streamed", ["encoding=amplitude", "preprocess=amplitudes", "preprocess.resize=14"]),
        # 11 features per row: 59 MiB, kept, nearly as much as may be; and with them a baseline
        ("kept", ["encoding.repeats=2", "preprocess.resize=14", "preprocess.pca=11"]),
    ],
)
def test_two_gib_under_500_mib(large_file, tmp_path, kind, overrides):
    command = [
        sys.executable, "-c", PROGRAM, "dataset=hdf5", f"dataset.path={large_file}", *overrides,
        "dataset.validation=0.1", "dataset.test=0.1", "train.batch_size=64", "train.epochs=1", "train.max_steps=200",
        "engine.threads=2", f"run.dir={tmp_path / 'run'}",
    ]  # fmt: skip
    root = Path(__file__).parents[2]
    done = subprocess.run(command, capture_output=True, text=True, cwd=root)
    assert done.returncode == 0, done.stderr
    view = open_run(tmp_path / "run")
    assert view.status == "completed" and len(view.metrics) == 200
    for split in ("val", "test"):
        assert len(view.evaluation(split)["predictions"]) == N_ROWS // 10
    summary = summary_of(view.attributes)
    assert summary["test/accuracy"] > 0.9
    assert ("baseline/accuracy" in summary) == (kind == "kept")
    peak = int(re.search(r"^peak (\d+)$", done.stdout, re.M)[1])
    print(f"{kind}: peak {peak / 2**20:.0f} MiB resident")
    assert peak < LIMIT, f"{peak / 2**20:.0f} MiB"
