"""Batch loss and gradient of whole models: finite differences, samples, chunks, modes."""

from __future__ import annotations

import numpy as np
import pytest

from qmltrain.engines.interpreter import InterpreterEngine
from qmltrain.engines.protocol import Forecast, GradientOptions
from qmltrain.engines.reference import ReferenceEngine
from qmltrain.errors import MemoryLimitError
from qmltrain.training import gradients
from qmltrain.training.gradients import Evaluator, StepAbandoned, chunk_size
from qmltrain.training.model import Model
from tests.training.small_models import MODELS, inputs, make


def evaluator(model: Model, chunk: int = 64, engine=None, **options) -> Evaluator:
    engine = engine or InterpreterEngine()
    strings = model.observables.strings
    return Evaluator(model, engine.compile(model.circuit, strings, "complex128", **options), chunk)


@pytest.mark.parametrize("name", MODELS)
def test_gradient_is_the_finite_difference_of_the_loss(name):
    model = make(name)
    theta, x, targets = inputs(model, 5)
    run = evaluator(model)
    found = run.gradient(theta, x, targets)
    assert found.loss == pytest.approx(np.mean(found.losses_B))
    step = 1e-5
    for k in range(model.n_parameters):
        move = step * (np.arange(model.n_parameters) == k)
        up, down = (np.mean(model.loss.value(run.outputs(theta + s * move, x), targets)) for s in (1, -1))
        assert abs((up - down) / (2 * step) - found.gradient_P[k]) < 1e-7


def test_results_may_be_fetched_in_between(monkeypatch):
    """Where many chunks would hold too much: the same bits."""
    model = make("biases too")
    arguments = inputs(model, 150)
    expected = evaluator(model, 16).gradient(*arguments)
    monkeypatch.setattr(gradients, "PENDING_BYTES", 3000)
    found = evaluator(model, 16).gradient(*arguments)
    assert found.loss == expected.loss
    assert found.drift == expected.drift
    np.testing.assert_array_equal(found.gradient_P, expected.gradient_P)
    np.testing.assert_array_equal(found.outputs_BC, expected.outputs_BC)


@pytest.mark.parametrize("name", MODELS)
def test_sample_gradients_average_to_the_batch_gradient(name):
    model = make(name)
    theta, x, targets = inputs(model, 19)
    run = evaluator(model, chunk=16)
    samples = run.sample_gradients(theta, x, targets)
    np.testing.assert_allclose(
        samples.parameters_BP.mean(axis=0), run.gradient(theta, x, targets).gradient_P, atol=1e-12
    )


@pytest.mark.parametrize("name", MODELS)
def test_input_gradients_are_finite_differences(name):
    model = make(name)
    theta, x, targets = inputs(model, 2)
    run = evaluator(model)
    found = run.sample_gradients(theta, x, targets).features_BF
    for index in np.ndindex(x.shape):
        move = np.zeros_like(x)
        move[index] = 1e-5
        up, down = (model.loss.value(run.outputs(theta, x + s * move), targets)[index[0]] for s in (1, -1))
        assert abs((up - down) / 2e-5 - found[index]) < 1e-7


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("batch", [1, 16, 33, 37])  # 33: a last chunk of one sample
def test_chunks_change_no_bit(name, batch):
    model = make(name)
    theta, x, targets = inputs(model, batch)
    whole = evaluator(model, 64).gradient(theta, x, targets)
    parts = evaluator(model, 16).gradient(theta, x, targets)
    assert whole.loss == parts.loss
    np.testing.assert_array_equal(whole.gradient_P, parts.gradient_P)


@pytest.mark.parametrize("name", MODELS)
def test_modes_and_engines_agree(name):
    model = make(name)
    theta, x, targets = inputs(model, 3)
    expected = evaluator(model, engine=ReferenceEngine()).gradient(theta, x, targets)
    for options in (GradientOptions("reversible", 1), GradientOptions("checkpoint", 2), GradientOptions("auto")):
        found = evaluator(model, gradient=options).gradient(theta, x, targets)
        assert abs(found.loss - expected.loss) < 1e-12
        np.testing.assert_allclose(found.gradient_P, expected.gradient_P, atol=1e-11)


def test_stopping_between_chunks_abandons_the_step():
    model = make("regression")
    theta, x, targets = inputs(model, 40)
    asked = []
    with pytest.raises(StepAbandoned):
        evaluator(model, 16).gradient(theta, x, targets, lambda: asked.append(1) or len(asked) == 2)
    assert len(asked) == 2


def test_chunks_fill_the_memory_and_no_more():
    def forecast(memory: int) -> Forecast:
        return Forecast(100, 1000, "reversible", None, "", memory)

    assert chunk_size(forecast(2100), 0) == 32
    assert chunk_size(forecast(2099), 0) == 16
    with pytest.raises(MemoryLimitError, match="use fewer qubits"):
        chunk_size(forecast(1099), 0)
    # 16 samples x 3 arrays x 8 bytes per string, beside 1000 of a block
    assert chunk_size(forecast(100 + 2 * 1384), 1) == 32
    assert chunk_size(forecast(99 + 2 * 1384), 1) == 16
