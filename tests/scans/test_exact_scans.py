"""The whole job against exact values: what `qmltrain scan` draws, within 4 standard errors, fixed seeds."""

from __future__ import annotations

import numpy as np
import pytest

from qmltrain.scans.reading import read_scan
from qmltrain.scans.summary import statistics_of
from tests.scans.drawn_scans import EVERY, PAULI, PRODUCT, draw
from tests.studies.haar_states import within_4_errors

QUBITS = [(2, 3, 5, 8), pytest.param(tuple(range(2, 11)), marks=pytest.mark.slow)]


@pytest.mark.parametrize("qubits", QUBITS, ids=["some sizes", "all sizes"])
@pytest.mark.parametrize(
    ("observable", "variance"),
    [
        (["observable=projector", "observable.states=[0]"], lambda n: (1 / 8) * (3 / 8) ** (n - 1)),
        (["observable=local_projector"], lambda n: 1 / (8 * n**2)),
    ],
    ids=["global cost", "local cost"],
)
def test_gradients_of_the_product_circuit(tmp_path, observable, variance, qubits):
    """Cerezo et al., arXiv:2001.00550: every parameter alike, and the exact value stands beside it."""
    grid = f"circuit.n_qubits={','.join(map(str, qubits))}"
    scan = read_scan(draw(tmp_path / "scan", *PRODUCT, grid, *observable, "scan.draws=2000"))
    points = statistics_of(scan)
    assert [point.point.values["circuit.n_qubits"] for point in points] == list(qubits)
    for n, one in zip(qubits, points, strict=True):
        assert one.numbers["gradient_variance_exact"] == pytest.approx(variance(n), rel=1e-10)
        gradient_DP = one.point.columns["gradient"]
        within_4_errors(np.mean(gradient_DP**2, axis=1), variance(n))
        within_4_errors(gradient_DP.mean(axis=1), 0.0)
        assert one.numbers["gradient_zero"] == 0
        within_4_errors(one.point.columns["gradient_norms"][:, -1], one.numbers["squared_norm_mean_exact"])
        within_4_errors(one.point.columns["loss"], one.numbers["loss_mean_exact"])


@pytest.mark.parametrize("n", [2, 4])
def test_mcclean_s_first_parameter(tmp_path, n):
    """N / (3 (N^2 - 1)) at depth 10 n, over circuits and parameters; entanglement and fidelities come to Haar's."""
    words = [f"circuit.n_qubits={n}", "ansatz=pauli_two_design", f"ansatz.layers={10 * n}", "scan.draws=600"]
    scan = read_scan(draw(tmp_path / "scan", *words, *PAULI, "scan.gradients=first", EVERY))
    [one] = statistics_of(scan)
    expected = 2**n / (3 * (4**n - 1))
    assert one.numbers["gradient_variance_haar"] == pytest.approx(expected, rel=1e-10)
    assert one.numbers["gradient_mean_exact"] == 0.0 and one.numbers["gradient_variance_exact"] is None
    columns = one.point.columns
    within_4_errors(columns["gradient"][:, 0] ** 2, expected)
    within_4_errors(columns["gradient"][:, 0], 0.0)
    within_4_errors(columns["loss"] ** 2, one.numbers["loss_variance_haar"])
    within_4_errors(columns["entanglement"], one.numbers["entanglement_mean_haar"])
    for order in (1, 2, 3):
        within_4_errors(columns["fidelity"] ** order, one.numbers[f"frame_potential_{order}_haar"])
    assert "the circuit (axes of rotations) and all parameters" in one.setting.over


def test_everything_exact_of_a_product_circuit(tmp_path):
    """At a start that is not uniform over a period: means are not 0, and are known."""
    words = ["circuit.n_qubits=3", "ansatz=hea", "ansatz.layers=2", "ansatz.entangler=none", "scan.draws=3000"]
    start = ["train.initial=normal", "train.initial_scale=0.6", "observable=pauli", "loss=expectation"]
    terms = "observable.terms=['Z0 Z1 + 0.5*X2 + 0.3']"
    scan = read_scan(draw(tmp_path / "scan", *words, *start, terms, EVERY))
    [one] = statistics_of(scan)
    columns, numbers = one.point.columns, one.numbers
    within_4_errors(columns["loss"], numbers["loss_mean_exact"])
    within_4_errors((columns["loss"] - numbers["loss_mean_exact"]) ** 2, numbers["loss_variance_exact"])
    for g, (name, known) in enumerate(one.parameters.items()):
        gradient = columns["gradient"][:, g]
        if known["is_zero"]:
            assert known["variance_exact"] == pytest.approx(0.0, abs=1e-12), name
        else:
            within_4_errors(gradient, known["mean_exact"])
            within_4_errors((gradient - known["mean_exact"]) ** 2, known["variance_exact"])
    for layer, known in one.layers.items():
        place = one.point.labels["gradient_norms"].index(layer)
        within_4_errors(columns["gradient_norms"][:, place], known["mean_exact"])
    for order in (1, 2, 3):
        within_4_errors(columns["fidelity"] ** order, numbers[f"frame_potential_{order}_exact"])
    assert np.abs(columns["entanglement"]).max() < 1e-5 and numbers["entanglement_mean_exact"] == 0.0


def test_idle_circuits_have_the_greatest_divergence(tmp_path):
    words = ["circuit.n_qubits=2", "ansatz=hea", "ansatz.rotations=[rz]", "ansatz.layers=1", "ansatz.entangler=none"]
    quantities = ["scan.quantities=[fidelity]", "scan.draws=50", "observable=z", "observable.qubits=[0]"]
    scan = read_scan(draw(tmp_path / "scan", *words, *quantities, "loss=expectation"))
    [one] = statistics_of(scan)
    assert one.numbers["expressibility"] == pytest.approx(3 * np.log(75), rel=1e-12)
    assert one.numbers["expressibility_exact"] == pytest.approx(3 * np.log(75), rel=1e-12)
