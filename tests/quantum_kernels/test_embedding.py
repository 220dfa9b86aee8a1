"""What is left out of a circuit, and how its vectors are told apart."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from qmltrain.config.schema import Config
from qmltrain.engines.cpu import unavailable_reason
from qmltrain.errors import InputError
from qmltrain.quantum_kernels.embedding import build_embedding, embedding_circuit
from qmltrain.quantum_kernels.kinds import KERNELS
from qmltrain.training.gradients import StepAbandoned
from qmltrain.training.input_layers import InputLayers
from tests.engines.cases import hea
from tests.quantum_kernels.kernel_cases import dense_states, fidelities
from tests.training.small_models import MODELS, inputs, make


def embedding(model, theta, kind="fidelity", trained=False, engine="interpreter", choices=None, **settings):
    config = Config()
    config.engine = replace(config.engine, name=engine, precision="complex128", **settings)
    return build_embedding(config, model, KERNELS[kind](), theta, trained=trained, samples=20, choices=choices)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("trained", [False, pytest.param(True, marks=pytest.mark.slow)])  # alike for fidelities
def test_fidelities_do_not_know_what_stands_behind_the_last_feature(name, trained):
    model = make(name)
    theta, x, _ = inputs(model, 7)
    found = embedding(model, theta, trained=trained)
    assert len(found.model.circuit.gates) < len(model.circuit.gates)
    vectors = found.vectors(x)
    states = dense_states(model, theta, x)
    np.testing.assert_allclose(found.kind.tile(vectors, vectors), fidelities(states, states), atol=1e-12)


def test_a_trained_circuit_is_measured_whole_and_an_untrained_one_is_not():
    model = make("biases too")
    theta, x, _ = inputs(model, 5)
    whole, alone = (embedding(model, theta, "projected", trained) for trained in (True, False))
    assert whole.model.circuit == model.circuit
    assert alone.model.circuit == embedding_circuit(model.circuit, measured=True)
    assert np.abs(whole.vectors(x) - alone.vectors(x)).max() > 0.01
    assert whole.vector_bytes == 8 * 9 and embedding(model, theta).vector_bytes == 16 * 8


def test_the_digest_follows_what_is_read():
    model = make("biases too")
    theta, _, _ = inputs(model, 5)
    digest = embedding(model, theta).digest()
    read = {
        i
        for gate in embedding_circuit(model.circuit, measured=False).gates
        for a in gate.angles
        for i in (a.weight, a.bias)
    }
    assert len(read - {None}) < model.circuit.n_parameters
    for k in range(model.circuit.n_parameters):
        moved = theta.copy()
        moved[k] += 0.1
        assert (embedding(model, moved).digest() != digest) == (k in read)
    other = replace(model, circuit=replace(model.circuit, gates=model.circuit.gates[1:]))
    assert embedding(other, theta).digest() != digest


def test_a_circuit_without_features_has_one_state():
    model = make("regression")
    gates = tuple(gate for gate in model.circuit.gates if not any(a.is_per_sample for a in gate.angles))
    bare = replace(model, circuit=replace(model.circuit, gates=gates))
    with pytest.raises(InputError, match="reads no features, so that all rows have one state; choose an encoding"):
        embedding(bare, np.zeros(model.n_parameters))


def test_choices_of_before_are_taken_again():
    model = make("regression")
    theta, _, _ = inputs(model, 5)
    first = embedding(model, theta)
    again = embedding(model, theta, engine="reference", choices={**first.choices(), "reductions": ["real_states"]})
    assert again.selection.engine.name == "interpreter" and again.reductions == ("real_states",)
    assert again.choices()["reductions_samples"] == 20


@pytest.mark.skipif(unavailable_reason() is not None, reason="the C++ extension is not built")
def test_real_states_take_half_the_memory():
    model = make("amplitude, projectors")
    theta, x, _ = inputs(model, 5)
    found = embedding(model, theta, engine="cpu")
    assert found.kind.real and found.vector_bytes == 8 * 8
    vectors, states = found.vectors(x), dense_states(model, theta, x)
    assert vectors.dtype == np.float64
    np.testing.assert_allclose(found.kind.tile(vectors, vectors), fidelities(states, states), atol=1e-12)
    assert not embedding(model, theta, engine="cpu", reductions=[]).kind.real


def test_the_reference_is_complex128_whatever_is_asked_for():
    model, config = make("regression"), Config()
    config.engine = replace(config.engine, name="reference")
    found = build_embedding(config, model, KERNELS["fidelity"](), inputs(model, 1)[0], trained=False, samples=1)
    assert (found.precision, found.value_dtype) == ("complex128", np.float64)


def test_one_gate_a_pass_is_refused_where_an_engine_has_no_such_baseline():
    model = make("regression")
    with pytest.raises(InputError, match="engine.fusion: false is not offered"):
        embedding(model, inputs(model, 1)[0], fusion=False)


@pytest.mark.parametrize("kind", KERNELS)
def test_it_stops_between_chunks(kind):
    model = make("regression")
    theta, x, _ = inputs(model, 5)
    with pytest.raises(StepAbandoned):
        embedding(model, theta, kind).vectors(x, lambda: True)


def test_gates_behind_the_last_feature_are_left_out():
    circuit = hea(2, 3)
    for measured in (False, True):
        cut = embedding_circuit(circuit, measured)
        assert [gate.name for gate in cut.gates] == ["ry", "ry"]
        assert cut.parameter_names == circuit.parameter_names and cut.layer_starts == ()


def test_layers_before_the_circuit_are_part_of_it():
    model = make("regression")
    model = replace(model, input=InputLayers((4, 3), activation="tanh", scale=1.5))
    theta, x = np.random.default_rng(0).uniform(-1, 1, model.n_parameters), np.random.default_rng(1).normal(size=(9, 4))
    found = embedding(model, theta)
    features = model.features(model.split(theta), x)
    states = dense_states(replace(model, input=None), theta, features)
    vectors = found.vectors(x)
    np.testing.assert_allclose(found.kind.tile(vectors, vectors), fidelities(states, states), atol=1e-12)
    moved = theta.copy()
    moved[-1] += 0.1
    assert embedding(model, moved).digest() != found.digest()
    assert [*found.parameters()] == [*model.circuit.parameter_names, *model.input.parameter_names]
