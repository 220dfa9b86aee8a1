"""Batch loss and gradient of whole models: finite differences, samples, chunks, modes."""

from __future__ import annotations

import numpy as np
import pytest

from qmltrain.circuit.library.assemble import assemble, assemble_observables
from qmltrain.engines.cpu import CpuEngine, unavailable_reason
from qmltrain.engines.interpreter import InterpreterEngine
from qmltrain.engines.protocol import Forecast, GradientOptions
from qmltrain.engines.reference import ReferenceEngine
from qmltrain.errors import MemoryLimitError
from qmltrain.training import gradients
from qmltrain.training.gradients import Evaluator, StepAbandoned, chunk_size
from qmltrain.training.heads import HEADS
from qmltrain.training.losses import LOSSES
from qmltrain.training.model import Model
from tests.training.small_models import MODELS, evaluator, inputs, make


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
        moved = [theta + s * move for s in (1, -1)]
        up, down = (np.mean(model.loss_at(at).value(run.outputs(at, x), targets)) for at in moved)
        assert abs((up - down) / (2 * step) - found.gradient_P[k]) < 1e-7


@pytest.mark.parametrize("batch", [1, 17])
@pytest.mark.parametrize("name", MODELS)
def test_gradients_on_the_cpu_engine_are_those_on_the_reference(name, batch):
    if unavailable_reason():
        pytest.skip("no C++ extension")
    model = make(name)
    arguments = inputs(model, batch)
    runs = [evaluator(model, engine=engine) for engine in (CpuEngine(), ReferenceEngine())]
    for found, expected in zip(
        *[(vars(run.gradient(*arguments)), vars(run.sample_gradients(*arguments))) for run in runs], strict=True
    ):
        for name in found.keys() - {"drift"}:
            np.testing.assert_allclose(found[name], expected[name], rtol=0, atol=1e-10)


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
        loss = model.loss_at(theta)
        up, down = (loss.value(run.outputs(theta, x + s * move), targets)[index[0]] for s in (1, -1))
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
    with pytest.raises(MemoryLimitError, match=r"^16 samples in flight need 1\.\d+ KiB of .*; use fewer qubits"):
        chunk_size(forecast(1099), 0)
    with pytest.raises(MemoryLimitError, match="^16 samples"):  # this engine takes whole blocks alone
        chunk_size(forecast(1099), 0, samples=1)
    # 16 samples x 3 arrays x 8 bytes per string, beside 1000 of a block
    assert chunk_size(forecast(100 + 2 * 1384), 1) == 32
    assert chunk_size(forecast(99 + 2 * 1384), 1) == 16


def test_few_samples_need_the_memory_of_few():
    def forecast(memory: int) -> Forecast:
        return Forecast(400, 1600, "reversible", None, "", memory, few=(50, 100))

    assert chunk_size(forecast(2000), 0, samples=3) == 16  # whole blocks where they fit: a split is evaluated with them
    assert chunk_size(forecast(1999), 0, samples=3) == 15
    assert chunk_size(forecast(650), 0, samples=3) == 6
    assert chunk_size(forecast(350), 0, samples=3) == 3
    with pytest.raises(
        MemoryLimitError, match=r"^3 samples in flight need .*; use steps of at most 2 \(train\.batch_size\)"
    ):
        chunk_size(forecast(349), 0, samples=3)
    with pytest.raises(
        MemoryLimitError, match=r"^16 samples in flight need .* steps of at most 6 \(train\.batch_size\), fewer"
    ):
        chunk_size(forecast(650), 0, samples=40)
    with pytest.raises(MemoryLimitError, match=r"^1 sample needs .*; use fewer qubits"):
        chunk_size(forecast(149), 0, samples=1)
    assert [forecast(0).bytes(samples) for samples in (1, 15, 16, 17)] == [150, 1550, 2000, 3600]


@pytest.mark.parametrize("n_qubits", [3, 16])
def test_chunks_of_a_few_samples_change_no_bit(n_qubits):
    """Engines that allow them: the interpreter on any circuit, the CPU engine where a sample is a unit of its own."""
    circuit = assemble(n_qubits, 2, "angle", {}, "hea", {"layers": 1})
    observables = assemble_observables(n_qubits, "z", {})
    model = Model(circuit, observables, HEADS["linear"](n_qubits, 2), LOSSES["cross_entropy"](2))
    theta, x, targets = inputs(model, 5)
    engines = [InterpreterEngine()] if n_qubits < 16 else [] if unavailable_reason() else [CpuEngine()]
    for engine in engines:
        program = engine.compile(circuit, observables.strings, "complex64")
        assert program.forecast.few is not None
        whole, parts = Evaluator(model, program, 16), Evaluator(model, program, 3)
        np.testing.assert_array_equal(whole.outputs(theta, x), parts.outputs(theta, x))
        found, expected = (run.gradient(theta, x[:3], targets[:3]) for run in (parts, whole))
        np.testing.assert_array_equal(found.gradient_P, expected.gradient_P)
        with pytest.raises(ValueError, match="do not hold a block"):
            parts.gradient(theta, x, targets)
