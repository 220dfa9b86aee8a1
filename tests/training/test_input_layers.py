"""Input layers by themselves: values, gradients, names, first parameters. In models: test_gradients.py."""

from __future__ import annotations

import numpy as np
import pytest

from qmltrain.errors import InputError, NonFiniteError
from qmltrain.training.activations import ACTIVATIONS
from qmltrain.training.input_layers import INPUTS, InputLayers, linear, mlp
from tests.training.small_models import LAYERS, evaluator, inputs, make

CASES = {**LAYERS, "one to one": ((1, 1), {}), "wide": ((40, 33, 2), {"activation": "relu"})}


def built(name: str) -> InputLayers:
    sizes, options = CASES[name]
    return InputLayers(sizes, **options)


def samples(layers: InputLayers, batch: int):
    generator = np.random.default_rng(3)
    parameters = generator.normal(size=layers.n_parameters)
    return parameters, generator.normal(size=(batch, layers.n_inputs)), generator.normal(size=(batch, layers.n_outputs))


@pytest.mark.parametrize("name", CASES)
def test_values_are_those_of_the_formula(name):
    layers = built(name)
    parameters, x, _ = samples(layers, 5)
    named = dict(zip(layers.parameter_names, parameters, strict=True))
    value = x
    for k, (n_in, n_out) in enumerate(zip(layers.sizes, layers.sizes[1:], strict=False)):
        weight = np.array([[named[f"input.{k}.{o}.{i}.weight"] for i in range(n_in)] for o in range(n_out)])
        bias = np.array([named.get(f"input.{k}.{o}.bias", 0.0) for o in range(n_out)])
        value = value @ weight.T + bias
        value = {"none": lambda a: a, "tanh": np.tanh, "relu": lambda a: a * (a > 0)}.get(
            layers.activation, lambda a: 1 / (1 + np.exp(-a))
        )(value)
    np.testing.assert_allclose(layers.forward(parameters, x), layers.scale * value, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", CASES)
def test_gradients_are_finite_differences(name):
    layers = built(name)
    parameters, x, cotangent = samples(layers, 3)
    of_parameters = layers.sample_gradients(parameters, x, cotangent)
    of_inputs = layers.input_gradient(parameters, x, cotangent)
    step = 1e-6

    def differences(move_parameters, move_x):
        up, down = (layers.forward(parameters + s * move_parameters, x + s * move_x) for s in (step, -step))
        return np.sum((up - down) * cotangent, axis=1) / (2 * step)

    every_P = np.eye(layers.n_parameters)
    for k in range(layers.n_parameters):
        move = every_P[k]
        np.testing.assert_allclose(of_parameters[:, k], differences(move, 0), atol=1e-7)
    for k in range(layers.n_inputs):
        np.testing.assert_allclose(of_inputs[:, k], differences(0, np.eye(layers.n_inputs)[k]), atol=1e-7)


@pytest.mark.parametrize("batch", [1, 16, 17, 50])
def test_bits_of_a_block_do_not_depend_on_the_chunk(batch, monkeypatch):
    layers = built("dressed")
    parameters, x, cotangent = samples(layers, batch)
    blocks = layers.block_gradients(parameters, x, cotangent)
    assert len(blocks) == -(-batch // 16)
    monkeypatch.setattr("qmltrain.training.input_layers.SLAB", 1)
    np.testing.assert_array_equal(layers.block_gradients(parameters, x, cotangent), blocks)
    np.testing.assert_array_equal(layers.block_gradients(parameters, x[16:], cotangent[16:]) if batch > 16 else [], [
        *blocks[1:]
    ])  # fmt: skip
    np.testing.assert_array_equal(layers.forward(parameters, x)[:1], layers.forward(parameters, x[:1]))
    summed = layers.sample_gradients(parameters, x, cotangent).sum(axis=0)
    np.testing.assert_allclose(blocks.sum(axis=0), summed, rtol=1e-12, atol=1e-13)


def test_first_parameters():
    generator = np.random.default_rng(5)
    uniform = InputLayers((400, 3)).initial(generator)
    assert np.abs(uniform[:1200]).max() <= 1 / 20 and np.abs(uniform[:1200]).max() > 0.9 / 20
    assert not uniform[1200:].any()
    normal = InputLayers((50, 60), initial="normal").initial(generator)
    assert np.std(normal[:3000]) == pytest.approx(1 / 50, rel=0.1)


def test_sizes_that_are_not_given_are_those_of_the_circuit():
    assert linear(7, 4).sizes == (7, 4) and linear(7, 4, outputs=3).sizes == (7, 3)
    assert mlp(7, 4, hidden=[5, 6]).sizes == (7, 5, 6, 4) and mlp(7, 4, hidden=[5]).activation == "tanh"
    assert INPUTS["none"](7, 4) is None
    with pytest.raises(InputError, match=r"input\.activation: 'softmax' is not known"):
        linear(7, 4, activation="softmax")


@pytest.mark.parametrize("name", LAYERS)
def test_the_gradient_of_a_model_is_that_of_its_circuit_behind_the_chain_rule(name):
    """The same circuit on the features as they come out of the layers: its gradients through the layers' Jacobian."""
    model = make(name)
    theta, x, targets = inputs(model, 21)
    parts = model.split(theta)
    bare = make(name)
    bare.input = None
    found = evaluator(model, 16).sample_gradients(theta, x, targets)
    n_around = len(parts.circuit) + len(parts.head)
    around = np.concatenate([theta[:n_around], parts.loss])
    expected = evaluator(bare, 16).sample_gradients(around, model.features(parts, x), targets)
    layers = model.input
    n_all = n_around + layers.n_parameters
    of_others = np.delete(found.parameters_BP, np.s_[n_around:n_all], axis=1)
    np.testing.assert_allclose(of_others, expected.parameters_BP, atol=1e-12)
    np.testing.assert_allclose(
        found.parameters_BP[:, n_around:n_all],
        layers.sample_gradients(parts.input, x, expected.features_BF),
        atol=1e-12,
    )
    np.testing.assert_allclose(
        found.features_BF, layers.input_gradient(parts.input, x, expected.features_BF), atol=1e-12
    )


def test_what_is_not_finite_is_said():
    model = make("dressed")
    theta, x, targets = inputs(model, 4)
    with pytest.raises(InputError, match="sample 2, feature 1: nan is not finite"):
        evaluator(model).outputs(theta, np.where(np.arange(20).reshape(4, 5) == 11, np.nan, x))
    with pytest.raises(InputError, match="takes 5 per sample"):
        evaluator(model).outputs(theta, x[:, :4])
    theta[-1] = np.inf
    with pytest.raises(NonFiniteError, match="input layer gives what is not finite for sample 0"):
        evaluator(model).outputs(np.where(np.arange(len(theta)) >= len(theta) - 15, np.nan, theta), x)


def test_amplitudes_that_are_all_0_are_said():
    model = make("amplitudes behind layers")
    model.amplitude = type(model.amplitude)(0.0, True)
    theta, x, y = inputs(model, 40)
    n_around = len(model.split(theta).circuit) + len(model.split(theta).head)
    theta[n_around:] = 0.0
    with pytest.raises(NonFiniteError, match=r"amplitudes that are all 0 for sample 0 .*; .* input\.bias=true"):
        evaluator(model).outputs(theta, x)


def test_a_sample_is_named_by_its_number_in_the_batch():
    model = make("amplitudes behind layers")
    model.amplitude = type(model.amplitude)(0.0, True)
    theta, x, y = inputs(model, 40)
    x[37] = 0.0  # with biases that are 0 at the start
    views = model.split(theta)
    layers = model.input.layers
    for name, k in zip(layers.parameter_names, range(len(views.input)), strict=True):
        if name.endswith("bias"):
            views.input[k] = 0.0
    for function in (evaluator(model, chunk=16).gradient, evaluator(model, chunk=16).sample_gradients):
        with pytest.raises(NonFiniteError, match="all 0 for sample 37 of the batch"):
            function(theta, x, y)


@pytest.mark.parametrize("factor", [1e200, 1e-200])
@pytest.mark.parametrize("pad_with", [0.0, 0.2])
def test_huge_and_tiny_amplitudes_have_the_gradients_of_ordinary_ones(factor, pad_with):
    """A state is that of its direction: gradients are those of the unscaled one, divided by the factor."""
    model = make("amplitudes behind layers")
    x = np.random.default_rng(5).normal(size=(3, 6))
    bra = np.random.default_rng(6).normal(size=(3, 8)) * (1 + 0j)
    model.amplitude = type(model.amplitude)(pad_with, True)
    ordinary = model.input_state_gradient(bra, x)
    model.amplitude = type(model.amplitude)(pad_with * factor, True)
    np.testing.assert_allclose(factor * model.input_state_gradient(bra, factor * x), ordinary, rtol=1e-12)


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_which_layers_keep_zeros(activation, bias):
    layers = InputLayers((3, 4), bias=bias, activation=activation)
    outputs = layers.forward(np.random.default_rng(1).normal(size=layers.n_parameters), np.zeros((1, 3)))
    assert layers.keeps_zeros == (not outputs.any())
