"""The shipped scans: few draws over smaller grids, and (slow) over shards and whole grids."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from qmltrain.cli import main
from qmltrain.engines.cpu import unavailable_reason
from qmltrain.scans.reading import read_scan
from qmltrain.shipped_files import configs_directory

EXPERIMENTS = sorted(
    path.stem
    for path in (configs_directory() / "experiment").glob("*.yaml")
    if f"qmltrain scan experiment={path.stem}" in path.read_text()
)
# points and columns, and a smaller grid: its words and points
EXPECTED = {
    "expressibility_sim": (25, {"entanglement", "fidelity"}, ["ansatz.layers=1,3"], 10),
    "plateau_cost": (48, {"loss", "gradient_norms"}, ["circuit.n_qubits=2,4", "ansatz.layers=1,5"], 8),
    "plateau_mcclean": (8, {"loss", "gradient"}, ["circuit.n_qubits=2,4"], 2),
    "starts": (28, {"loss", "gradient_norms"}, ["circuit.n_qubits=4", "ansatz.layers=2,4"], 8),
}


def check(directory: Path, points: int, columns: set[str]) -> None:
    """Two draws of so many points."""
    scan = read_scan(directory)
    assert len(scan.points) == points and scan.complete
    for point in scan.points:
        assert set(point.columns) == columns and point.draws == 2
        for values in point.columns.values():
            assert len(values) == 2 and np.isfinite(values).all()
            if point.values.get("train.initial") != "identity":  # which has one loss, but for rounding
                assert len(np.unique(values, axis=0)) == 2  # draws of their own


@pytest.mark.skipif(unavailable_reason() is not None, reason="the C++ extension is not built")
@pytest.mark.parametrize("name", EXPERIMENTS)
def test_a_smaller_grid_of_it_runs(name, tmp_path):
    _, columns, smaller, points = EXPECTED[name]
    words = [f"experiment={name}", *smaller, "scan.draws=2", f"run.dir={tmp_path / 'a'}", "run.progress=none"]
    assert main(["scan", *words]) == 0
    check(tmp_path / "a", points, columns)


@pytest.mark.slow
@pytest.mark.skipif(unavailable_reason() is not None, reason="the C++ extension is not built")
@pytest.mark.parametrize("name", EXPERIMENTS)
def test_an_eighth_of_it_runs(name, tmp_path):
    shard = ["scan.draws=2", "scan.shard=8/8", f"run.dir={tmp_path / 'a'}", "run.progress=none"]
    assert main(["scan", f"experiment={name}", *shard]) == 0
    assert (tmp_path / "a" / "scan-8-of-8.h5").is_file()


@pytest.mark.slow
@pytest.mark.skipif(unavailable_reason() is not None, reason="the C++ extension is not built")
@pytest.mark.parametrize("name", EXPERIMENTS)
def test_its_whole_grid_runs(name, tmp_path):
    assert main(["scan", f"experiment={name}", "scan.draws=2", f"run.dir={tmp_path / 'a'}", "run.progress=none"]) == 0
    points, columns, *_ = EXPECTED[name]
    check(tmp_path / "a", points, columns)


def test_they_are_all_here():
    assert set(EXPERIMENTS) == set(EXPECTED)
