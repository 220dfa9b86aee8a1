"""Pictures of scans: drawn in every case, and what is in them is what the scan has."""

from __future__ import annotations

import numpy as np
import pytest

import qmltrain
from qmltrain.cli import main
from qmltrain.errors import InputError
from qmltrain.plots import scan_curves, scan_pictures
from qmltrain.plots.scan_pictures import plot_scan
from tests.scans.drawn_scans import EVERY, PAULI, PRODUCT, draw

PNG = b"\x89PNG"


@pytest.fixture
def figures(monkeypatch):
    """The figures that are drawn, instead of files."""
    found = []

    def keep(figure, out):
        found.append(figure)
        return out

    for module in (scan_curves, scan_pictures):
        monkeypatch.setattr(module, "save", keep)
    return found


def lines_of(axes):
    return {line.get_linestyle(): line for line in axes.get_lines() if len(line.get_xdata())}


def test_variances_have_their_exact_values_beside_them(tmp_path, figures):
    words = ["circuit.n_qubits=2,3,4", "observable=local_projector", "scan.draws=20"]
    directory = draw(tmp_path / "scan", *PRODUCT, *words, EVERY)
    assert [path.name for path in plot_scan(directory)] == ["variances.png", "fidelity.png"]
    curves, fidelities = figures
    gradient, norms, loss, entanglement, divergence, _ = curves.axes
    statistics = qmltrain.open_scan(directory).statistics
    exact = lines_of(gradient)["--"]
    assert exact.get_xdata().tolist() == [2, 3, 4]
    np.testing.assert_allclose(exact.get_ydata(), [1 / 32, 1 / 72, 1 / 128])
    np.testing.assert_allclose(lines_of(gradient)["-"].get_ydata(), statistics["gradient_variance"])
    np.testing.assert_allclose(lines_of(loss)[":"].get_ydata(), statistics["loss_variance_haar"])
    np.testing.assert_allclose(lines_of(norms)["--"].get_ydata(), [2 / 32, 3 / 72, 4 / 128])
    assert gradient.get_yscale() == loss.get_yscale() == "log" and entanglement.get_yscale() == "linear"
    assert divergence.get_ylabel() == "KL to Haar (nats)"
    assert len(fidelities.axes) == 3 and "n_qubits=3" in fidelities.axes[1].get_title()


def test_curves_against_qubits_and_depth(tmp_path, figures):
    words = ["circuit.n_qubits=2,3", "ansatz=hea", "ansatz.layers=1,2,40", "scan.draws=8"]
    plot_scan(draw(tmp_path / "scan", *words, *PAULI))
    [figure] = figures
    qubits, depth, *_ = figure.axes
    assert (qubits.get_xlabel(), depth.get_xlabel()) == ("qubits", "layers")
    assert depth.get_xscale() == "log"
    labels = [text.get_text() for text in depth.get_legend().get_texts()]
    assert set(labels) == {"n_qubits=2", "n_qubits=3", "Haar value"}


def test_points_without_sizes_stand_side_by_side(tmp_path, figures):
    words = ["circuit.n_qubits=2", "ansatz.layers=1", "train.initial=uniform,normal", "scan.draws=8"]
    plot_scan(draw(tmp_path / "scan", *words, *PAULI))
    names = [text.get_text() for text in figures[0].axes[0].get_xticklabels()]
    assert names == ["initial=uniform", "initial=normal"]


def test_planes_are_contours_of_the_first_draw(tmp_path, figures):
    words = [
        "circuit.n_qubits=2",
        "ansatz.layers=1,2",
        "scan.plane=[random,gradient]",
        "scan.resolution=5",
    ]
    directory = draw(tmp_path / "scan", *words, *PAULI)
    assert [path.name for path in plot_scan(directory)] == ["landscape.png"]
    [figure] = figures
    axes = figure.axes[0]
    assert axes.get_xlabel() == "along random (radians)" and axes.get_ylabel() == "along gradient (radians)"
    assert axes.collections


def test_lines_have_a_curve_a_draw(tmp_path, figures):
    words = ["circuit.n_qubits=2", "ansatz.layers=1", "scan.line=random", "scan.resolution=7", "scan.draws=3"]
    directory = draw(tmp_path / "scan", *words, *PAULI)
    plot_scan(directory)
    curves = [line for line in figures[0].axes[0].get_lines() if len(line.get_xdata()) == 7]
    values = qmltrain.open_scan(directory)[0].columns["value"]
    np.testing.assert_array_equal([line.get_ydata() for line in curves], values)


def test_many_points_are_shown_by_some(tmp_path, figures):
    seeds = ",".join(map(str, range(15)))
    words = ["circuit.n_qubits=2", "ansatz.layers=1", f"run.seed={seeds}", "scan.draws=2"]
    plot_scan(draw(tmp_path / "scan", *words, *PAULI, "scan.quantities=[fidelity]"))
    assert len([axes for axes in figures[-1].axes if axes.get_visible()]) == scan_pictures.MOST_PANELS


def test_the_command_writes_files(tmp_path, capsys):
    words = ["circuit.n_qubits=2", "ansatz.layers=1,2", "scan.draws=4", EVERY]
    directory = draw(tmp_path / "scan", *words, *PAULI)
    assert main(["plot", str(directory)]) == 0
    assert main(["plot", str(directory / "scan.h5")]) == 0
    for name in ("variances.png", "fidelity.png"):
        assert (directory / name).read_bytes().startswith(PNG)
        assert f"picture    {directory / name}" in capsys.readouterr().out or name == "fidelity.png"


def test_no_draws_are_refused(tmp_path, monkeypatch):
    directory = draw(tmp_path / "scan", "circuit.n_qubits=2", "ansatz.layers=1", "scan.draws=1", *PAULI)
    scan = qmltrain.open_scan(directory)
    monkeypatch.setattr(type(scan[0].stored), "draws", 0)
    with pytest.raises(InputError, match="nothing to draw"):
        plot_scan(directory)
