"""The shipped scans: an eighth of their points, and (slow) whole grids of few draws."""

from __future__ import annotations

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
# points and columns
EXPECTED = {
    "expressibility_sim": (25, {"entanglement", "fidelity"}),
    "plateau_cost": (48, {"loss", "gradient_norms"}),
    "plateau_mcclean": (8, {"loss", "gradient"}),
    "starts": (28, {"loss", "gradient_norms"}),
}


@pytest.mark.skipif(unavailable_reason() is not None, reason="the C++ extension is not built")
@pytest.mark.parametrize("name", EXPERIMENTS)
def test_a_part_of_it_runs(name, tmp_path):
    shard = ["scan.draws=2", "scan.shard=8/8", f"run.dir={tmp_path / 'a'}", "run.progress=none"]
    assert main(["scan", f"experiment={name}", *shard]) == 0
    assert (tmp_path / "a" / "scan-8-of-8.h5").is_file()


@pytest.mark.slow
@pytest.mark.skipif(unavailable_reason() is not None, reason="the C++ extension is not built")
@pytest.mark.parametrize("name", EXPERIMENTS)
def test_its_whole_grid_runs(name, tmp_path):
    assert main(["scan", f"experiment={name}", "scan.draws=2", f"run.dir={tmp_path / 'a'}", "run.progress=none"]) == 0
    scan = read_scan(tmp_path / "a")
    points, columns = EXPECTED[name]
    assert len(scan.points) == points and scan.complete
    for point in scan.points:
        assert set(point.columns) == columns and point.draws == 2
        for values in point.columns.values():
            assert len(values) == 2 and np.isfinite(values).all()
            assert len(np.unique(values, axis=0)) == 2  # draws of their own


def test_they_are_all_here():
    assert set(EXPERIMENTS) == set(EXPECTED)
