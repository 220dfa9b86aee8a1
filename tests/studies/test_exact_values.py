"""Which exact value applies to a point, and that it is right: against draws of dense circuits, n <= 4."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from qmltrain.circuit.angle import parameter
from qmltrain.circuit.circuit import Circuit, Gate
from qmltrain.circuit.library.assemble import assemble, assemble_observables
from qmltrain.circuit.observables import Observables, from_sums, pauli_string
from qmltrain.studies.exact_values import ExactValues, Known, LinearLoss
from qmltrain.studies.haar import idle_expressibility
from qmltrain.studies.starts import Start
from qmltrain.training.heads import HEADS
from qmltrain.training.initialization import parameter_kinds
from qmltrain.training.losses import LOSSES
from qmltrain.training.model import Model
from tests.circuit.dense import expectations
from tests.studies.haar_states import within_4_errors

UNIFORM = Start.of("uniform")


def model_of(circuit, observables, head="raw", loss="expectation"):
    judge = LOSSES[loss](None)
    return Model(circuit, observables, HEADS[head](observables.n_observables, judge.n_outputs), judge)


def ansatz(n, name, **options):
    return assemble(n, 0, "none", {}, name, options)


def pauli(n, *terms):
    return assemble_observables(n, "pauli", {"terms": list(terms)})


def gradients_of(circuit, observables, theta_DP):
    """(D, observables, P), dense."""
    return np.array([expectations(circuit, observables, theta, np.zeros(0))[1] for theta in theta_DP])


@pytest.mark.parametrize("n", [2, 5, 10])
def test_the_product_circuit_of_global_and_local_cost(n):
    circuit = ansatz(n, "hea", layers=1, rotations=["rx"], entangler="none")
    wide = model_of(circuit, assemble_observables(n, "projector", {"states": [0]}), loss="fidelity")
    sums = [("local", [(1 / 2, pauli_string({})), *((1 / (2 * n), pauli_string({q: "Z"})) for q in range(n))])]
    near = model_of(circuit, from_sums(sums), loss="fidelity")
    for model, variance in ((wide, (1 / 8) * (3 / 8) ** (n - 1)), (near, 1 / (8 * n**2))):
        values = ExactValues(model, UNIFORM)
        assert values.gradient(n - 1).variance == pytest.approx(variance, rel=1e-10)
        assert values.gradient(0).mean == pytest.approx(0, abs=1e-14)
        assert values.squared_norm(np.arange(n)).mean == pytest.approx(n * variance, rel=1e-10)
    assert ExactValues(wide, UNIFORM).loss().mean == pytest.approx(1 - 0.5**n, rel=1e-10)
    assert ExactValues(near, UNIFORM).loss().mean == pytest.approx(0.5, rel=1e-10)
    assert ExactValues(near, UNIFORM).entanglement().mean == 0.0
    assert ExactValues(near, UNIFORM).frame_potential(2).mean == pytest.approx((3 / 8) ** n, rel=1e-10)


@pytest.mark.parametrize("n", [2, 4, 6])
def test_mcclean_s_first_parameter_and_the_others(n):
    model = model_of(ansatz(n, "pauli_two_design", layers=3, seed=4), pauli(n, "Z0 Z1"))
    values = ExactValues(model, UNIFORM, "axes")
    size = 2**n
    first = values.gradient(0)
    assert first.haar_variance == pytest.approx(size / (3 * (size**2 - 1)), rel=1e-12)
    assert first.mean == 0.0 and first.variance is None
    assert values.gradient(n).haar_variance == pytest.approx(size**2 / (2 * (size - 1) * (size + 1) ** 2), rel=1e-12)
    last = [values.gradient(3 * n + q).haar_variance for q in range(n)]
    np.testing.assert_allclose(last[:2], 2 / 3 / (size + 1))  # X and Y of Z do not commute
    np.testing.assert_allclose(last[2:], 0.0)
    assert [values.gradient(3 * n + q).variance for q in range(2, n)] == [0.0] * (n - 2)


def test_one_circuit_s_axes_are_read_off():
    """RZ after RY(pi/4) in the first layer: <Z>^2 is 1/2."""
    gates = (Gate("ry", (0,), (parameter(0),)), Gate("rz", (0,), (parameter(1),)), Gate("cz", (0, 1)))
    model = model_of(Circuit(2, (*gates, Gate("rx", (0,), (parameter(2),))), ("a", "b", "c")), pauli(2, "Z0 + X1"))
    values = ExactValues(model, UNIFORM)
    assert values.gradient(0).haar_variance == pytest.approx(4 * 2 / (2 * 15))  # RY of |0>: <Y> = 0, weight 2
    assert values.gradient(1).haar_variance == pytest.approx(4 * 2 * 0.5 / (2 * 15))  # mean of <Z>^2 is 1/2
    assert values.gradient(2).haar_variance == pytest.approx(1 / 5)  # Z0 alone anticommutes with X


LAST = [
    ("ry", "cz_ring", 1.0),  # CZ commutes with Z0 Z1 and leaves it
    ("rz", "cz_ring", 0.0),
    ("rz", "cx_ring", 0.0),
]


@pytest.mark.parametrize(("gate", "entangler", "weight"), LAST)
def test_last_parameters(gate, entangler, weight):
    """Only what is before is a 2-design: 1 / (N + 1) where O' anticommutes with P; else 0, exactly, at any start."""
    n = 3
    circuit = ansatz(n, "hea", layers=2, rotations=["rx", gate], entangler=entangler)
    values = ExactValues(model_of(circuit, pauli(n, "Z0 Z1")), UNIFORM)
    k = circuit.n_parameters - 2 * n + 1  # of qubit 0, the second rotation of the last layer
    known = values.gradient(k)
    assert known.haar_variance == pytest.approx(weight / (2**n + 1))
    if weight == 0.0:
        assert (known.mean, known.variance) == (0.0, 0.0)
        model = model_of(circuit, pauli(n, "Z0 Z1"))
        gradients = gradients_of(model.measured_circuit, model.observables, random(circuit, 20))
        assert np.abs(gradients[:, 0, k]).max() < 1e-12


def random(circuit, count, seed=1):
    return np.random.default_rng(seed).uniform(-np.pi, np.pi, (count, circuit.n_parameters))


CIRCUITS = {
    "hea": ansatz(3, "hea", layers=2, entangler="cz_ring"),
    "crx": ansatz(3, "sim_14", layers=1),
    "cx": ansatz(3, "real_amplitudes", layers=2),
    "qaoa": ansatz(3, "qaoa", layers=2, graph="ring"),
}


@pytest.mark.parametrize("name", CIRCUITS)
def test_exact_zeros_and_means_are_those_of_draws(name):
    """Whatever is said exactly of a circuit that entangles holds over uniform draws of the dense circuit."""
    circuit = CIRCUITS[name]
    terms = ("Z0 Z1", "0.5*X0 + Z2", "Y0 Y1 Y2")
    gradients_DMP = gradients_of(circuit, pauli(3, *terms), random(circuit, 60))
    for m, term in enumerate(terms):
        values = ExactValues(model_of(circuit, pauli(3, term)), UNIFORM)
        gradients = gradients_DMP[:, m]
        for k in range(circuit.n_parameters):
            known = values.gradient(k)
            if known.variance is not None:
                assert known.variance == 0.0 and np.abs(gradients[:, k]).max() < 1e-12
            elif known.mean is not None and np.abs(gradients[:, k]).max() > 1e-12:
                within_4_errors(gradients[:, k], known.mean)


def test_controlled_rotations_need_twice_the_range():
    values = {
        scale: ExactValues(model_of(CIRCUITS["crx"], pauli(3, "Z0")), Start.of("uniform", scale))
        for scale in (np.pi, 2 * np.pi)
    }
    circuit = CIRCUITS["crx"]
    crx = next(g.angles[0].weight for g in circuit.gates if g.name == "crx")
    assert values[np.pi].gradient(crx).mean is None
    assert values[2 * np.pi].gradient(crx).mean == 0.0
    ry = next(g.angles[0].weight for g in circuit.gates if g.name == "ry")
    assert values[np.pi].gradient(ry).mean == 0.0
    assert ExactValues(model_of(circuit, pauli(3, "Z0")), Start.of("normal")).gradient(ry).mean is None


@pytest.mark.parametrize("head", ["scaled", "linear"])
def test_other_heads_have_no_values_but_the_mean_of_whole_periods(head):
    model = model_of(CIRCUITS["hea"], pauli(3, "Z0"), head=head)
    values = ExactValues(model, UNIFORM)
    assert LinearLoss.of(model) is None
    assert values.loss() == Known()
    assert values.gradient(0) == Known(0.0)
    assert values.gradient(model.n_parameters - 1) == Known()
    assert ExactValues(model, Start.of("normal")).gradient(0) == Known()


def test_features_have_no_values():
    circuit = assemble(2, 2, "angle", {}, "hea", {"layers": 1})
    model = model_of(circuit, pauli(2, "Z0"))
    values = ExactValues(model, UNIFORM)
    assert values.loss() == Known()
    assert values.lie_algebra().reason == "features are encoded"
    assert values.expressibility(75) is None


REUPLOADING = assemble(
    2, 2, "reuploading", {"trainable": "weights_and_biases", "repeats": 1}, "random_layers", {"layers": 1, "seed": 1}
)


@pytest.mark.parametrize("drawn", ["nothing", "circuit"])
def test_weights_and_biases_of_features_that_are_not_drawn_have_no_mean(drawn):
    """They are 1 and 0 in every draw, whatever angles do; drawn over a period, a bias is an angle as others."""
    model = model_of(REUPLOADING, pauli(2, "Z0"))
    kinds = parameter_kinds(REUPLOADING)
    assert set(kinds) == {"angle", "feature_weight", "feature_bias"}

    def of_zero_mean(**features):
        values = ExactValues(model, UNIFORM, drawn, **features)
        return {kinds[k] for k in range(len(kinds)) if values.gradient(k).mean is not None}

    assert of_zero_mean() == {"angle"}
    assert of_zero_mean(features=Start.of("uniform", range=[0.0, 2 * np.pi])) == {"angle", "feature_bias"}
    assert of_zero_mean(features=Start.of("uniform", range=[0.0, 3.0])) == {"angle"}


def test_drawn_weights_of_features_are_not_idle():
    model = model_of(REUPLOADING, pauli(2, "Z0"))
    assert ExactValues(model, Start.of("zeros")).frame_potential(1).mean == 1.0
    assert ExactValues(model, Start.of("zeros"), features=UNIFORM).frame_potential(1).mean is None


def test_idle_circuits():
    rz = model_of(ansatz(2, "hea", layers=3, rotations=["rz"], entangler="none"), pauli(2, "Z0"))
    assert ExactValues(rz, UNIFORM).expressibility(75) == pytest.approx(idle_expressibility(2, 75))
    zeros = model_of(CIRCUITS["hea"], pauli(3, "Z0"))
    assert ExactValues(zeros, Start.of("zeros")).expressibility(75) == pytest.approx(idle_expressibility(3, 75))
    assert ExactValues(zeros, Start.of("zeros")).frame_potential(3).mean == 1.0
    assert ExactValues(zeros, UNIFORM).expressibility(75) is None
    drawn = model_of(ansatz(2, "pauli_two_design", layers=1, seed=1), pauli(2, "Z0"))
    assert ExactValues(drawn, Start.of("zeros"), "axes").expressibility(75) is None


def test_diagonalizing_gates_belong_to_the_loss_alone():
    observables = replace(pauli(2, "Z0"), diagonalizing_gates=(Gate("h", (0,)), Gate("cx", (0, 1))))
    assert isinstance(observables, Observables)
    model = model_of(ansatz(2, "hea", layers=1, rotations=["rx"], entangler="none"), observables)
    values = ExactValues(model, UNIFORM)
    assert values.loss().mean is None  # CX makes it no product
    assert values.frame_potential(1).mean == pytest.approx(1 / 4)
    assert values.entanglement().mean == 0.0


def test_random_structures_have_haar_values_of_the_whole_circuit_alone():
    """A parameter may be first in one draw and last in another: of its derivative the mean alone is known."""
    model = model_of(ansatz(3, "random_layers", layers=2, seed=1), pauli(3, "Z0 Z1"))
    values = ExactValues(model, UNIFORM, "circuit")
    assert [values.gradient(k) for k in range(model.n_parameters)] == [Known(0.0)] * model.n_parameters
    assert values.squared_norm(np.arange(model.n_parameters)) == Known()
    assert values.loss() == Known(None, None, 0.0, pytest.approx(1 / 9))
    assert values.entanglement().mean is None and values.frame_potential(1).mean is None
    assert "circuit of its own" in values.lie_algebra().reason


def test_lie_algebra_of_a_product_circuit():
    model = model_of(ansatz(4, "hea", layers=3, rotations=["rx"], entangler="none"), pauli(4, "Z0"))
    assert ExactValues(model, UNIFORM).lie_algebra().value == 4


@pytest.mark.parametrize("n", [2, 4])
def test_real_circuits_come_to_real_states(n):
    """RY and CZ: twice the variance of unitary 2-designs, about; the last RY anticommutes with Z."""
    model = model_of(ansatz(n, "simplified_two_design", layers=3), pauli(n, "Z0 Z1"))
    values = ExactValues(model, UNIFORM)
    size = 2**n
    assert values.real
    assert values.loss().haar_variance == pytest.approx(2 / (size + 2))
    assert values.gradient(n).haar_variance == pytest.approx(size / ((size - 1) * (size + 2)))
    assert values.entanglement().haar_mean == pytest.approx((size - 2) / (size + 2))
    assert values.frame_potential(2).haar_mean == pytest.approx(3 / (size * (size + 2)))
    assert ExactValues(model_of(ansatz(n, "simplified_two_design"), pauli(n, "Y0")), UNIFORM).loss().haar_variance == 0
